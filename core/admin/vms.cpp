// qa vm.
#include "admin/administration.hpp"
#include "admin/selection.hpp"
#include "admin/values.hpp"
#include "base/text.hpp"
#include "broker/placement.hpp"
#include "hkd/network/addresses.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qvd::admin {

namespace {

std::optional<std::string> taken_out(Parameters& from, const std::string& key) {
    const auto found = from.find(key);
    if (found == from.end()) return std::nullopt;
    std::optional<std::string> value(found->second);
    from.erase(found);
    return value;
}

Result<std::string> checked_address(const std::string& text, const config::View& view) {
    QVD_TRY(const auto addresses, hkd::network::addresses_of(view));
    QVD_TRY(const std::uint32_t address, hkd::network::parse_ipv4(text));
    if (!addresses.is_vm(address))
        return Error{ErrorKind::invalid, "vm.ip",
                     text + " is not an address for VMs (" +
                         hkd::network::to_text(addresses.vm_first) + " to " +
                         hkd::network::to_text(addresses.vm_last) + ")"};
    return text;
}

}  // namespace

Async<VmId> Administration::add_vm(NewVm vm) {
    store::NewVm wanted;
    QVD_CO_TRY(wanted.name, checked_name("vm", vm.name));
    QVD_CO_TRY(wanted.user, co_await find_user(vm.user, vm.user_id));
    QVD_CO_TRY(wanted.osf, co_await find_osf(vm.osf, vm.osf_id));
    QVD_CO_TRY(wanted.di_tag, checked_name("tag", vm.di_tag, longest_tag));
    QVD_CO_TRY(const auto addresses, hkd::network::addresses_of(view_));
    wanted.pool_first = hkd::network::to_text(addresses.vm_first);
    wanted.pool_last = hkd::network::to_text(addresses.vm_last);
    if (!vm.ip.empty()) {
        QVD_CO_TRY(wanted.address, checked_address(vm.ip, view_));
    }
    QVD_CO_TRY(const VmId id, co_await store_.add_vm(wanted));
    co_await audit("vm add", wanted.name);
    QVD_CO_CHECK(co_await warn_without_di(wanted.osf, wanted.di_tag));
    co_return id;
}

// The VM is made all the same: its image may come later.
Async<void> Administration::warn_without_di(OsfId osf, std::string tag) {
    QVD_CO_TRY(const auto records, co_await store_.dis());
    for (const store::DiRecord& record : records)
        if (record.di.osf == osf)
            for (const DiTag& own : record.di.tags)
                if (own.tag == tag) co_return Result<void>{};
    warnings_.push_back("no image of the osf has the tag " + text::quoted(tag, 128) +
                        ": the VM cannot start before one has");
    co_return Result<void>{};
}

Async<Done> Administration::delete_vms(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    Done done;
    for (const auto& vm : selected) {
        const auto deleted = co_await store_.delete_vm(vm.record.vm.id);
        if (skipped(done, "vm " + vm.record.vm.name, deleted)) continue;
        QVD_CO_CHECK(deleted);
        co_await audit("vm del", vm.record.vm.name);
        ++done.count;
    }
    co_return done;
}

Async<std::vector<Row>> Administration::vms(Filter filter) {
    QVD_CO_TRY(auto selected, co_await select_vms(std::move(filter)));
    co_return rows_of(std::move(selected));
}

Async<store::Store::VmEdit> Administration::checked_edit(Parameters changes) {
    store::Store::VmEdit edit;
    for (const auto& [key, value] : changes) {
        if (key == "name") {
            QVD_CO_TRY(edit.name, checked_name("vm", value));
        } else if (key == "di_tag") {
            QVD_CO_TRY(edit.di_tag, checked_name("tag", value, longest_tag));
        } else if (key == "ip") {
            QVD_CO_TRY(edit.address, checked_address(value, view_));
        } else if (key == "user") {
            QVD_CO_TRY(edit.user, co_await find_user(value, ""));
        } else if (key == "osf") {
            QVD_CO_TRY(edit.osf, co_await find_osf(value, ""));
        } else {
            co_return Error{ErrorKind::invalid, "vm.edit",
                            text::quoted(key, 64) +
                                " cannot be edited (name, di_tag, ip, user, osf, expire-soft, "
                                "expire-hard can)"};
        }
    }
    co_return edit;
}

Async<Administration::EditedVms> Administration::edit_vms(Filter filter, Parameters changes) {
    if (changes.empty())
        co_return Error{ErrorKind::invalid, "vm.edit",
                        "nothing is to be changed: give name=, di_tag=, ip=, user=, osf=, "
                        "expire-soft= or expire-hard="};
    ExpiryTexts texts{taken_out(changes, "expire-soft"), taken_out(changes, "expire-hard")};
    QVD_CO_TRY(const store::Expiry expiry, co_await resolved(std::move(texts)));
    QVD_CO_TRY(const auto edit, co_await checked_edit(changes));
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    if (selected.size() > 1 && (edit.name || edit.address))
        co_return Error{
            ErrorKind::invalid, "vm.edit",
            "name and ip belong to one VM; the filter means " + std::to_string(selected.size())};
    EditedVms edited;
    std::set<VmId> vms;
    for (const auto& vm : selected) {
        if (!changes.empty()) QVD_CO_CHECK(co_await store_.edit_vm(vm.record.vm.id, edit));
        co_await audit("vm edit", vm.record.vm.name);
        const OsfId osf = edit.osf.value_or(vm.record.vm.osf);
        const std::string tag = edit.di_tag.value_or(vm.record.vm.di_tag);
        if (edit.di_tag || edit.osf) QVD_CO_CHECK(co_await warn_without_di(osf, tag));
        vms.insert(vm.record.vm.id);
        ++edited.count;
    }
    const bool limits = expiry.soft || expiry.hard || edit.di_tag;
    if (!limits) vms.clear();
    QVD_CO_TRY(edited.expired, co_await limit_vms(std::move(vms), expiry));
    co_return edited;
}

Async<Done> Administration::start_vms(Filter filter, std::shared_ptr<plugin::Balancer> balancer) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    Done done;
    for (const auto& vm : selected) {
        const VmState state = vm.record.runtime.state;
        const std::string name = "vm " + vm.record.vm.name;
        if (state != VmState::stopped && state != VmState::failed) {
            done.skipped.push_back(name + ": it is " + std::string(to_string(state)));
            continue;
        }
        if (vm.record.runtime.command) {
            done.skipped.push_back(name + ": its start is ordered already");
            continue;
        }
        const auto ordered = co_await broker::order_start(store_, balancer, vm.record);
        if (skipped(done, name, ordered)) continue;
        if (!ordered.ok()) co_return ordered.error().within(name);
        co_await audit("vm start", vm.record.vm.name);
        done.vms.insert(vm.record.vm.id);
        ++done.count;
    }
    co_return done;
}

Async<Done> Administration::stop_vms(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    Done done;
    for (const auto& vm : selected) {
        const auto ordered = co_await store_.order_stop(vm.record.vm.id);
        if (skipped(done, "vm " + vm.record.vm.name, ordered)) continue;
        QVD_CO_CHECK(ordered);
        co_await audit("vm stop", vm.record.vm.name);
        done.vms.insert(vm.record.vm.id);
        ++done.count;
    }
    co_return done;
}

Async<Done> Administration::restore_vms(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    Done done;
    for (const auto& vm : selected) {
        const std::string name = "vm " + vm.record.vm.name;
        const VmState state = vm.record.runtime.state;
        if (state != VmState::stopped && state != VmState::failed) {
            done.skipped.push_back(name + ": it is " + std::string(to_string(state)) +
                                   "; stop it first (`qa vm stop --wait`)");
            continue;
        }
        const auto ordered = co_await store_.order_restore(vm.record.vm.id);
        if (skipped(done, name, ordered)) continue;
        if (!ordered.ok()) co_return ordered.error().within(name);
        co_await audit("vm restore", vm.record.vm.name);
        done.vms.insert(vm.record.vm.id);
        ++done.count;
    }
    co_return done;
}

namespace {

constexpr std::chrono::milliseconds look_for_answer{100};
constexpr std::chrono::minutes answer_patience{5};

struct Given {
    VmId vm;
    std::string name;
    std::int64_t order = 0;
};

// Errors: conflict with the node's code and sentence; timeout "vm.no_answer".
Async<std::string> answer_of(store::Store& store, VmId vm, std::int64_t order) {
    boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
    const auto limit = std::chrono::steady_clock::now() + answer_patience;
    for (;;) {
        QVD_CO_TRY(const auto answer, co_await store.order_answer(vm, order));
        if (answer && answer->code.empty()) co_return answer->text;
        if (answer) co_return Error{ErrorKind::conflict, answer->code, answer->text};
        if (std::chrono::steady_clock::now() > limit)
            co_return Error{ErrorKind::conflict, "vm.no_answer",
                            "its node has not answered within five minutes; the order stands"};
        pause.expires_after(look_for_answer);
        (void)co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
}

}  // namespace

Async<Administration::Ordered> Administration::order_vms(Filter filter, VmCommand command,
                                                         std::string argument) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    std::vector<Given> given;
    Ordered ordered;
    for (const auto& vm : selected) {
        const std::string name = "vm " + vm.record.vm.name;
        std::string its = argument;
        const auto order = co_await store_.order(vm.record.vm.id, command, std::move(its));
        if (skipped(ordered.done, name, order)) continue;
        if (!order.ok()) co_return order.error().within(name);
        given.emplace_back(Given{vm.record.vm.id, name, *order});
        co_await audit("vm " + std::string(to_string(command)), vm.record.vm.name);
    }
    for (const Given& one : given) {
        const auto answer = co_await answer_of(store_, one.vm, one.order);
        if (skipped(ordered.done, one.name, answer)) continue;
        QVD_CO_CHECK(answer);
        ++ordered.done.count;
        if (!answer->empty()) ordered.made.push_back(one.name + ": " + *answer);
    }
    co_return ordered;
}

Async<int> Administration::block_vms(Filter filter, bool blocked) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    int count = 0;
    for (const auto& vm : selected) {
        QVD_CO_CHECK(co_await store_.set_vm_blocked(vm.record.vm.id, blocked));
        co_await audit(blocked ? "vm block" : "vm unblock", vm.record.vm.name);
        ++count;
    }
    co_return count;
}

Async<Done> Administration::disconnect_users(Filter filter) {
    QVD_CO_TRY(const auto selected, co_await select_vms(std::move(filter)));
    Done done;
    for (const auto& vm : selected) {
        if (!vm.record.session) {
            done.skipped.push_back("vm " + vm.record.vm.name + ": nobody is connected");
            continue;
        }
        QVD_CO_CHECK(co_await store_.request_abort(vm.record.vm.id));
        co_await audit("vm disconnect_user", vm.record.vm.name);
        ++done.count;
    }
    co_return done;
}

}  // namespace qvd::admin
