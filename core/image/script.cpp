#include "image/script.hpp"

#include "base/text.hpp"

namespace qvd::image {
namespace {

// The functions of the script; the lines that call them follow.
constexpr const char* script_head = R"(#!/bin/sh
# Completes the image in the folder $1.
set -eu
root=$1
inside() { chroot "$root" "$@"; }
# put MODE PATH: standard input becomes the file
put() {
    inside /bin/sh -c 'mkdir -p "${2%/*}/" && rm -rf "$2" && cat >"$2" && chmod "$1" "$2"' - "$1" "$2"
}
link() {
    inside /bin/sh -c 'mkdir -p "${2%/*}/" && rm -rf "$2" && ln -s "$1" "$2"' - "$1" "$2"
}
folder() { inside /bin/sh -c 'mkdir -p "$2" && chmod "$1" "$2"' - "$1" "$2"; }
)";

constexpr const char* script_tail =
    R"(# Nothing of this machine, nothing of the build, and what differs from image to image is made at boot.
inside rm -rf /etc/machine-id /var/lib/dbus/machine-id /var/cache/ldconfig/aux-cache
inside /bin/sh -c ': >/etc/machine-id; rm -rf /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/lib/apt/lists/*_* /var/log/apt /var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log; rm -f /etc/resolv.conf /etc/hostname; find /tmp /var/tmp -mindepth 1 -maxdepth 1 -exec rm -rf {} +'
inside /bin/sh -c 'test -x /sbin/init' || { echo "E: the image has no /sbin/init" >&2; exit 1; }
)";

Result<std::string> source_of(const RecipeFile& file, const Parts& parts) {
    if (file.source == RecipeFile::Source::file) return file.content;
    const bool agent = file.source == RecipeFile::Source::agent;
    const std::string& part = agent ? parts.agent : parts.init;
    if (!part.empty()) return part;
    return Error{
        ErrorKind::not_found, "image.part",
        "the recipe wants " + std::string(agent ? "qvd-vma, the agent," : "the small init") +
            " and it is not installed here; name it with " + (agent ? "--agent" : "--init")};
}

Result<std::string> file_line(const RecipeFile& file, const Parts& parts) {
    const std::string target = "put " + file.mode + " " + shell_word(file.path);
    if (file.source == RecipeFile::Source::text)
        return "printf %s " + shell_word(file.content) + " | " + target + "\n";
    QVD_TRY(const std::string source, source_of(file, parts));
    return target + " <" + shell_word(source) + "\n";
}

// "en_US.UTF-8" from its source "en_US" in the character set "UTF-8".
std::string locale_lines(const std::string& locale) {
    if (locale.empty()) return {};
    const std::size_t dot = locale.find('.');
    const std::string charset = dot == std::string::npos ? "UTF-8" : locale.substr(dot + 1);
    std::string lines = "inside localedef --no-archive -i " + shell_word(locale.substr(0, dot)) +
                        " -f " + shell_word(charset) + " " + shell_word(locale) + "\n";
    for (const char* file : {"/etc/default/locale", "/etc/locale.conf"})
        lines += "echo " + shell_word("LANG=" + locale) + " | put 644 " + file + "\n";
    return lines;
}

}  // namespace

std::string shell_word(const std::string& text) {
    std::string word = "'";
    for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return word + "'";
}

Result<std::string> completion_script(const Recipe& recipe, const Parts& parts) {
    std::string script = script_head + locale_lines(recipe.locale);
    for (const RecipeFolder& folder : recipe.folders)
        script += "folder " + folder.mode + " " + shell_word(folder.path) + "\n";
    for (const RecipeFile& file : recipe.files) {
        QVD_TRY(const std::string line, file_line(file, parts));
        script += line;
    }
    for (const RecipeLink& link : recipe.links)
        script += "link " + shell_word(link.target) + " " + shell_word(link.path) + "\n";
    for (const std::string& command : recipe.commands)
        script += "inside /bin/sh -c " + shell_word(command) + "\n";
    return script + script_tail;
}

std::vector<std::string> mmdebstrap_arguments(const Recipe& recipe, const std::string& script_file,
                                              const std::string& target) {
    std::vector<std::string> packages = recipe.packages;
    if (!recipe.locale.empty()) packages.emplace_back("locales");
    std::vector<std::string> arguments{"mmdebstrap", "--verbose", "--variant=minbase",
                                       "--include=" + text::join(packages, ","),
                                       "--aptopt=Acquire::Languages \"none\""};
    if (!recipe.architecture.empty()) arguments.push_back("--architectures=" + recipe.architecture);
    for (const std::string& pattern : recipe.leave_out)
        arguments.push_back("--dpkgopt=path-exclude=" + pattern);
    arguments.push_back("--customize-hook=sh " + shell_word(script_file) + " \"$1\"");
    arguments.push_back(recipe.suite);
    arguments.push_back(target);
    arguments.insert(arguments.end(), recipe.mirrors.begin(), recipe.mirrors.end());
    return arguments;
}

}  // namespace qvd::image
