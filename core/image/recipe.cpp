#include "image/recipe.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace qvd::image {
namespace {

constexpr std::string_view name_letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

// Those of `more` behind the others, in place of which they come where both name a path.
template <class Part>
void replace(std::vector<Part>& parts, const std::vector<Part>& more) {
    for (const Part& part : more) {
        std::erase_if(parts, [&](const Part& old) { return old.path == part.path; });
        parts.push_back(part);
    }
}

// A link of one is a file of the other.
template <class Part, class Other>
void make_way(std::vector<Part>& parts, const std::vector<Other>& others) {
    for (const Other& other : others)
        std::erase_if(parts, [&](const Part& old) { return old.path == other.path; });
}

template <class Word>
void append(std::vector<Word>& words, const std::vector<Word>& more) {
    words.insert(words.end(), more.begin(), more.end());
}

// What a recipe, or its part for machines, brings besides: it counts where both name a path.
template <class Parts, class More>
void add_parts(Parts& parts, const More& more) {
    append(parts.packages, more.packages);
    append(parts.commands, more.commands);
    make_way(parts.files, more.links);
    make_way(parts.links, more.files);
    replace(parts.folders, more.folders);
    replace(parts.links, more.links);
    replace(parts.files, more.files);
}

void prefer(std::string& text, std::string own) {
    if (!own.empty()) text = std::move(own);
}

// `base` with what `own` says besides or otherwise.
Recipe extended(Recipe base, Recipe own) {
    base.name = std::move(own.name);
    prefer(base.summary, std::move(own.summary));
    prefer(base.suite, std::move(own.suite));
    prefer(base.architecture, std::move(own.architecture));
    prefer(base.locale, std::move(own.locale));
    if (!own.mirrors.empty()) base.mirrors = std::move(own.mirrors);
    append(base.leave_out, own.leave_out);
    add_parts(base, own);
    if (base.machine && own.machine)
        add_parts(*base.machine, *own.machine);
    else if (own.machine)
        base.machine = std::move(own.machine);
    return base;
}

// Reads one recipe; the first error wins, by exception inside and as a value outside.
class Reader {
public:
    // `inner`: the recipes that extend this one, the outermost first.
    explicit Reader(std::filesystem::path file, std::vector<std::filesystem::path> inner = {})
        : file_(std::move(file)), chain_(std::move(inner)) {}

    // NOLINTNEXTLINE(misc-no-recursion): as deep as recipes extend each other, none twice
    Recipe read(const std::string& content) {
        try {
            return read_root(YAML::Load(content));
        } catch (const YAML::Exception& failure) {
            throw Failure{{ErrorKind::invalid, "recipe.syntax",
                           file_.string() + ":" + std::to_string(failure.mark.line + 1) + ": " +
                               failure.msg}};
        }
    }

    // Thrown by fail(), caught in read_recipe().
    struct Failure {
        Error error;
    };

private:
    // NOLINTNEXTLINE(misc-no-recursion): as deep as recipes extend each other, none twice
    [[nodiscard]] Recipe read_root(const YAML::Node& root) const {
        if (!root.IsMap()) fail(root, "recipe.syntax", "a recipe is a list of `key: value`");
        expect_keys(root, {"format", "extends", "name", "summary", "suite", "architecture",
                           "mirrors", "packages", "locale", "leave_out", "folders", "links",
                           "files", "run", "machine"});
        if (word(root, "format") != "1")
            fail(root["format"], "recipe.value", "this program understands `format: 1`");
        Recipe recipe;
        recipe.name = name(root, "name");
        recipe.summary = word(root, "summary", false);
        recipe.suite = name(root, "suite", !root["extends"].IsDefined());
        recipe.architecture = name(root, "architecture", false);
        recipe.locale = word(root, "locale", false);
        recipe.mirrors = words(root, "mirrors");
        recipe.packages = words(root, "packages");
        recipe.leave_out = words(root, "leave_out");
        recipe.commands = words(root, "run");
        read_tree(root, recipe);
        if (root["machine"].IsDefined()) recipe.machine = machine(root["machine"]);
        if (root["extends"].IsDefined()) return extended(extended_by(root), std::move(recipe));
        return recipe;
    }

    // The recipe that `extends` names.
    // NOLINTNEXTLINE(misc-no-recursion): as deep as recipes extend each other, none twice
    [[nodiscard]] Recipe extended_by(const YAML::Node& root) const {
        const std::filesystem::path base =
            (file_.parent_path() / word(root, "extends")).lexically_normal();
        std::vector<std::filesystem::path> chain = chain_;
        chain.push_back(file_.lexically_normal());
        if (std::find(chain.begin(), chain.end(), base) != chain.end())
            fail(root["extends"], "recipe.value", base.string() + " would extend itself");
        const auto content = file::read(base.string());
        if (!content.ok())
            fail(root["extends"], "recipe.file", "there is no readable recipe " + base.string());
        return Reader(base, std::move(chain)).read(*content);
    }

    [[noreturn]] void fail(const YAML::Node& at, const std::string& code,
                           const std::string& sentence) const {
        const int line = at.IsDefined() ? at.Mark().line : -1;
        throw Failure{
            {ErrorKind::invalid, code,
             file_.string() + (line < 0 ? "" : ":" + std::to_string(line + 1)) + ": " + sentence}};
    }

    void expect_keys(const YAML::Node& map, const std::vector<std::string>& known) const {
        for (const auto& item : map) {
            const auto key = item.first.as<std::string>();
            if (std::find(known.begin(), known.end(), key) != known.end()) continue;
            const std::string near = text::nearest(key, known);
            fail(item.first, "recipe.key",
                 "there is no key \"" + key + "\"" +
                     (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
        }
    }

    [[nodiscard]] std::string scalar(const YAML::Node& node, const std::string& key) const {
        if (!node.IsScalar()) fail(node, "recipe.value", key + " must be one word or text");
        return node.as<std::string>();
    }

    [[nodiscard]] std::string word(const YAML::Node& map, const std::string& key,
                                   bool required = true) const {
        const YAML::Node node = map[key];
        if (node.IsDefined() && !node.IsNull()) return scalar(node, key);
        if (required) fail(map, "recipe.key", "\"" + key + "\" is missing");
        return {};
    }

    [[nodiscard]] std::string name(const YAML::Node& map, const std::string& key,
                                   bool required = true) const {
        std::string value = word(map, key, required);
        if (value.find_first_not_of(name_letters) != std::string::npos ||
            (required && value.empty()))
            fail(map[key], "recipe.value",
                 key + R"( may have letters, digits, "-", "_" and ".", not ")" + value + "\"");
        return value;
    }

    [[nodiscard]] std::vector<std::string> words(const YAML::Node& map,
                                                 const std::string& key) const {
        const YAML::Node node = map[key];
        std::vector<std::string> list;
        if (!node.IsDefined() || node.IsNull()) return list;
        if (!node.IsSequence()) fail(node, "recipe.value", key + " must be a list");
        for (const YAML::Node& item : node) list.push_back(scalar(item, key));
        return list;
    }

    // Each `path: value` of a map, in the order of the file.
    template <class Take>
    void each(const YAML::Node& root, const std::string& key, Take take) const {
        const YAML::Node node = root[key];
        if (!node.IsDefined() || node.IsNull()) return;
        if (!node.IsMap())
            fail(node, "recipe.value", key + " must have a line `/path: ...` for each");
        for (const auto& item : node) {
            const auto path = item.first.as<std::string>();
            if (!path.starts_with('/') || path.find("/../") != std::string::npos)
                fail(item.first, "recipe.value", "\"" + path + "\" is no absolute path");
            take(path, item.second);
        }
    }

    [[nodiscard]] std::string mode(const YAML::Node& node, const std::string& fallback) const {
        if (!node.IsDefined()) return fallback;
        std::string text = scalar(node, "mode");
        if (text.empty() || text.size() > 5 ||
            text.find_first_not_of("01234567") != std::string::npos)
            fail(node, "recipe.value", "\"" + text + "\" is no mode; 755 is one");
        return text;
    }

    [[nodiscard]] RecipeFile file(const std::string& path, const YAML::Node& node) const {
        if (!node.IsMap()) fail(node, "recipe.value", path + " needs {from: ...} or {text: ...}");
        expect_keys(node, {"from", "text", "mode"});
        RecipeFile file{path, mode(node["mode"], "644"), RecipeFile::Source::text, {}};
        const std::string from = word(node, "from", false);
        if (from.empty() == !node["text"].IsDefined())
            fail(node, "recipe.value", path + " needs either `from` or `text`");
        if (from.empty()) {
            file.content = word(node, "text");
        } else if (from == "@agent@" || from == "@init@") {
            file.source = from == "@agent@" ? RecipeFile::Source::agent : RecipeFile::Source::init;
        } else {
            file.source = RecipeFile::Source::file;
            file.content = std::filesystem::absolute(file_.parent_path() / from).string();
            if (::access(file.content.c_str(), R_OK) != 0)
                fail(node, "recipe.file", "there is no readable file " + file.content);
        }
        return file;
    }

    template <class Parts>  // a Recipe, or its MachineParts
    void read_tree(const YAML::Node& root, Parts& parts) const {
        each(root, "folders", [&](const std::string& path, const YAML::Node& node) {
            parts.folders.push_back({path, mode(node, "755")});
        });
        each(root, "links", [&](const std::string& path, const YAML::Node& node) {
            parts.links.push_back({path, scalar(node, path)});
        });
        each(root, "files", [&](const std::string& path, const YAML::Node& node) {
            parts.files.push_back(file(path, node));
        });
    }

    [[nodiscard]] MachineParts machine(const YAML::Node& node) const {
        if (!node.IsMap()) fail(node, "recipe.value", "machine needs {packages: ...} and its like");
        expect_keys(node, {"packages", "folders", "links", "files", "run"});
        MachineParts parts;
        parts.packages = words(node, "packages");
        parts.commands = words(node, "run");
        read_tree(node, parts);
        return parts;
    }

    std::filesystem::path file_;
    std::vector<std::filesystem::path> chain_;
};

}  // namespace

Result<Recipe> for_machines(const Recipe& recipe) {
    if (!recipe.machine)
        return Error{ErrorKind::invalid, "recipe.key",
                     "the recipe " + recipe.name +
                         " is for containers only: it has no `machine`, which says what a disk "
                         "for virtual machines has besides"};
    Recipe made = recipe;
    add_parts(made, *recipe.machine);
    return made;
}

Result<Recipe> read_recipe(const std::string& path) {
    QVD_TRY(const std::string content, file::read(path));
    try {
        return Reader(path).read(content);
    } catch (Reader::Failure& failure) {
        return std::move(failure.error);
    }
}

}  // namespace qvd::image
