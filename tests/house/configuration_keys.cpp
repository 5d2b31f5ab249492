// The keys that the programs declare, as the manual pages list them.
//
//   configuration_keys node|vma|client PLUGINS          prints the list as roff
//   configuration_keys node|vma|client PLUGINS --write PAGE   puts it into the page
//   configuration_keys node|vma|client PLUGINS --check PAGE SAMPLE
//       fails if the page has another list, if the sample file names a key that nobody declares, or
//       if a declared key of the node counts as one without effect
#include "base/file.hpp"
#include "client/keys.hpp"
#include "config/upstream_keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "vma/keys.hpp"

#include <fstream>
#include <iostream>
#include <regex>

namespace {

using namespace qvd;
using config::Declaration;

constexpr std::string_view begin_mark = ".\\\" begin of the declared keys\n";
constexpr std::string_view end_mark = ".\\\" end of the declared keys\n";

config::View view_of(const std::string& program, const std::string& plugins) {
    if (program == "vma") return {vma::key_set(), {}};
    if (program == "client") {
        auto keys = std::make_shared<config::KeySet>();
        client::declare(*keys);
        return {keys, {}};
    }
    config::Properties file;
    file.set("path.plugins", plugins, "the command line");
    plugin::Catalogue found;
    config::View view = node::view_with_plugins(file, found);
    for (const auto& plugin : found)
        if (!plugin.problem.empty()) throw std::runtime_error(plugin.problem);
    return view;
}

std::string roff(std::string_view text) {
    std::string made;
    for (const char letter : text) {
        if (letter == '\\')
            made += "\\e";
        else if (letter == '-')
            made += "\\-";
        else if (letter == '`')
            continue;
        else
            made += letter;
    }
    if (made.starts_with(".") || made.starts_with("'")) made.insert(0, "\\&");
    return made;
}

// Long values may be broken behind a colon.
std::string breakable(const std::string& text) {
    return std::regex_replace(text, std::regex(":"), ":\\:");
}

std::string note_of(const Declaration& key, bool node) {
    std::string note;
    const auto add = [&](const std::string& words) { note += (note.empty() ? "" : "; ") + words; };
    if (!key.unit.empty())
        add(key.kind == config::Kind::word
                ? "one of " + std::regex_replace(key.unit, std::regex("\\|"), ", ")
                : "in " + key.unit);
    if (key.range.min != config::Range{}.min)
        add(std::to_string(key.range.min) + " to " + std::to_string(key.range.max));
    if (node && key.has(config::file_only)) add("file only");
    if (key.has(config::required)) add("required");
    if (key.has(config::secret)) add("secret");
    return note;
}

std::string list_of(const config::View& view, bool node) {
    std::string list;
    for (const auto& [name, key] : view.keys().all()) {
        if (key.has(config::internal) || name.starts_with("internal.")) continue;
        list += ".TP\n.B " + roff(name) + "\n";
        if (key.fallback && !key.fallback->empty())
            list += "(\\fI" + breakable(roff(*key.fallback)) + "\\fR)\n";
        list += roff(key.meaning) + (key.meaning.ends_with(".") ? "\n" : ".\n");
        if (const std::string note = note_of(key, node); !note.empty())
            list += "[" + roff(note) + "]\n";
    }
    return list;
}

std::string read(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Page {
    std::string before, list, after;
};

Page page_of(const std::string& path) {
    const std::string text = read(path);
    const auto begin = text.find(begin_mark);
    const auto end = text.find(end_mark);
    if (begin == std::string::npos || end == std::string::npos || end < begin)
        throw std::runtime_error(path + " lacks the marks around the declared keys");
    const auto from = begin + begin_mark.size();
    return {text.substr(0, from), text.substr(from, end - from), text.substr(end)};
}

// The lines "#key = value" and "key = value" of a sample.
int undeclared_in(const std::string& path, const config::KeySet& keys) {
    const std::string text = read(path);
    const std::regex line("(?:^|\n)#?([a-z][A-Za-z0-9._-]*\\.[A-Za-z0-9._-]+|nodename) *=");
    int wrong = 0;
    for (std::sregex_iterator found(text.begin(), text.end(), line), end; found != end; ++found)
        if (keys.find((*found)[1].str()) == nullptr) {
            std::cout << path << ": nobody declares the key " << (*found)[1] << "\n";
            ++wrong;
        }
    return wrong;
}

// What is declared is never asked for among the keys of QVD 3.5 that have no effect.
int declared_without_effect(const config::KeySet& keys) {
    int wrong = 0;
    for (const std::string& name : config::names_without_effect())
        if (keys.find(name) != nullptr) {
            std::cout << "core/config/upstream_keys.cpp lists " << name
                      << " as without effect, but it is declared\n";
            ++wrong;
        }
    return wrong;
}

int check(const std::string& page, const std::string& sample, const std::string& list,
          const config::View& view) {
    int wrong = undeclared_in(sample, view.keys());
    if (page_of(page).list != list) {
        std::cout << page << " does not list the keys as the programs declare them; "
                  << "\"cmake --build BUILD --target write_configuration_pages\" mends it\n";
        ++wrong;
    }
    return wrong == 0 ? 0 : 1;
}

int obey(const std::vector<std::string>& words) {
    if (words.size() < 2) throw std::runtime_error("which program, and where are the plugins?");
    const config::View view = view_of(words[0], words[1]);
    const bool node = words[0] == "node";
    const std::string list = list_of(view, node);
    if (words.size() == 4 && words[2] == "--write") {
        const Page page = page_of(words[3]);
        std::ofstream(words[3]) << page.before << list << page.after;
        return 0;
    }
    if (words.size() == 5 && words[2] == "--check")
        return check(words[3], words[4], list, view) +
               (node ? declared_without_effect(view.keys()) : 0);
    std::cout << list;
    return 0;
}

}  // namespace

int main(int count, char** words) {
    try {
        return obey({words + 1, words + count});
    } catch (const std::exception& problem) {
        std::cerr << "configuration_keys: " << problem.what() << "\n";
        return 1;
    }
}
