// qvd-image-build: an image from a recipe.
#include "client/wait.hpp"
#include "image/build.hpp"
#include "image/places.hpp"

#include <boost/json.hpp>
#include <boost/program_options.hpp>

#include <chrono>
#include <iostream>

namespace {

using namespace qvd;
namespace json = boost::json;
namespace options = boost::program_options;
using Clock = std::chrono::steady_clock;

constexpr const char* usage =
    "Usage: qvd-image-build RECIPE OUTPUT [options]\n"
    "Builds a disk image (DI): for containers an archive of a root file system,\n"
    "OUTPUT.tar.zst, .tar.gz, .tar.xz or .tar; for virtual machines a disk,\n"
    "OUTPUT.qcow2 or .raw (by root).\n";
constexpr const char* exit_codes =
    "\nExit status: 0 built; 2 wrong command line or recipe; 3 a program is missing;\n"
    "4 packages cannot be fetched or do not exist; 1 anything else.\n";

struct Wishes {
    std::string recipe;
    image::BuildSettings build;
    std::vector<std::string> mirrors;
    bool json = false;
};

int exit_code_of(const Error& error) {
    if (error.code().starts_with("recipe.") || error.code().starts_with("file.") ||
        error.code() == "image.output" || error.code() == "usage")
        return 2;
    if (error.code() == "image.tool" || error.code() == "image.part") return 3;
    if (error.code() == "image.network" || error.code() == "image.package") return 4;
    return 1;
}

void print(const json::object& object) {
    std::cout << json::serialize(object) << std::endl;
}

int complain(const Error& error, bool as_json) {
    const int code = exit_code_of(error);
    if (as_json) {
        print({{"event", "error"},
               {"code", error.code()},
               {"message", error.sentence()},
               {"exit_code", code}});
    } else {
        std::cerr << "qvd-image-build: " << error.sentence() << '\n';
    }
    return code;
}

Result<image::BuiltImage> build(const Wishes& wishes, const image::BuildProgress& progress) {
    QVD_TRY(const std::string file, image::find_recipe(wishes.recipe));
    QVD_TRY(image::Recipe recipe, image::read_recipe(file));
    if (!wishes.mirrors.empty()) recipe.mirrors = wishes.mirrors;
    return image::build(recipe, wishes.build, progress);
}

int build_and_tell(const Wishes& wishes) {
    const Clock::time_point start = Clock::now();
    const auto seconds = [start] {
        return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count();
    };
    const auto built = build(wishes, [&](const image::BuildStep& step) {
        if (wishes.json) {
            print({{"event", "progress"},
                   {"seconds", seconds()},
                   {"step", step.number},
                   {"of", step.of},
                   {"percent", step.percent ? json::value(*step.percent) : json::value(nullptr)},
                   {"text", step.text}});
        } else if (!step.percent) {
            std::cerr << "[" << seconds() << " s] " << step.number << "/" << step.of << " "
                      << step.text << std::endl;
        }
    });
    if (!built.ok()) return complain(built.error(), wishes.json);
    if (wishes.json) {
        print({{"event", "built"},
               {"file", built->file},
               {"bytes", built->bytes},
               {"seconds", seconds()}});
    } else {
        constexpr std::int64_t megabyte = 1'000'000;
        std::cout << built->file << ": " << built->bytes / megabyte << " MB in " << seconds()
                  << " s\n";
    }
    return 0;
}

options::options_description visible_options(Wishes& wishes) {
    options::options_description visible("Options");
    visible.add_options()("help,h", "show this help and exit")("version",
                                                               "show the version and exit")(
        "agent", options::value(&wishes.build.parts.agent)->value_name("FILE"),
        "the agent for the image (the installed qvd-vma)")(
        "init", options::value(&wishes.build.parts.init)->value_name("FILE"),
        "the init for the image (the installed qvd-image-init)")(
        "mirror", options::value(&wishes.mirrors)->value_name("URL"),
        "fetch packages from there; may be given more than once")(
        "json", options::bool_switch(&wishes.json), "print JSON, one object a line");
    return visible;
}

int run(int argc, char** argv) {
    Wishes wishes;
    const options::options_description visible = visible_options(wishes);
    options::options_description all;
    all.add(visible).add_options()("recipe", options::value(&wishes.recipe))(
        "output", options::value(&wishes.build.output));
    options::positional_options_description places;
    places.add("recipe", 1).add("output", 1);
    options::variables_map given;
    options::store(options::command_line_parser(argc, argv).options(all).positional(places).run(),
                   given);
    options::notify(given);
    if (given.contains("help")) {
        std::cout << usage << '\n' << visible << exit_codes;
        return 0;
    }
    if (given.contains("version")) {
        std::cout << "qvd-image-build " QVD_VERSION "\n";
        return 0;
    }
    if (wishes.recipe.empty() || wishes.build.output.empty())
        return complain(
            {ErrorKind::invalid, "usage", "RECIPE and OUTPUT, please; --help says more"},
            wishes.json);
    image::find_parts(wishes.build.parts);
    const auto stop = client::StopSignal::install();
    if (!stop.ok()) return complain(stop.error(), wishes.json);
    wishes.build.stop_fd = stop->fd();
    return build_and_tell(wishes);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const options::error& failure) {
        return complain({ErrorKind::invalid, "usage", failure.what()}, false);
    } catch (const std::exception& failure) {
        std::cerr << "qvd-image-build: internal error: " << failure.what() << '\n';
        return 1;
    }
}
