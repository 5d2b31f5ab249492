#include "options.hpp"

#include "config/keys.hpp"

#include <vector>

namespace qvd::node {

namespace {

Error wrong(const std::string& sentence) {
    return {ErrorKind::invalid, "usage", sentence + "; `qvd-node --help` shows what there is"};
}

class Parser {
public:
    explicit Parser(std::span<char* const> words) {
        options_.config_file = config::default_node_file;
        options_.log.program = "qvd-node";
        for (char* const word : words.subspan(words.empty() ? 0 : 1)) words_.emplace_back(word);
    }

    Result<Options> parse() {
        while (at_ < words_.size()) {
            const std::string word = words_[at_++];
            if (word.starts_with("-")) {
                QVD_CHECK(option(word));
            } else {
                QVD_CHECK(verb(word));
            }
        }
        if (all_vms_ && options_.verb != Options::Verb::stop) return wrong("--vms belongs to stop");
        if (all_vms_) options_.verb = Options::Verb::stop_vms;
        if (options_.role && options_.instance.empty()) return wrong("--role needs --instance");
        return std::move(options_);
    }

private:
    using Verb = Options::Verb;

    Result<void> verb(const std::string& word) {
        if (options_.verb != Verb::run) return wrong("there is more than one command");
        if (word == "reload")
            options_.verb = Verb::reload;
        else if (word == "stop")
            options_.verb = Verb::stop;
        else if (word == "status")
            options_.verb = Verb::status;
        else
            return wrong("there is no command \"" + word + "\"");
        return {};
    }

    Result<void> option(const std::string& word) {
        const std::size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
        const std::string name = word.substr(0, equals);
        if (flag(name)) {
            if (equals == std::string::npos) return {};
            return wrong(name + " takes no value");
        }
        std::string* const target = value_of(name);
        if (target == nullptr && name != "--role") return wrong("there is no option " + name);
        std::string value;
        if (equals != std::string::npos)
            value = word.substr(equals + 1);
        else if (at_ < words_.size())
            value = words_[at_++];
        else
            return wrong(name + " needs a value");
        return set(name, target, value);
    }

    Result<void> set(const std::string& name, std::string* target, const std::string& value) {
        if (target != nullptr) *target = value;
        if (name == "--role") {
            options_.role = net::parse_role(value);
            if (!options_.role) return wrong("there is no role \"" + value + "\"");
        }
        if (name == "--log-level") {
            QVD_TRY(options_.log.level, log::parse_level(value));
        }
        return {};
    }

    bool flag(const std::string& name) {
        if (name == "-h" || name == "--help" || name == "-?")
            options_.verb = Verb::help;
        else if (name == "-V" || name == "--version")
            options_.verb = Verb::version;
        else if (name == "--check-config")
            options_.verb = Verb::check_config;
        else if (name == "--daemon")
            options_.daemon = true;
        else if (name == "--vms")
            all_vms_ = true;
        else if (name == "--json")
            options_.json = true;
        else if (name == "--log-syslog")
            options_.log.syslog = true;
        else
            return name == "-X";  // in the foreground: as it is anyway
        return true;
    }

    std::string* value_of(const std::string& name) {
        if (name == "-c" || name == "--config" || name == "-f" || name == "--config-file")
            return &options_.config_file;
        if (name == "--instance") return &options_.instance;
        if (name == "--log-file") return &options_.log.file;
        if (name == "--log-level") return &log_level_;
        if (name == "--user") return &options_.user;
        return nullptr;
    }

    std::vector<std::string> words_;
    std::size_t at_ = 0;
    Options options_;
    bool all_vms_ = false;
    std::string log_level_;
};

}  // namespace

Result<Options> parse_options(std::span<char* const> words) {
    return Parser(words).parse();
}

std::string_view usage() {
    return "Usage: qvd-node [OPTION]...             run this node\n"
           "       qvd-node [-c FILE] reload        take new configuration, plugins or program; "
           "no\n"
           "                                        session is dropped\n"
           "       qvd-node [-c FILE] stop          stop serving; VMs run on\n"
           "       qvd-node [-c FILE] stop --vms    stop every VM of the node, too\n"
           "       qvd-node [-c FILE] status [--json]\n"
           "       qvd-node [-c FILE] --check-config\n"
           "\n"
           "  -c, --config FILE   configuration (default /etc/qvd/node.conf; also -f, "
           "--config-file)\n"
           "      --daemon        go into the background once the node is up\n"
           "  -X                  stay in the foreground (the default)\n"
           "      --check-config  load configuration and plugins, say what was found, start "
           "nothing\n"
           "  -V, --version\n"
           "  -h, --help\n";
}

}  // namespace qvd::node
