#include "broker/request.hpp"

#include "base/text.hpp"
#include "net/query.hpp"

#include <algorithm>

namespace qvd::broker {

namespace {

constexpr std::size_t max_shared_variables = 64;
constexpr std::size_t max_shared_bytes = 4096;

bool is_session_parameter(std::string_view name) {
    return name.starts_with("qvd.client.") || name.starts_with("custom.");
}

std::optional<std::string> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string escaped;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        escaped += '%';
        escaped += hex.substr(i, 2);
    }
    return text::percent_decode(escaped, false);
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
    const std::size_t query = target.find('?');
    Target parsed{std::string(target.substr(0, query)), {}};
    if (query == std::string_view::npos) return parsed;
    const auto parameters = net::parse_query(target.substr(query + 1));
    if (!parameters)
        return Error{ErrorKind::invalid, "request.target", "the query holds a broken %XX escape"};
    for (const auto& [name, value] : *parameters)
        if (!name.empty() && !value.empty()) parsed.parameters[name] = value;
    return parsed;
}

std::optional<std::string> header(const net::Headers& headers, std::string_view name) {
    for (const auto& [key, value] : headers)
        if (text::equals_ignoring_case(key, name)) return std::string(text::trim(value));
    return std::nullopt;
}

bool asks_upgrade(const net::Headers& headers, std::string_view protocol) {
    const auto connection = header(headers, "Connection");
    const auto upgrade = header(headers, "Upgrade");
    if (!connection || !upgrade || !text::equals_ignoring_case(*upgrade, protocol)) return false;
    return std::ranges::any_of(text::split_list(*connection), [](const std::string& token) {
        return text::equals_ignoring_case(token, "upgrade");
    });
}

Result<Credentials> parse_authorization(const net::Headers& headers) {
    const auto value = header(headers, "Authorization");
    if (!value) return Error{ErrorKind::denied, "auth.missing", "no credentials were sent"};
    constexpr std::string_view scheme = "basic ";
    if (!text::equals_ignoring_case(std::string_view(*value).substr(0, scheme.size()), scheme))
        return Error{ErrorKind::denied, "auth.scheme", "only Basic authorization is understood"};
    auto decoded = text::base64_decode(text::trim(std::string_view(*value).substr(scheme.size())));
    const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos || decoded->find('\0') != std::string::npos)
        return Error{ErrorKind::denied, "auth.malformed", "the credentials are malformed"};
    Credentials credentials{decoded->substr(0, colon),
                            Secret{std::string_view(*decoded).substr(colon + 1)}};
    std::ranges::fill(*decoded, '\0');
    if (text::trim(credentials.login).empty() || credentials.password.empty())
        return Error{ErrorKind::denied, "auth.empty", "an empty login or password is refused"};
    return credentials;
}

Properties shared_environment(const net::Headers& headers) {
    constexpr std::string_view prefix = "auth-";
    Properties variables;
    for (const auto& [key, value] : headers) {
        if (variables.size() >= max_shared_variables) break;
        if (!text::lower(key).starts_with(prefix)) continue;
        const auto name = from_hex(std::string_view(key).substr(prefix.size()));
        const auto content = text::base64_decode(text::trim(value));
        if (name && content && !name->empty() && content->size() <= max_shared_bytes)
            variables[*name] = *content;
    }
    return variables;
}

Result<VmId> parse_vm_id(const Target& target) {
    const auto id = target.parameters.find("id");
    if (id == target.parameters.end())
        return Error{ErrorKind::invalid, "request.id_missing", "parameter id is missing"};
    const auto number = text::to_integer(id->second);
    if (!number || *number <= 0)
        return Error{ErrorKind::invalid, "request.id",
                     "parameter id is not a number: " + text::quoted(id->second, 32)};
    return VmId{*number};
}

Result<ConnectParameters> parse_connect_parameters(const Target& target) {
    QVD_TRY(const VmId vm, parse_vm_id(target));
    ConnectParameters parameters{vm, {}};
    std::vector<std::string> foreign;
    for (const auto& [name, value] : target.parameters) {
        if (name == "id") continue;
        if (is_session_parameter(name))
            parameters.session[name] = value;
        else
            foreign.push_back(name);
    }
    if (!foreign.empty())
        return Error{ErrorKind::denied, "request.foreign_parameter",
                     "Invalid parameters " + text::join(foreign, ", ")};
    return parameters;
}

}  // namespace qvd::broker
