// A recipe: what goes into an image, as a YAML file says it.
//
//   format: 1                       of this file
//   extends: debian-base.yaml       optional; a recipe beside this one, which this one adds to:
//   lists
//                                   come behind its lists, a path that both name is this one's, and
//                                   so is anything else that both say
//   name: debian-minimal            letters, digits, "-", "_", "."
//   summary: one line               optional
//   suite: bookworm                 the release that the packages come from; optional if extended
//   architecture: amd64             optional; else this machine's
//   mirrors: [URL or file, ...]     optional; else the distribution's own
//   packages: [nxagent, ...]
//   locale: en_US.UTF-8             optional; built, and made the default
//   leave_out: [/usr/share/doc/*]   optional; files of packages that are not unpacked
//   folders: {/path: mode}          optional; mode in octal
//   links: {/path: target}          optional; replaces what is there
//   files:                          optional; owned by root, replaces what is there
//     /path: {from: FILE, mode: 755}    FILE beside the recipe, or @agent@ or @init@
//     /path: {text: "...", mode: 644}
//   run: [command, ...]             optional; in the image, as root, at the end, by its /bin/sh
//   machine: {packages, folders, links, files, run}
//                                   optional; what a disk for virtual machines has besides. A path
//                                   that both name is this one's. It brings a kernel, and GRUB's
//                                   /boot/grub/boot.img and core.img, which start it
#pragma once

#include "base/result.hpp"

#include <optional>
#include <string>
#include <vector>

namespace qvd::image {

struct RecipeFolder {
    std::string path;
    std::string mode;  // octal digits
};

struct RecipeLink {
    std::string path;
    std::string target;
};

struct RecipeFile {
    enum class Source { file, text, agent, init };

    std::string path;
    std::string mode;
    Source source = Source::text;
    std::string content;  // of text: itself; of file: its absolute path
};

// What a disk for virtual machines has besides.
struct MachineParts {
    std::vector<std::string> packages;
    std::vector<RecipeFolder> folders;
    std::vector<RecipeLink> links;
    std::vector<RecipeFile> files;
    std::vector<std::string> commands;
};

struct Recipe {
    std::string name;
    std::string summary;
    std::string suite;
    std::string architecture;
    std::vector<std::string> mirrors;
    std::vector<std::string> packages;
    std::string locale;
    std::vector<std::string> leave_out;
    std::vector<RecipeFolder> folders;
    std::vector<RecipeLink> links;
    std::vector<RecipeFile> files;
    std::vector<std::string> commands;
    std::optional<MachineParts> machine;
};

// The recipe of a disk for virtual machines. Errors: recipe.key if it has no `machine`.
Result<Recipe> for_machines(const Recipe& recipe);

// Errors, each with file and line: recipe.syntax, recipe.key (an unknown or missing one),
// recipe.value, recipe.file (one that is named but not there); file.* of the recipe itself.
Result<Recipe> read_recipe(const std::string& path);

}  // namespace qvd::image
