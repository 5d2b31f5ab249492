// What the running node says of itself.
#include "admin/doctor/checks.hpp"
#include "base/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>

#include <vector>

namespace qvd::admin::doctor {

namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    return value != nullptr && value->is_string() ? json::value_to<std::string>(*value)
                                                  : std::string();
}

// "l7r is starting: there is no certificate" of each role that is not at its work.
std::vector<std::string> complaints_of(const json::object& status) {
    std::vector<std::string> complaints;
    const json::value* const roles = status.if_contains("roles");
    if (roles == nullptr || !roles->is_array()) return complaints;
    for (const json::value& one : roles->get_array()) {
        if (!one.is_object()) continue;
        const json::object& role = one.get_object();
        const std::string state = text_of(role, "state");
        const std::string why = text_of(role, "status");
        if (why.empty() && state != "starting") continue;
        complaints.push_back(text_of(role, "role") + " is " + state +
                             (why.empty() ? "" : ": " + why));
    }
    return complaints;
}

}  // namespace

std::string listening_of(const std::string& answer) {
    boost::system::error_code wrong;
    const json::value parsed = json::parse(answer, wrong);
    return wrong || !parsed.is_object() ? std::string() : text_of(parsed.get_object(), "listening");
}

Diagnosis check_status(const std::string& answer) {
    boost::system::error_code wrong;
    const json::value parsed = json::parse(answer, wrong);
    if (wrong || !parsed.is_object())
        return problem("node", "the node's answer is not understood: " + text::quoted(answer, 200),
                       "`qvd-node reload`: another release may be running");
    const json::object& status = parsed.get_object();
    const std::string state = text_of(status, "state");
    const std::vector<std::string> complaints = complaints_of(status);
    std::string sentence = "the node is " + state;
    if (!complaints.empty()) sentence += "; " + text::join(complaints, "; ");
    if (state == "stopping" || state == "replacing")
        return warning("node", sentence, "ask again when it is done");
    if (state != "running" || !complaints.empty())
        return problem("node", sentence,
                       "mend what it names; if it has only just been started, ask again");
    const std::string listening = text_of(status, "listening");
    if (listening.empty())
        return problem("node", sentence + ", but listens nowhere", "look into its log");
    return good("node", sentence + ", version " + text_of(status, "version") + ", and listens on " +
                            listening);
}

}  // namespace qvd::admin::doctor
