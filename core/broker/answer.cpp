#include "broker/answer.hpp"

#include "net/control.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <utility>

namespace qvd::broker {

namespace {

// Where the kind does not say enough. Codes are stable; clients and their users see the status.
constexpr std::array<std::pair<std::string_view, std::uint16_t>, 21> statuses{{
    {"auth.missing", 401},
    {"auth.scheme", 401},
    {"auth.malformed", 401},
    {"auth.empty", 401},
    {"auth.refused", 401},
    {"auth.too_many", 429},
    {"request.target", 400},
    {"request.path", 404},
    {"request.method", 405},
    {"request.upgrade", 426},
    {"request.id_missing", 422},
    {"request.id", 422},
    {"request.foreign_parameter", 403},
    {"node.blocked", 503},
    {"node.state", 503},
    {"node.unregistered", 503},
    {"admin.upgrade", 426},
    {"control.query", 400},
    {"vm.elsewhere", 409},
    {"vm.start_timeout", 504},
    {"vm.stop_timeout", 408},
}};

std::uint16_t status_of(const Error& error) {
    for (const auto& [code, status] : statuses)
        if (code == error.code()) return status;
    switch (error.kind()) {
        case ErrorKind::invalid:
            return 400;
        case ErrorKind::not_found:
            return 404;
        case ErrorKind::denied:
            return 403;
        case ErrorKind::conflict:
        case ErrorKind::unavailable:
        case ErrorKind::cancelled:
            return 503;
        case ErrorKind::timeout:
            return 504;
        case ErrorKind::unsupported:
            return 501;
        case ErrorKind::internal:
            return 500;
    }
    return 500;
}

}  // namespace

net::Reply text_reply(std::uint16_t status, std::string_view sentence) {
    net::Reply reply;
    reply.status = status;
    reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
    reply.body = std::string(sentence) + "\r\n";
    return reply;
}

net::Reply error_reply(const Error& error) {
    net::Reply reply = text_reply(status_of(error), error.sentence());
    if (reply.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"QVD\"");
    if (reply.status == 426)
        reply.headers.emplace_back("Upgrade", error.code() == "admin.upgrade"
                                                  ? std::string(net::control_protocol)
                                                  : "QVD/1.0");
    reply.headers.emplace_back("X-QVD-Error", error.code());
    return reply;
}

net::Reply vm_list_reply(const std::vector<store::VmRecord>& vms) {
    boost::json::array list;
    for (const store::VmRecord& record : vms) {
        boost::json::object vm;
        vm["id"] = record.vm.id.value();
        vm["name"] = record.vm.name;
        vm["state"] = client_name(record.runtime.state);
        vm["blocked"] = record.runtime.blocked ? 1 : 0;
        list.push_back(std::move(vm));
    }
    net::Reply reply;
    reply.status = 200;
    reply.headers = {{"Content-Type", "application/json"}};
    reply.body = boost::json::serialize(list) + "\n";
    return reply;
}

}  // namespace qvd::broker
