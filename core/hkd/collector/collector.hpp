// Removes from a node's storage what nobody needs any more.
//
// What is needed, the database says, for all nodes that may share the storage; without its answer
// nothing is removed. What nobody has needed for hkd.storage.collect.age goes, one thing after the
// other, and never while a VM of this node waits to start; with too little room copies of images
// go that can be unpacked again. Homes, and the files of images, go only where their own keys say
// so.
#pragma once

#include "config/view.hpp"
#include "hkd/collector/aside.hpp"
#include "hkd/collector/ledger.hpp"
#include "hkd/collector/needs.hpp"
#include "hkd/collector/remover.hpp"
#include "store/store.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qvd::hkd {

struct CollectOrder {
    bool dry_run = false;
    std::optional<std::chrono::seconds> age;  // in place of hkd.storage.collect.age
    DiId di;                                  // only what was of this deleted image, and at once
    Milliseconds patience{600'000};           // what is not done by then is left
};

struct Removal {
    Item item;
    std::string why;
    std::optional<std::uint64_t> bytes;  // nothing: nobody knows
    std::optional<Error> problem;        // it is still there
};

struct Collection {
    std::vector<Removal> all;
    std::size_t left = 0;  // that there was no time for
};

struct StockEntry {
    Item item;
    Verdict verdict;
    std::optional<std::uint64_t> bytes;
    std::optional<Timestamp> since;  // when it was first seen that nobody needs it
    std::optional<Timestamp> goes;   // when it will be removed; nothing: it stays
};

// Belongs to the event loop and outlives it.
class Collector {
public:
    struct Parts {
        store::Store& store;
        Backend& backend;
        Schedule& schedule;
        Aside& aside;
        std::function<config::View()> view;
        std::function<Images*()> images;  // null: the node is not up yet
        std::function<bool()> is_busy;    // VMs start, or wait to
        // A VM of this node has it, whatever the database says.
        std::function<bool(const Item&)> is_used_here;
        std::function<std::vector<std::string>()> hypervisors;  // that are loaded
        std::function<std::string()> ledger_file;
    };
    explicit Collector(Parts parts) : parts_(std::move(parts)) {}

    // Collects from time to time.
    boost::asio::awaitable<void> run();
    // Errors: unavailable "storage.not_ready", conflict "storage.busy" while it collects already,
    // and the database's.
    Async<Collection> collect(CollectOrder order);
    // Everything that lies there; what takes longer than `patience` to measure is not measured.
    Async<std::vector<StockEntry>> list(Milliseconds patience);

private:
    template <class T>
    using Awaitable = boost::asio::awaitable<T>;

    // One pass: what was found, and whether it is needed.
    struct Pass {
        CollectOrder order;
        config::View view;
        Images* images;
        Timestamp now;
        std::vector<Item> items;
        Needs needs;
        Deadline deadline;
        Collection done;
    };

    Async<Collection> collect_alone(CollectOrder order);
    Async<Pass> begin(CollectOrder order);
    Async<Needs> ask_needs(config::View view);
    Awaitable<std::vector<Item>> stock(config::View view);
    Awaitable<void> note(Pass& pass);
    Awaitable<void> load_ledger();
    Awaitable<void> tell_of_room();
    Awaitable<void> make_room(Pass& pass, std::string folder);
    Async<bool> is_spare(Pass& pass, Item item);
    Awaitable<bool> weigh(Pass& pass, Removal& removal);
    Awaitable<void> remove(Pass& pass, Removal removal);
    Awaitable<std::optional<std::uint64_t>> bytes_of(Item item, Milliseconds limit);
    Awaitable<bool> calm(Deadline deadline);
    [[nodiscard]] std::optional<Timestamp> goes_at(const Pass& pass, const Item& item) const;

    Parts parts_;
    Ledger ledger_;
    std::string ledger_text_;  // as it is in its file
    bool ledger_loaded_ = false;
    bool collecting_ = false;
    std::string problem_;         // the last one that was logged
    std::set<std::string> full_;  // folders whose want of room has been told
};

}  // namespace qvd::hkd
