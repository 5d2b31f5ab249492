#include "command_line.hpp"

#include "base/text.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <span>

namespace qvd::qa {

namespace {

struct Option {
    std::string_view name;
    std::string_view letter;
    bool takes_value;
};

constexpr std::array<Option, 14> options{{
    {"--filter", "-f", true},
    {"--config", "-c", true},
    {"--force", "", false},
    {"--quiet", "-q", false},
    {"--help", "-h", false},
    {"--json", "", false},
    {"--version", "", false},
    {"--all", "", false},
    {"--wait", "", false},
    {"--purge", "", false},
    {"--usage", "", false},
    {"--dry-run", "", false},
    {"--node", "", true},
    {"--operator", "", true},
}};

Error usage(const std::string& sentence) {
    return {ErrorKind::invalid, "usage", sentence};
}

// "-F", "--Filter" and "--fil" are --filter; "--f" is not, because --force fits as well.
Result<const Option*> find_option(const std::string& given) {
    const std::string word = text::lower(given);
    const Option* fitting = nullptr;
    for (const Option& option : options) {
        if (word == option.name || word == option.letter) return &option;
        if (word.size() < 3 || !option.name.starts_with(word)) continue;
        if (fitting != nullptr) return usage("the option " + given + " is ambiguous");
        fitting = &option;
    }
    if (fitting == nullptr) return usage("there is no option " + given);
    return fitting;
}

class Parser {
public:
    explicit Parser(std::span<char*> arguments) : arguments_(arguments) {}

    Result<CommandLine> run() {
        for (; at_ < arguments_.size(); ++at_) {
            const std::string word = arguments_[at_];
            if (word == "--") break;
            if (word.size() > 1 && word.front() == '-') {
                QVD_CHECK(option(word));
            } else {
                QVD_CHECK(plain(word));
            }
        }
        for (++at_; at_ < arguments_.size(); ++at_) line_.words.emplace_back(arguments_[at_]);
        return std::move(line_);
    }

private:
    Result<void> option(const std::string& word) {
        const std::size_t equals = word.find('=');
        QVD_TRY(const Option* found, find_option(word.substr(0, equals)));
        std::string value;
        if (found->takes_value) {
            if (equals != std::string::npos && word.starts_with("--")) {
                value = word.substr(equals + 1);
            } else if (++at_ < arguments_.size()) {
                value = arguments_[at_];
            } else {
                return usage("the option " + word + " needs a value");
            }
        }
        apply(*found, value);
        return {};
    }

    void apply(const Option& option, const std::string& value) {
        if (option.name == "--filter") return line_.filters.push_back(value);
        if (option.name == "--config") line_.config_file = value;
        if (option.name == "--node") line_.node = value;
        if (option.name == "--operator") line_.operator_name = value;
        if (option.name == "--force") line_.force = true;
        if (option.name == "--quiet") line_.quiet = true;
        if (option.name == "--help") line_.help = true;
        if (option.name == "--json") line_.json = true;
        if (option.name == "--version") line_.version = true;
        if (option.name == "--all") line_.all = true;
        if (option.name == "--wait") line_.wait = true;
        if (option.name == "--purge") line_.purge = true;
        if (option.name == "--usage") line_.usage = true;
        if (option.name == "--dry-run") line_.dry_run = true;
    }

    Result<void> plain(const std::string& word) {
        const std::size_t equals = word.find('=');
        if (line_.object.empty()) {
            line_.object = word;
        } else if (line_.command.empty()) {
            line_.command = word;
        } else if (equals == std::string::npos || equals == 0) {
            line_.words.push_back(word);
        } else {
            take_parameter(word.substr(0, equals), word.substr(equals + 1));
        }
        return {};
    }

    void take_parameter(const std::string& key, std::string value) {
        if (key != "password") {
            line_.parameters[key] = std::move(value);
            return;
        }
        line_.password = Secret{value};
        line_.has_password = true;
        char* shown = std::strchr(arguments_[at_], '=') + 1;
        explicit_bzero(shown, std::strlen(shown));
        explicit_bzero(value.data(), value.size());
    }

    std::span<char*> arguments_;
    std::size_t at_ = 0;
    CommandLine line_;
};

}  // namespace

Result<CommandLine> parse_command_line(int count, char** arguments) {
    const std::span<char*> all(arguments, static_cast<std::size_t>(count));
    return Parser(all.subspan(count > 0 ? 1 : 0)).run();
}

}  // namespace qvd::qa
