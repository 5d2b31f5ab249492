// What a client asked for, out of the request head that a worker passed on.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "model/vm.hpp"
#include "net/frames.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::broker {

// Query parameters, decoded; an empty value counts as absent (protocol A2).
struct Target {
    std::string path;
    Properties parameters;
};

// invalid "request.target" for a broken escape.
Result<Target> parse_target(std::string_view target);

// Of the header `name` in any case, the value without surrounding blanks; the first one counts.
std::optional<std::string> header(const net::Headers& headers, std::string_view name);

// "Connection: Upgrade" and "Upgrade: `protocol`", in any case.
bool asks_upgrade(const net::Headers& headers, std::string_view protocol);

struct Credentials {
    std::string login;  // as typed
    Secret password;
};

// denied "auth.missing" | "auth.scheme" | "auth.malformed": all of them are a 401.
Result<Credentials> parse_authorization(const net::Headers& headers);

// Variables that the client shares: `Auth-<hex of name>: <base64 of value>` (protocol A4). At most
// 64 of them, 4 KiB each; whatever is malformed is left out.
Properties shared_environment(const net::Headers& headers);

// The parameters of connect_to_vm but `id`; each must begin with qvd.client. or custom.
struct ConnectParameters {
    VmId vm;
    Properties session;
};
// invalid "request.id_missing"; denied "request.foreign_parameter" naming them all.
Result<ConnectParameters> parse_connect_parameters(const Target& target);
// invalid "request.id_missing" | "request.id".
Result<VmId> parse_vm_id(const Target& target);

}  // namespace qvd::broker
