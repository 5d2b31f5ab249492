#include "client/accepted_certificates.hpp"

#include "base/file.hpp"
#include "client/json.hpp"

#include <algorithm>
#include <filesystem>

namespace qvd::client {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

std::set<int> numbers_of(const json::object& object, std::string_view name) {
    std::set<int> numbers;
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_array()) return numbers;
    for (const json::value& item : value->as_array())
        if (item.is_int64()) numbers.insert(static_cast<int>(item.as_int64()));
    return numbers;
}

Error unreadable(const std::string& path) {
    return {ErrorKind::invalid, "config.accepted_certificates",
            path +
                " is not the list of accepted certificates that this program writes; repair it or "
                "remove it, and accept the certificates anew"};
}

}  // namespace

Result<AcceptedCertificates> AcceptedCertificates::read(const std::string& path) {
    AcceptedCertificates accepted{path};
    const Result<std::string> text = file::read(path);
    if (!text.ok() && text.error().kind() == ErrorKind::not_found) return accepted;
    if (!text.ok()) return text.error();
    boost::system::error_code failure;
    const json::value document = json::parse(*text, failure);
    const json::object* root = failure ? nullptr : document.if_object();
    const json::value* list = root == nullptr ? nullptr : root->if_contains("certificates");
    if (list == nullptr || !list->is_array()) return unreadable(path);
    for (const json::value& item : list->as_array()) {
        if (!item.is_object()) return unreadable(path);
        const json::object& entry = item.as_object();
        accepted.entries_.push_back(
            {text_of(entry, "server"), text_of(entry, "sha256"), numbers_of(entry, "problems")});
    }
    return accepted;
}

bool AcceptedCertificates::covers(const std::string& server, const std::string& fingerprint,
                                  const std::set<int>& problems) const {
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.server == server && entry.fingerprint == fingerprint &&
               std::includes(entry.problems.begin(), entry.problems.end(), problems.begin(),
                             problems.end());
    });
}

std::string AcceptedCertificates::as_json() const {
    json::array list;
    for (const Entry& entry : entries_)
        list.push_back(
            json::object{{"server", entry.server},
                         {"sha256", entry.fingerprint},
                         {"problems", json::array(entry.problems.begin(), entry.problems.end())}});
    return json::serialize(json::object{{"certificates", std::move(list)}}) + "\n";
}

Result<void> AcceptedCertificates::accept(const std::string& server, const std::string& fingerprint,
                                          const std::set<int>& problems) {
    std::erase_if(entries_, [&](const Entry& entry) {
        return entry.server == server && entry.fingerprint == fingerprint;
    });
    entries_.push_back({server, fingerprint, problems});
    QVD_CHECK(file::make_folders(std::filesystem::path(path_).parent_path().string(), 0700));
    return file::write_atomic(path_, as_json(), 0600);
}

}  // namespace qvd::client
