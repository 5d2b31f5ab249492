#include "tests/hkd/storehouse.hpp"

#include "hkd/keys.hpp"

#include <unistd.h>

namespace qvd::hkd::test {

Storehouse::Storehouse() {
    static int count = 0;
    root_ = run_folder() + "/store-" + std::to_string(++count);
    fs::create_directories(root_);
    collector_ = std::make_unique<Collector>(parts());
    Osf desktop;
    desktop.name = "desktop";
    osf = ask(store.add_osf(desktop)).value();
    user = ask(store.add_user("bob", std::nullopt)).value();
    di = ask(store.add_di({osf, "desktop.tar.gz", "first"})).value().id;
    store::NewVm wanted;
    wanted.name = "desk";
    wanted.user = user;
    wanted.osf = osf;
    wanted.pool_first = "10.3.15.50";
    wanted.pool_last = "10.3.15.254";
    vm = ask(store.add_vm(wanted)).value();
}

Storehouse::~Storehouse() {
    loop.end_all();
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::string Storehouse::words(std::string text) const {
    for (const auto& [word, id] : {std::pair<std::string, std::string>("{di}", di.text()),
                                   std::pair<std::string, std::string>("{vm}", vm.text())})
        for (std::size_t at = 0; (at = text.find(word)) != std::string::npos;)
            text.replace(at, word.size(), id);
    return text;
}

void Storehouse::folder(const std::string& below) {
    fs::create_directories(path(below));
    std::ofstream(path(below) + "/content") << std::string(100'000, 'x');
}

void Storehouse::checkpoint(const std::string& below, int hours) {
    folder(below);
    age(below + "/content", hours);
    age(below, hours);
}

void Storehouse::file(const std::string& below, std::chrono::hours ago) {
    fs::create_directories(fs::path(path(below)).parent_path());
    std::ofstream(path(below)) << std::string(50'000, 'x');
    fs::last_write_time(path(below), fs::file_time_type::clock::now() - ago);
}

config::View Storehouse::view() const {
    const config::View whole = test_view();
    auto file = config::Properties::parse("nodename = alpha\n", "test.conf").value();
    file.set("path.storage.root", root_, "test.conf");
    file.set("vm.network.ip.start", "10.3.15.50", "test.conf");
    file.set("vm.network.netmask", "24", "test.conf");
    const config::View from_file(std::make_shared<config::KeySet>(whole.keys()), std::move(file));
    return from_file.with_database(configuration_);
}

Collector::Parts Storehouse::parts() {
    return {store,
            backend,
            schedule,
            aside_,
            [this] { return view(); },
            [this] { return up ? &images : nullptr; },
            [this] { return busy > 0 && --busy >= 0; },
            [this](const Item& item) { return used_here.contains(item.path); },
            [this] { return loaded; },
            [this] { return path(".unneeded-alpha"); }};
}

Collection Storehouse::collect(CollectOrder order) {
    auto collected = ask(collector_->collect(order));
    REQUIRE_MESSAGE(collected.ok(), collected.error().sentence());
    return std::move(collected).value();
}

std::vector<StockEntry> Storehouse::list() {
    auto listed = ask(collector_->list(Milliseconds{10'000}));
    REQUIRE(listed.ok());
    return std::move(listed).value();
}

const StockEntry& Storehouse::entry(const std::string& below) {
    listed_ = list();
    const auto found = std::ranges::find(listed_, path(below),
                                         [](const StockEntry& one) { return one.item.path; });
    REQUIRE_MESSAGE(found != listed_.end(), below);
    return *found;
}

NodeId Storehouse::add_node(const std::string& name, const std::string& address) {
    const NodeId node = ask(store.add_node(name, address)).value();
    const auto epoch = ask(store.claim_node(node, "boot"));
    NodeLoad load;
    load.memory_total_mib = 8000;
    load.memory_free_mib = 8000;
    REQUIRE(ask(store.heartbeat(node, epoch.value(), load)).ok());
    REQUIRE(ask(store.set_node_state(node, epoch.value(), NodeState::running, "")).ok());
    return node;
}

void Storehouse::order_start() {
    REQUIRE(ask(store.order_start(vm, add_node("alpha", "10.3.15.1"))).ok());
}

void Storehouse::remember_checkpoint(const std::string& at) {
    const NodeId node = add_node("beta", "10.3.15.2");
    REQUIRE(ask(store.order_start(vm, node)).ok());
    REQUIRE(ask(store.take_start(vm, node)).ok());
    REQUIRE(ask(store.remember_checkpoint(vm, 1, words(at))).ok());
    store::VmTransition stopped;
    stopped.vm = vm;
    stopped.incarnation = 1;
    stopped.from = {VmState::starting};
    stopped.to = VmState::stopped;
    REQUIRE(ask(store.clear_vm(stopped)).ok());
}

CollectOrder at_once() {
    CollectOrder order;
    order.age = std::chrono::seconds{0};
    return order;
}

std::vector<std::string> names_of(const Collection& collection) {
    std::vector<std::string> names;
    for (const Removal& removal : collection.all)
        if (!removal.problem) names.push_back(removal.item.name());
    return names;
}

}  // namespace qvd::hkd::test
