#include "net/control.hpp"

#include "base/text.hpp"
#include "net/query.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace qvd::net {

namespace {

struct Known {
    ControlVerb verb;
    std::string_view name;
    std::string_view path;  // whole, or what follows "/v1/vm/ID/"
    bool of_vm;
    bool stream;
};

constexpr std::array known{
    Known{ControlVerb::status, "status", "/v1/status", false, false},
    Known{ControlVerb::vms, "vms", "/v1/vms", false, false},
    Known{ControlVerb::plugins, "plugins", "/v1/plugins", false, false},
    Known{ControlVerb::metrics, "metrics", "/metrics", false, false},
    Known{ControlVerb::log, "log", "log", true, false},
    Known{ControlVerb::console, "console", "console", true, true},
    Known{ControlVerb::vnc, "vnc", "vnc", true, true},
    Known{ControlVerb::ssh, "ssh", "ssh", true, true},
    Known{ControlVerb::failure, "failure", "failure", true, false},
    Known{ControlVerb::storage, "storage", "/v1/storage", false, false},
    Known{ControlVerb::collect, "collect", "/v1/storage/collect", false, false},
};

constexpr std::string_view before_vm = "/v1/vm/";
constexpr std::size_t most_parameters = 16;
constexpr std::size_t longest_parameter = 256;

const Known& of(ControlVerb verb) {
    for (const Known& one : known)
        if (one.verb == verb) return one;
    return known.front();
}

std::optional<ControlRequest> parse_path(std::string_view path) {
    for (const Known& one : known)
        if (!one.of_vm && one.path == path) return ControlRequest{one.verb, {}, {}};
    if (!path.starts_with(before_vm)) return std::nullopt;
    path.remove_prefix(before_vm.size());
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto id = text::to_integer(path.substr(0, slash));
    if (!id || *id <= 0) return std::nullopt;
    for (const Known& one : known)
        if (one.of_vm && one.path == path.substr(slash + 1))
            return ControlRequest{one.verb, VmId{*id}, {}};
    return std::nullopt;
}

Result<Headers> bounded_query(std::string_view query) {
    const auto is_good = [](const auto& parameter) {
        return !parameter.first.empty() && parameter.first.size() <= longest_parameter &&
               parameter.second.size() <= longest_parameter;
    };
    auto parameters = parse_query(query);
    if (!parameters || parameters->size() > most_parameters ||
        !std::ranges::all_of(*parameters, is_good))
        return Error{ErrorKind::invalid, "control.query", "the query is broken or too long"};
    return std::move(*parameters);
}

}  // namespace

std::string_view to_string(ControlVerb verb) {
    return of(verb).name;
}

std::optional<ControlVerb> control_verb(std::uint8_t number) {
    for (const Known& one : known)
        if (static_cast<std::uint8_t>(one.verb) == number) return one.verb;
    return std::nullopt;
}

bool is_stream(ControlVerb verb) {
    return of(verb).stream;
}

Result<ControlRequest> parse_control_target(std::string_view target) {
    const std::size_t question = target.find('?');
    const auto request = parse_path(target.substr(0, question));
    if (!request)
        return Error{ErrorKind::not_found, "control.target",
                     "there is nothing at " + text::quoted(target, 128)};
    ControlRequest whole = *request;
    if (question != std::string_view::npos) {
        QVD_TRY(whole.parameters, bounded_query(target.substr(question + 1)));
    }
    return whole;
}

std::string control_target(ControlVerb verb, VmId vm) {
    const Known& one = of(verb);
    if (!one.of_vm) return std::string(one.path);
    return std::string(before_vm) + vm.text() + "/" + std::string(one.path);
}

}  // namespace qvd::net
