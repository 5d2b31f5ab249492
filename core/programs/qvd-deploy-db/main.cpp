// qvd-deploy-db: makes the database's schema, or brings it up to date.
#include "config/keys.hpp"
#include "store/deploy.hpp"
#include "store/embedded.hpp"
#include "store/keys.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/variables_map.hpp>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

namespace {

using namespace qvd;
namespace po = boost::program_options;

// The exit codes, as --help lists them.
enum Exit : int { done = 0, failed = 1, wrong_usage = 2, newer_schema = 3, not_confirmed = 4 };

struct Options {
    std::string file;  // empty: the usual one, if it exists
    bool force = false;
    bool yes = false;
};

po::options_description description() {
    po::options_description all("Options");
    auto add = all.add_options();
    add("config,c", po::value<std::string>()->value_name("FILE"),
        "the node's configuration instead of /etc/qvd/node.conf");
    add("force,f", "throw away everything in the database and begin anew");
    add("yes,y", "with --force: do not ask (needed where there is no terminal)");
    add("help,h", "this text");
    add("version", "the version of the program and of its schema");
    return all;
}

void print_help() {
    std::cout << "Usage: qvd-deploy-db [--force [--yes]] [-c FILE]\n\n"
                 "Makes QVD's schema in its database, or migrates an older one, and grants hkd and "
                 "broker\ntheir rights. Without database.host in the configuration the database is "
                 "the embedded\none, which is made and started if need be. Without --force nothing "
                 "is ever lost.\n\n"
              << description()
              << "\nExit status: 0 done, 1 failed, 2 wrong arguments or configuration,\n"
                 "3 the schema is of a newer release, 4 not confirmed\n";
}

int report(const Error& error, int code) {
    std::cerr << "qvd-deploy-db: " << error.sentence() << '\n';
    return error.code() == "store.schema_newer" ? newer_schema : code;
}

Result<config::View> read_configuration(const Options& options) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    store::declare(*keys);
    const std::string path = options.file.empty() ? config::default_node_file : options.file;
    config::Properties properties;
    if (!options.file.empty() || std::filesystem::exists(path)) {
        QVD_TRY(properties, config::Properties::read(path));
    }
    config::View view(std::move(keys), std::move(properties));
    QVD_CHECK(view.check());
    return view;
}

// Whether the person there wants to lose it. Nothing to lose needs no question.
bool confirmed(const store::SchemaState& state, const Options& options) {
    if (state.version == 0) return true;
    std::cout << "This destroys the schema in " << state.where << " (version " << state.version
              << ") with "
              << (state.contents.empty() ? std::string("whatever is in it") : state.contents)
              << ".\n";
    if (options.yes) return true;
    if (::isatty(STDIN_FILENO) == 0) {
        std::cerr << "qvd-deploy-db: there is no terminal to ask on; say --yes if that is wanted\n";
        return false;
    }
    std::cout << "Are you sure? [y/N] " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    return !answer.empty() && (answer.front() == 'y' || answer.front() == 'Y');
}

int deploy(const Options& options) {
    const auto view = read_configuration(options);
    if (!view.ok()) return report(view.error(), wrong_usage);
    if (const auto place = store::embedded_place(*view)) {
        store::EmbeddedCluster cluster(*place);
        if (const auto running = cluster.ensure_running(); !running.ok())
            return report(running.error(), failed);
    }
    if (options.force) {
        const auto state = store::schema_state(*view);
        if (!state.ok()) return report(state.error(), failed);
        if (!confirmed(*state, options)) return not_confirmed;
    }
    const auto deployment = store::deploy(*view, options.force);
    if (!deployment.ok()) return report(deployment.error(), failed);
    for (const std::string& warning : deployment->warnings)
        std::cerr << "qvd-deploy-db: warning: " << warning << '\n';
    for (const std::string& line : deployment->done) std::cout << line << '\n';
    return done;
}

int run(int count, char** arguments) {
    Options options;
    po::variables_map given;
    try {
        po::store(po::command_line_parser(count, arguments)
                      .options(description())
                      .positional(po::positional_options_description())
                      .run(),
                  given);
    } catch (const po::error& wrong) {
        std::cerr << "qvd-deploy-db: " << wrong.what() << " (see qvd-deploy-db --help)\n";
        return wrong_usage;
    }
    if (given.contains("help")) {
        print_help();
        return done;
    }
    if (given.contains("version")) {
        std::cout << "qvd-deploy-db " QVD_VERSION ", schema version " << store::schema_version()
                  << '\n';
        return done;
    }
    if (given.contains("config")) options.file = given["config"].as<std::string>();
    options.force = given.contains("force");
    options.yes = given.contains("yes");
    return deploy(options);
}

}  // namespace

int main(int count, char** arguments) {
    try {
        return run(count, arguments);
    } catch (const std::exception& broken) {
        std::cerr << "qvd-deploy-db: " << broken.what() << '\n';
        return failed;
    }
}
