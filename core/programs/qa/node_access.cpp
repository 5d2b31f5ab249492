#include "node_access.hpp"

#include "admin/row.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "farm.hpp"
#include "supervisor/keys.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace qvd::qa {

namespace {

std::string from_environment(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? std::string{} : value;
}

// Overwritten where it was found: neither a child nor /proc shows it any more.
Secret password_of_environment() {
    char* const value = std::getenv("QVDPASSWORD");  // NOLINT(concurrency-mt-unsafe): one thread
    if (value == nullptr) return {};
    Secret password{std::string_view(value)};
    explicit_bzero(value, std::strlen(value));
    return password;
}

std::string own_name() {
    const passwd* const entry = ::getpwuid(::geteuid());  // NOLINT(concurrency-mt-unsafe)
    return entry == nullptr ? std::string{} : entry->pw_name;
}

std::string own_folder() {
    const std::string home = from_environment("HOME");
    return (home.empty() ? std::string("/nonexistent") : home) + "/.qvd";
}

client::CertificatePolicy policy() {
    client::CertificatePolicy strict;
    strict.accepted_file = own_folder() + "/accepted_certs.json";
    return strict;
}

std::string this_node(const config::View& view) {
    if (const auto name = view.find(config::nodename); name && !name->empty()) return *name;
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return host.data();
}

Error none_fits() {
    return {ErrorKind::not_found, "vm.not_found", "no VM fits the filter"};
}

Error several_fit(std::size_t count) {
    return {ErrorKind::conflict, "vm.several",
            "the filter means " + std::to_string(count) + " VMs; it must mean one (-f id=N)"};
}

admin::Row row_of(const boost::json::object& vm) {
    admin::Row row;
    for (const char* const key : {"id", "name", "state", "reason"}) {
        const auto* const field = vm.if_contains(key);
        if (field != nullptr && field->is_int64()) row.number(key, field->get_int64());
        if (field != nullptr && field->is_string())
            row.text(key, {field->get_string().data(), field->get_string().size()});
    }
    return row;
}

// What a node says of its VMs, as far as one can filter by it.
std::vector<admin::Row> rows_of(const std::string& document) {
    std::vector<admin::Row> rows;
    boost::system::error_code broken;
    const auto value = boost::json::parse(document, broken);
    if (broken || !value.is_object()) return rows;
    const auto* const all = value.get_object().if_contains("vms");
    if (all == nullptr || !all->is_array()) return rows;
    for (const auto& one : all->get_array())
        if (one.is_object()) rows.push_back(row_of(one.get_object()));
    return rows;
}

Result<VmId> id_of(const admin::Row& row) {
    const admin::Cell* const id = row.find("id");
    const auto number = id == nullptr ? std::nullopt : text::to_integer(id->value);
    if (!number) return none_fits();
    return VmId{*number};
}

// Where the VM ran last; empty: nowhere.
admin::Async<std::string> last_host(Farm& farm, VmId vm) {
    QVD_CO_TRY(const auto record, co_await farm.store().vm(vm));
    QVD_CO_TRY(const auto nodes, co_await farm.store().nodes());
    for (const auto& node : nodes)
        if (record && record->runtime.last_node == node.node.id) co_return node.node.name;
    co_return std::string{};
}

}  // namespace

Result<NodeAddress> parse_node(const std::string& text) {
    NodeAddress address{text, 8443};
    const std::size_t colon = text.rfind(':');
    const bool bracketed = text.starts_with('[');
    const bool bare_six = !bracketed && std::ranges::count(text, ':') > 1;
    if (colon != std::string::npos && !bare_six && text.back() != ']') {
        const auto port = text::to_integer(std::string_view(text).substr(colon + 1));
        if (!port || *port < 1 || *port > 65535)
            return Error{ErrorKind::invalid, "usage",
                         "--node: " + text::quoted(text, 128) + " has no port from 1 to 65535"};
        address.port = static_cast<int>(*port);
        address.host = text.substr(0, colon);
    }
    if (address.host.starts_with('[') && address.host.ends_with(']'))
        address.host = address.host.substr(1, address.host.size() - 2);
    if (address.host.empty()) return Error{ErrorKind::invalid, "usage", "--node names no host"};
    return address;
}

NodeAccess::NodeAccess(client::StopSignal stop)
    : stop_(std::move(stop)), person_(true, stop_.fd()), judge_(policy(), person_) {
}

Result<std::unique_ptr<NodeAccess>> NodeAccess::begin(const CommandLine& line,
                                                      std::unique_ptr<Farm>& farm) {
    // First: an embedded database that it starts must not inherit blocked signals.
    if (line.node.empty()) {
        QVD_TRY(farm, Farm::open(line.config_file));
    }
    // A connection that breaks is an error of the connection, not this program's end.
    (void)std::signal(SIGPIPE, SIG_IGN);
    QVD_TRY(auto stop, client::StopSignal::install());
    return std::unique_ptr<NodeAccess>(new NodeAccess(std::move(stop)));
}

Result<std::unique_ptr<NodeAccess>> NodeAccess::to_vm(const CommandLine& line, Where where) {
    std::unique_ptr<Farm> farm;
    QVD_TRY(auto access, begin(line, farm));
    if (farm) {
        QVD_CHECK(access->find_in_farm(*farm, line, where));
    } else {
        QVD_CHECK(access->find_on_node(line));
    }
    return access;
}

Result<std::unique_ptr<NodeAccess>> NodeAccess::to_hosts(const CommandLine& line) {
    std::unique_ptr<Farm> farm;
    QVD_TRY(auto access, begin(line, farm));
    if (farm) {
        QVD_CHECK(access->find_hosts(*farm, line));
        return access;
    }
    QVD_TRY(const NodeAddress address, parse_node(line.node));
    QVD_CHECK(access->come_as_operator(line, address.host, address.port));
    access->hosts_.push_back({address.host, std::move(access->channel_)});
    return access;
}

Result<void> NodeAccess::find_hosts(Farm& farm, const CommandLine& line) {
    QVD_TRY(const auto rows, farm.run(farm.administration().hosts(line.filter)));
    for (const admin::Row& row : rows) {
        const admin::Cell* const name = row.find("name");
        if (name == nullptr) continue;
        QVD_CHECK(come_to(farm, line, name->value));
        hosts_.push_back({name->value, std::move(channel_)});
    }
    if (!hosts_.empty()) return {};
    return Error{ErrorKind::not_found, "node.not_found", "no host fits the filter"};
}

Result<void> NodeAccess::come_as_operator(const CommandLine& line, std::string host, int port) {
    if (!context_) {
        QVD_TRY(context_, client::make_tls_context({own_folder() + "/certs", {}, {}}));
    }
    if (password_.empty()) password_ = password_of_environment();
    admin::FarNode node{std::move(host), port, line.operator_name, password_};
    if (node.name.empty()) node.name = own_name();
    if (node.password.empty() && person_.present()) {
        QVD_TRY(node.password, person_.ask_hidden("Password of the operator " + node.name + " on " +
                                                  node.server() + ": "));
    }
    if (node.password.empty())
        return Error{ErrorKind::invalid, "usage",
                     "no password of the operator " + node.name +
                         ": give it in QVDPASSWORD, or call qa on a terminal"};
    password_ = node.password;
    channel_ =
        std::make_unique<admin::NodeChannel>(std::move(node), context_.get(), judge_, stop_.fd());
    return {};
}

Result<void> NodeAccess::find_on_node(const CommandLine& line) {
    QVD_TRY(const NodeAddress address, parse_node(line.node));
    QVD_CHECK(come_as_operator(line, address.host, address.port));
    constexpr std::string_view by_id = "id=";
    if (line.filters.size() == 1 && line.filters.front().starts_with(by_id)) {
        const auto number =
            text::to_integer(std::string_view(line.filters.front()).substr(by_id.size()));
        if (number && *number > 0) {
            vm_ = VmId{*number};
            return {};
        }
    }
    QVD_TRY(const std::string document,
            channel_->document(net::control_target(net::ControlVerb::vms)));
    std::vector<admin::Row> fitting;
    for (admin::Row& row : rows_of(document)) {
        QVD_CHECK(line.filter.check_keys(row));
        if (line.filter.matches(row, {})) fitting.push_back(std::move(row));
    }
    if (fitting.empty()) return none_fits();
    if (fitting.size() > 1) return several_fit(fitting.size());
    QVD_TRY(vm_, id_of(fitting.front()));
    return {};
}

Result<void> NodeAccess::find_in_farm(Farm& farm, const CommandLine& line, Where where) {
    QVD_TRY(const auto rows, farm.run(farm.administration().vms(line.filter)));
    if (rows.empty()) return none_fits();
    if (rows.size() > 1) return several_fit(rows.size());
    QVD_TRY(vm_, id_of(rows.front()));
    const admin::Cell* const host = rows.front().find("host");
    std::string name = host == nullptr ? std::string{} : host->value;
    if (name.empty() && where == Where::now_or_last) {
        QVD_TRY(name, farm.run(last_host(farm, vm_)));
    }
    if (name.empty())
        return Error{ErrorKind::unavailable, "vm.nowhere",
                     "VM " + vm_.text() + " runs on no host; `qa vm start` it first"};
    return come_to(farm, line, name);
}

Result<void> NodeAccess::come_to(Farm& farm, const CommandLine& line, const std::string& name) {
    const config::View& view = farm.administration().view();
    if (name == this_node(view)) {
        channel_ =
            std::make_unique<admin::NodeChannel>(admin::control_socket_path(view), stop_.fd());
        return {};
    }
    QVD_TRY(const auto node, farm.run(farm.store().node(name)));
    if (!node) return Error{ErrorKind::not_found, "node.not_found", "there is no host " + name};
    return come_as_operator(line, node->node.address,
                            static_cast<int>(view.get(supervisor::l7r_port)));
}

Result<admin::NodeStream> NodeAccess::stream(net::ControlVerb verb) {
    return channel_->stream(net::control_target(verb, vm_));
}

Result<std::string> NodeAccess::document(const std::string& target) {
    return channel_->document(target);
}

}  // namespace qvd::qa
