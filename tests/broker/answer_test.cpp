#include "broker/answer.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace qvd;
using namespace qvd::broker;

namespace {

std::uint16_t status(ErrorKind kind, std::string code) {
    return error_reply(Error{kind, std::move(code), "because"}).status;
}

std::string header_of(const net::Reply& reply, std::string_view name) {
    const auto found =
        std::ranges::find(reply.headers, name, [](const auto& h) { return h.first; });
    return found == reply.headers.end() ? "" : found->second;
}

}  // namespace

TEST_CASE("Each refusal has the status that clients know") {
    CHECK(status(ErrorKind::denied, "auth.refused") == 401);
    CHECK(status(ErrorKind::denied, "auth.too_many") == 429);
    CHECK(status(ErrorKind::unavailable, "auth.unavailable") == 503);
    CHECK(status(ErrorKind::unsupported, "request.upgrade") == 426);
    CHECK(status(ErrorKind::invalid, "request.id_missing") == 422);
    CHECK(status(ErrorKind::denied, "request.foreign_parameter") == 403);
    CHECK(status(ErrorKind::not_found, "vm.not_found") == 404);
    CHECK(status(ErrorKind::denied, "vm.blocked") == 403);
    CHECK(status(ErrorKind::denied, "vm.not_allowed") == 403);
    CHECK(status(ErrorKind::unavailable, "node.blocked") == 503);
    CHECK(status(ErrorKind::timeout, "vm.start_timeout") == 504);
    CHECK(status(ErrorKind::timeout, "vm.stop_timeout") == 408);
    CHECK(status(ErrorKind::internal, "whatever") == 500);
}

TEST_CASE("A 401 says how to log in, a 426 what to speak") {
    CHECK(header_of(error_reply({ErrorKind::denied, "auth.refused", "no"}), "WWW-Authenticate") ==
          "Basic realm=\"QVD\"");
    CHECK(header_of(error_reply({ErrorKind::unsupported, "request.upgrade", "no"}), "Upgrade") ==
          "QVD/1.0");
}

TEST_CASE("An error carries its sentence and its code") {
    const net::Reply reply = error_reply({ErrorKind::not_found, "vm.not_found", "It is gone"});
    CHECK(reply.body == "It is gone\r\n");
    CHECK(header_of(reply, "X-QVD-Error") == "vm.not_found");
}

TEST_CASE("The list of VMs holds integers and strings, no booleans") {
    store::VmRecord vm;
    vm.vm.id = VmId{7};
    vm.vm.name = "a \"b\"";
    vm.runtime.state = VmState::debug;
    store::VmRecord other = vm;
    other.runtime.state = VmState::failed;
    other.runtime.blocked = true;
    const net::Reply reply = vm_list_reply({vm, other});
    CHECK(reply.status == 200);
    CHECK(reply.body ==
          "[{\"id\":7,\"name\":\"a \\\"b\\\"\",\"state\":\"debugging\",\"blocked\":0},"
          "{\"id\":7,\"name\":\"a \\\"b\\\"\",\"state\":\"stopped\",\"blocked\":1}]\n");
    CHECK(vm_list_reply({}).body == "[]\n");
}
