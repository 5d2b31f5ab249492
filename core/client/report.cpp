#include "client/report.hpp"

#include "base/log.hpp"
#include "client/exit_code.hpp"
#include "client/json.hpp"

#include <ostream>

namespace qvd::client {

namespace json = boost::json;

namespace {

std::string_view reason_of(RelayEnd end) {
    switch (end) {
        case RelayEnd::server_closed:
            return "the server ended the session";
        case RelayEnd::server_broke:
            return "the connection broke";
        case RelayEnd::display_closed:
            return "the desktop's window was closed";
        case RelayEnd::stopped:
            return "stopped";
    }
    return "";
}

std::string_view word_of(RelayEnd end) {
    switch (end) {
        case RelayEnd::server_closed:
            return "server_closed";
        case RelayEnd::server_broke:
            return "server_broke";
        case RelayEnd::display_closed:
            return "display_closed";
        case RelayEnd::stopped:
            return "stopped";
    }
    return "";
}

void print(std::ostream& out, const json::object& object) {
    out << json::serialize(object) << '\n' << std::flush;
}

}  // namespace

void Report::vms(const std::vector<OfferedVm>& vms) {
    if (!json_) {
        out_ << vm_table(vms) << std::flush;
        return;
    }
    json::array list;
    for (const OfferedVm& vm : vms)
        list.push_back(json::object{
            {"id", vm.id}, {"name", vm.name}, {"state", vm.state}, {"blocked", vm.blocked}});
    print(out_, {{"event", "vms"}, {"vms", std::move(list)}});
}

void Report::progress(const std::string& text) {
    log::info("session.progress", {}, text);
    if (json_) {
        print(out_, {{"event", "progress"}, {"text", text}});
    } else {
        err_ << text << '\n' << std::flush;
    }
}

void Report::connected(const OfferedVm& vm, pid_t nxproxy) {
    log::info("session.connected", {{"vm", vm.id}, {"name", vm.name}}, "the session is up");
    if (json_) {
        print(out_, {{"event", "connected"},
                     {"vm_id", vm.id},
                     {"vm_name", vm.name},
                     {"nxproxy_pid", nxproxy}});
    } else {
        err_ << "Connected to " << vm.name << '\n' << std::flush;
    }
}

void Report::ended(RelayEnd end) {
    log::info("session.ended", {{"reason", word_of(end)}}, reason_of(end));
    if (json_) {
        print(out_, {{"event", "ended"}, {"reason", word_of(end)}, {"exit_code", 0}});
    } else {
        err_ << "Session over: " << reason_of(end) << '\n' << std::flush;
    }
}

int Report::failed(const Error& error) {
    const int exit_code = static_cast<int>(exit_code_of(error));
    log::error("client.failed", {{"code", error.code()}, {"exit_code", exit_code}},
               error.sentence());
    if (json_) {
        print(out_, {{"event", "error"},
                     {"code", error.code()},
                     {"message", error.sentence()},
                     {"exit_code", exit_code}});
    } else {
        err_ << "qvdclient: " << error.sentence() << '\n' << std::flush;
    }
    return exit_code;
}

}  // namespace qvd::client
