#include "client/vm_list.hpp"

#include "base/text.hpp"
#include "client/json.hpp"
#include "client/printable.hpp"

#include <algorithm>

namespace qvd::client {

namespace json = boost::json;

namespace {

Error bad_list() {
    return {ErrorKind::internal, "server.protocol",
            "the server's list of virtual machines is not understood"};
}

std::optional<std::int64_t> number_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null()) return 0;
    if (value->is_bool()) return value->as_bool() ? 1 : 0;
    if (!value->is_int64()) return std::nullopt;
    return value->as_int64();
}

std::string word_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return printable(std::string_view(value->as_string()));
}

Result<OfferedVm> vm_of(const json::value& item) {
    if (!item.is_object()) return bad_list();
    const json::object& object = item.as_object();
    const auto id = number_of(object, "id");
    const auto blocked = number_of(object, "blocked");
    if (!id || *id <= 0 || !blocked) return bad_list();
    return OfferedVm{*id, word_of(object, "name"), word_of(object, "state"), *blocked != 0};
}

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

Result<OfferedVm> find_vm(const std::vector<OfferedVm>& vms, std::int64_t id) {
    const auto found =
        std::find_if(vms.begin(), vms.end(), [id](const OfferedVm& vm) { return vm.id == id; });
    if (found != vms.end()) return *found;
    return Error{ErrorKind::not_found, "vm.unknown",
                 "you have no virtual machine with id " + std::to_string(id) + "; yours are:\n" +
                     vm_table(vms)};
}

}  // namespace

Result<std::vector<OfferedVm>> parse_vm_list(std::string_view body) {
    boost::system::error_code failure;
    const json::value document = json::parse(body, failure);
    if (failure || !document.is_array()) return bad_list();
    std::vector<OfferedVm> vms;
    for (const json::value& item : document.as_array()) {
        QVD_TRY(OfferedVm vm, vm_of(item));
        vms.push_back(std::move(vm));
    }
    return vms;
}

std::string vm_table(const std::vector<OfferedVm>& vms) {
    std::string table = padded("Id", 8) + padded("State", 12) + "Name\n";
    for (const OfferedVm& vm : vms)
        table += padded(std::to_string(vm.id), 8) + padded(vm.state, 12) + vm.name +
                 (vm.blocked ? "  (blocked)" : "") + "\n";
    return table;
}

Result<OfferedVm> choose_vm(const std::vector<OfferedVm>& vms, const Choice& choice,
                            Person& person) {
    if (vms.empty())
        return Error{ErrorKind::not_found, "vm.none", "you have no virtual machine on this server"};
    if (choice.id) return find_vm(vms, *choice.id);
    if (choice.first || vms.size() == 1) return vms.front();
    if (!person.present())
        return Error{ErrorKind::invalid, "vm.ambiguous",
                     "you have several virtual machines; choose one with -s ID, or -o for the "
                     "first:\n" +
                         vm_table(vms)};
    QVD_TRY(const std::string answer, person.ask(vm_table(vms) + "Id of the one to connect to: "));
    const auto id = text::to_integer(text::trim(answer));
    return find_vm(vms, id.value_or(0));
}

}  // namespace qvd::client
