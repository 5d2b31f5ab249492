#include "hkd/collector/collector.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "hkd/keys.hpp"

#include <algorithm>

namespace qvd::hkd {

namespace {

// Whoever makes such a thing, on whichever node, is not seen by the database until he has done so.
constexpr std::chrono::hours quiet{1};
constexpr Milliseconds measure_limit{5'000};
constexpr Milliseconds look_again{200};
constexpr std::size_t most_ledger_bytes = std::size_t{64} << 20U;

bool is_being_made(const Item& item) {
    const bool unseen = item.kind == ItemKind::image || item.kind == ItemKind::incoming ||
                        (item.kind == ItemKind::part && item.lock.empty()) || item.orphaned;
    return unseen && std::chrono::system_clock::now() - item.changed < quiet;
}

// How long nobody must have needed it; nothing: it stays for ever.
std::optional<std::chrono::seconds> age_for(const Item& item, const CollectOrder& order,
                                            const config::View& view) {
    if (order.di.value() != 0) {
        const bool its = item.di == order.di && item.kind != ItemKind::image;
        return its ? std::optional(std::chrono::seconds{0}) : std::nullopt;
    }
    const bool home = item.kind == ItemKind::home;
    if (home || item.kind == ItemKind::image) {
        const std::chrono::seconds age = view.get(home ? collect_homes_age : collect_images_age);
        return age.count() > 0 ? std::optional(age) : std::nullopt;
    }
    return order.age.value_or(view.get(collect_age));
}

// What a snapshot of a btrfs takes alone, nobody sees by its files.
bool is_measurable(const Item& item) {
    return item.hypervisor != "lxc-btrfs" || item.kind == ItemKind::unpacked ||
           item.kind == ItemKind::home;
}

// Longest unused first.
std::vector<Item> spares_in(const std::string& folder, const std::vector<Item>& items,
                            const Needs& needs) {
    std::vector<Item> spares;
    for (const Item& item : items)
        if (item.path.starts_with(folder + "/") && judge(item, needs).spare) spares.push_back(item);
    std::ranges::sort(spares, {}, &Item::changed);
    return spares;
}

void tell(const Removal& removal) {
    log::Fields fields{{"kind", to_string(removal.item.kind)}, {"path", removal.item.path}};
    if (removal.problem) {
        fields.emplace_back("code", removal.problem->code());
        return log::warn("storage.not_removed", fields, removal.problem->sentence());
    }
    if (removal.bytes) fields.emplace_back("bytes", *removal.bytes);
    log::info("storage.removed", fields, removal.why);
}

}  // namespace

boost::asio::awaitable<void> Collector::run() {
    // Looked at often enough that a new interval counts soon.
    constexpr std::chrono::seconds longest_sleep{60};
    Clock::time_point last = parts_.schedule.clock().now();
    for (;;) {
        const std::chrono::seconds interval = parts_.view().get(collect_interval);
        const bool never = interval.count() == 0;
        co_await parts_.schedule.sleep(never ? longest_sleep : std::min(interval, longest_sleep));
        if (never || parts_.schedule.clock().now() - last < interval) continue;
        if (parts_.images() == nullptr) continue;
        last = parts_.schedule.clock().now();
        CollectOrder usual;
        const auto collected = co_await collect(usual);
        std::string problem = collected.ok() ? std::string() : collected.error().sentence();
        if (!problem.empty() && problem != problem_)
            log::warn("storage.not_collected", {{"code", collected.error().code()}}, problem);
        problem_ = std::move(problem);
        co_await tell_of_room();
    }
}

// Before VMs find out.
boost::asio::awaitable<void> Collector::tell_of_room() {
    const std::int64_t wanted = parts_.view().get(collect_space);
    const StoragePlaces places = storage_places(parts_.view());
    for (const std::string& folder : {places.images, places.basefs, places.overlayfs, places.homefs,
                                      places.btrfs_vms, places.overlays, places.homes}) {
        std::function<std::optional<std::int64_t>()> look = [folder] { return room_at(folder); };
        const std::optional<std::int64_t> room = co_await parts_.aside.run(std::move(look));
        if (!room || *room >= wanted) {
            full_.erase(folder);
            continue;
        }
        if (!full_.insert(folder).second) continue;
        log::warn("storage.low", {{"path", folder}, {"mib", *room}},
                  "there is little room left: VMs that write there will fail");
    }
}

Async<Collection> Collector::collect(CollectOrder order) {
    if (collecting_)
        co_return Error{ErrorKind::conflict, "storage.busy",
                        "this node is collecting already: try again in a moment"};
    collecting_ = true;
    auto collected = co_await collect_alone(order);
    collecting_ = false;
    co_return collected;
}

Async<Collection> Collector::collect_alone(CollectOrder order) {
    QVD_CO_TRY(Pass pass, co_await begin(order));
    co_await note(pass);
    for (const Item& item : pass.items) {
        const Verdict verdict = judge(item, pass.needs);
        if (verdict.needed || is_being_made(item) || parts_.is_used_here(item)) continue;
        const auto goes = goes_at(pass, item);
        if (!goes || *goes > pass.now) continue;
        Removal removal{item, verdict.by, std::nullopt, std::nullopt};
        if (co_await weigh(pass, removal)) co_await remove(pass, std::move(removal));
    }
    const StoragePlaces places = storage_places(pass.view);
    for (const std::string& folder : {places.basefs, places.btrfs_images}) {
        std::string copy = folder;
        if (order.di.value() == 0) co_await make_room(pass, std::move(copy));
    }
    co_return std::move(pass.done);
}

// In this order: what is found has its row in the database, unless that was deleted.
Async<Collector::Pass> Collector::begin(CollectOrder order) {
    Images* const images = parts_.images();
    if (images == nullptr)
        co_return Error{ErrorKind::unavailable, "storage.not_ready",
                        "this node is not up yet: it does not know who needs what"};
    config::View view = parts_.view();
    const Deadline deadline = Deadline::in(parts_.schedule.clock(), order.patience);
    std::vector<Item> items = co_await stock(view);
    QVD_CO_TRY(Needs needs, co_await ask_needs(view));
    for (Item& item : items) item.orphaned = is_orphaned(item, needs);
    // It was asked for because the image has just been deleted there.
    needs.is_ours = order.di.value() != 0;
    QVD_CO_TRY(const Timestamp now, co_await parts_.store.now());
    Pass pass{order, std::move(view), images, now, std::move(items), std::move(needs), deadline,
              {}};
    co_return pass;
}

// What runs is asked for last.
Async<Needs> Collector::ask_needs(config::View view) {
    QVD_CO_TRY(const auto users, co_await parts_.store.users());
    QVD_CO_TRY(const auto dis, co_await parts_.store.dis());
    QVD_CO_TRY(const auto vms, co_await parts_.store.vms());
    co_return needs_of(vms, dis, users, view.get(vm_home_per_user));
}

boost::asio::awaitable<std::vector<Item>> Collector::stock(config::View view) {
    std::function<std::vector<Item>()> work = [places = storage_places(view)] {
        return take_stock(places);
    };
    std::vector<Item> items = co_await parts_.aside.run(std::move(work));
    // Homes are of either plugin for containers: of the one that is there.
    const std::vector<std::string> loaded = parts_.hypervisors();
    const auto is_loaded = [&loaded](std::string_view name) {
        return std::ranges::find(loaded, name) != loaded.end();
    };
    if (!is_loaded("lxc-unionfs") && is_loaded("lxc-btrfs")) {
        const std::string homes = storage_places(view).homefs + "/";
        for (Item& item : items)
            if (item.path.starts_with(homes)) item.hypervisor = "lxc-btrfs";
    }
    co_return items;
}

boost::asio::awaitable<void> Collector::load_ledger() {
    if (std::exchange(ledger_loaded_, true)) co_return;
    std::function<std::string()> work = [file = parts_.ledger_file()] {
        return file::read(file, most_ledger_bytes).value_or("");
    };
    ledger_text_ = co_await parts_.aside.run(std::move(work));
    ledger_.read(ledger_text_);
}

boost::asio::awaitable<void> Collector::note(Pass& pass) {
    co_await load_ledger();
    std::set<std::string> unneeded;
    for (const Item& item : pass.items)
        if (!judge(item, pass.needs).needed) unneeded.insert(item.path);
    ledger_.note(unneeded, pass.now);
    const std::string text = ledger_.text();
    if (text == ledger_text_) co_return;
    std::function<Result<void>()> work = [text, file = parts_.ledger_file()] {
        return file::write_atomic(file, text, 0600);
    };
    const Result<void> written = co_await parts_.aside.run(std::move(work));
    // Then it is remembered until hkd ends: things stay for longer.
    if (written.ok())
        ledger_text_ = text;
    else
        log::warn("storage.not_noted", {{"code", written.error().code()}},
                  written.error().sentence());
}

std::optional<Timestamp> Collector::goes_at(const Pass& pass, const Item& item) const {
    const auto age = age_for(item, pass.order, pass.view);
    if (!age) return std::nullopt;
    return ledger_.since(item.path, pass.now) + *age;
}

// True once no VM starts or waits to; false when there is no time left.
boost::asio::awaitable<bool> Collector::calm(Deadline deadline) {
    while (!deadline.passed()) {
        if (!parts_.is_busy()) co_return true;
        co_await parts_.schedule.sleep(look_again);
    }
    co_return false;
}

boost::asio::awaitable<std::optional<std::uint64_t>> Collector::bytes_of(Item item,
                                                                         Milliseconds limit) {
    if (item.bytes > 0) co_return item.bytes;
    if (!is_measurable(item)) co_return std::nullopt;
    std::function<std::optional<std::uint64_t>()> work = [path = item.path, limit] {
        return measure(path, limit);
    };
    co_return co_await parts_.aside.run(std::move(work));
}

// False: there is no time left for it.
boost::asio::awaitable<bool> Collector::weigh(Pass& pass, Removal& removal) {
    const bool in_time = co_await calm(pass.deadline);
    if (!in_time) {
        ++pass.done.left;
        co_return false;
    }
    Item item = removal.item;
    removal.bytes = co_await bytes_of(std::move(item), measure_limit);
    co_return true;
}

boost::asio::awaitable<void> Collector::remove(Pass& pass, Removal removal) {
    if (!pass.order.dry_run) {
        Remover remover(parts_.backend, *pass.images, parts_.schedule.clock(), parts_.aside,
                        parts_.is_used_here);
        Item item = removal.item;
        const bool vm_is_deleted = !pass.needs.vms.contains(item.vm);
        const Result<void> removed = co_await remover.remove(std::move(item), vm_is_deleted);
        if (!removed.ok()) removal.problem = removed.error();
        tell(removal);
    }
    pass.done.all.push_back(std::move(removal));
}

// By the newest word of the database.
Async<bool> Collector::is_spare(Pass& pass, Item item) {
    QVD_CO_TRY(pass.needs, co_await ask_needs(pass.view));
    co_return judge(item, pass.needs).spare && !parts_.is_used_here(item);
}

namespace {

// Rounded up, so that what was removed counts.
std::int64_t mib_freed_by(const Removal& gone) {
    constexpr std::uint64_t mib = 1U << 20U;
    return gone.problem ? 0 : static_cast<std::int64_t>(gone.bytes.value_or(0) / mib) + 1;
}

}  // namespace

boost::asio::awaitable<void> Collector::make_room(Pass& pass, std::string folder) {
    const std::int64_t wanted = pass.view.get(collect_space);
    if (wanted == 0) co_return;
    std::function<std::optional<std::int64_t>()> look = [folder] { return room_at(folder); };
    const std::optional<std::int64_t> room = co_await parts_.aside.run(std::move(look));
    if (!room) co_return;
    // What has just gone may still be there: its space comes back later.
    std::int64_t missing = wanted - *room;
    for (const Removal& gone : pass.done.all) missing -= mib_freed_by(gone);
    for (Item& item : spares_in(folder, pass.items, pass.needs)) {
        if (missing <= 0) co_return;
        Removal removal{item, "room is needed, and no VM runs from it", std::nullopt, std::nullopt};
        if (!co_await weigh(pass, removal)) co_return;
        const auto spare = co_await is_spare(pass, std::move(item));
        if (!spare.ok()) co_return;
        if (!*spare) continue;
        co_await remove(pass, std::move(removal));
        missing -= mib_freed_by(pass.done.all.back());
    }
}

Async<std::vector<StockEntry>> Collector::list(Milliseconds patience) {
    CollectOrder usual;
    QVD_CO_TRY(Pass pass, co_await begin(usual));
    co_await load_ledger();
    const Deadline deadline = Deadline::in(parts_.schedule.clock(), patience);
    std::vector<StockEntry> entries;
    for (const Item& item : pass.items) {
        StockEntry entry{item, judge(item, pass.needs), std::nullopt, std::nullopt, std::nullopt};
        if (!entry.verdict.needed && parts_.is_used_here(item))
            entry.verdict = {true, "a VM of this node", false};
        Item measured = item;
        if (!deadline.passed())
            entry.bytes = co_await bytes_of(std::move(measured), deadline.remaining());
        if (!entry.verdict.needed) {
            entry.since = ledger_.since(item.path, pass.now);
            entry.goes = goes_at(pass, item);
        }
        entries.push_back(std::move(entry));
    }
    co_return entries;
}

}  // namespace qvd::hkd
