// A client that leaves, or is taken over, at each step of its story.
#include "agent/protocol.hpp"
#include "tests/broker/fixture.hpp"
#include "tests/plugin/puppet.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

using namespace qvd;
using namespace qvd::broker::test;
using qvd::testing::Puppet;
using qvd::testing::Stage;

namespace {

// Settings with a puppet for each plugin; the authenticator is called `name`.
std::string puppets(const Stage& stage, const std::string& name = "puppet") {
    return "puppet.stage = " +
           std::to_string(reinterpret_cast<std::uintptr_t>(&stage)) +  // as it wants it
           "\nl7r.auth.plugins = " + name + "\nl7r.loadbalancer.plugin = puppet\n";
}

// One that lets everybody in.
Puppet friendly() {
    Puppet puppet;
    puppet.authenticate = [](const qvd_login*, const qvd_credentials*, qvd_call*) {
        return QVD_OK;
    };
    puppet.allow_access = [](const qvd_login*, const qvd_vm_entry*, qvd_call*) { return QVD_OK; };
    puppet.choose = [](const qvd_placement*, qvd_call* call) { return qvd_call_choose(call, 0); };
    return puppet;
}

// A plugin's thread waits here until the test lets it go on.
class Barrier {
public:
    ~Barrier() { open(); }
    void pass() {
        std::unique_lock lock(mutex_);
        reached_ = true;
        changed_.wait(lock, [this] { return open_; });
    }
    [[nodiscard]] bool reached() const {
        const std::scoped_lock lock(mutex_);
        return reached_;
    }
    void open() {
        const std::scoped_lock lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool reached_ = false;
    bool open_ = false;
};

// An agent whose session is in the state that the test says.
struct Desktop {
    Desktop(const Desktop&) = delete;
    Desktop& operator=(const Desktop&) = delete;
    explicit Desktop(Farm& farm) {
        agent = std::make_shared<Agent>(farm.loop, [this](const std::string& method) {
            if (method == "x_state") return agent::encode_text(state);
            if (method == "x_suspend") state = "suspended";
            return method == "x_start" || method == "x_suspend" ? agent::encode_text("starting")
                                                                : std::string();
        });
        agent->begin();
        farm.run_vm(agent->port());
    }
    std::string state = "listening";
    std::shared_ptr<Agent> agent;
};

}  // namespace

TEST_CASE("What an agent offers is withdrawn when its client leaves before its 101") {
    Farm farm;
    Desktop desktop(farm);
    Worker worker(*farm.broker, "l7r-0-x");
    SUBCASE("while the NX port is connected") {
        farm.ask(worker, 1, path_of(farm.vm));
        (void)farm.next<net::Link>(worker);
        worker.say(net::Gone{1});
    }
    SUBCASE("when that failed") {
        farm.ask(worker, 1, path_of(farm.vm));
        (void)farm.next<net::Link>(worker);
        worker.say(net::LinkFailed{1, "nobody listens"});
        CHECK(farm.answer(worker).status == 503);
    }
    SUBCASE("when its worker died") {
        farm.ask(worker, 1, path_of(farm.vm));
        (void)farm.next<net::Link>(worker);
        worker.die();
    }
    SUBCASE("while the session comes up, as soon as it is there") {
        desktop.state = "starting";
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return desktop.agent->was_asked("x_state"); }));
        worker.say(net::Gone{1});
        CHECK(farm.until([&] { return farm.broker->load() == 0; }));
        CHECK(farm.rows() == 1);
        desktop.state = "listening";
    }
    SUBCASE("while the agent has not even answered") {
        desktop.agent->held.insert("x_start");
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return desktop.agent->was_asked("x_start"); }));
        worker.say(net::Gone{1});
    }
    CHECK(farm.until([&] { return farm.rows() == 0; }));
    CHECK(desktop.state == "suspended");
    desktop.agent->held.clear();
}

TEST_CASE("A session that was connected is its own affair when it ends") {
    Farm farm;
    Desktop desktop(farm);
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    (void)farm.next<net::Link>(worker);
    worker.say(net::Linked{1});
    (void)farm.next<net::Switch>(worker);
    worker.say(net::Ended{1, 0, 0, 0, "client closed"});
    CHECK(farm.until([&] { return farm.rows() == 0; }));
    CHECK_FALSE(desktop.agent->was_asked("x_suspend"));
}

TEST_CASE("Who wants a VM does not wait until an old offer has been withdrawn") {
    Farm farm;
    Desktop desktop(farm);
    desktop.state = "starting";
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.until([&] { return desktop.agent->was_asked("x_state"); }));
    worker.say(net::Gone{1});
    CHECK(farm.until([&] { return farm.broker->load() == 0; }));
    farm.ask(worker, 2, path_of(farm.vm));
    CHECK(farm.until([&] { return std::ranges::count(desktop.agent->asked, "x_start") == 2; }));
    desktop.state = "listening";
    CHECK(farm.next<net::Link>(worker).request == 2);
    CHECK_FALSE(desktop.agent->was_asked("x_suspend"));
}

TEST_CASE("A take-over does not wait for what its holder waits for") {
    Stage stage;
    Barrier barrier;
    Puppet puppet = friendly();
    stage["puppet-concurrent"] = &puppet;
    Farm farm(puppets(stage, "puppet-concurrent"));
    Desktop desktop(farm);
    Worker worker(*farm.broker, "l7r-0-x");
    SUBCASE("an agent whose hooks run") {
        desktop.agent->held.insert("x_start");
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return desktop.agent->was_asked("x_start"); }));
    }
    SUBCASE("a plugin that takes its time") {
        puppet.before_connect = [&](const qvd_login*, const qvd_vm_entry*, qvd_call*) {
            barrier.pass();
            return QVD_OK;
        };
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return barrier.reached(); }));
    }
    farm.ask(worker, 2, path_of(farm.vm));
    CHECK(farm.answer(worker).body == "Another client takes over the session\r\n");
    const auto holder_is_second = [&] {
        const auto rows = farm.run(farm.store->sessions_on(farm.node)).value();
        return rows.size() == 1 && rows[0].worker == "l7r-0-x:2";
    };
    CHECK(farm.until(holder_is_second));
    desktop.agent->held.clear();
    barrier.open();
    CHECK(farm.next<net::Link>(worker).request == 2);
    CHECK_FALSE(desktop.agent->was_asked("x_suspend"));
}

TEST_CASE("A client that leaves leaves nothing behind, whatever its story waits for") {
    Stage stage;
    Barrier barrier;
    Puppet puppet = friendly();
    stage["puppet"] = &puppet;
    Farm farm(puppets(stage));
    Worker worker(*farm.broker, "l7r-0-x");
    std::optional<Desktop> desktop;
    const auto answers_late = [&](const auto&...) {
        barrier.pass();
        return QVD_OK;
    };
    SUBCASE("its authentication") {
        puppet.authenticate = answers_late;
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return barrier.reached(); }));
        worker.say(net::Gone{1});
        worker.say(net::ConnectionClosed{1});
        barrier.open();
    }
    SUBCASE("whether it may have the VM") {
        puppet.allow_access = answers_late;
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return barrier.reached(); }));
        worker.say(net::Gone{1});
        barrier.open();
    }
    SUBCASE("the VM's start") {
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until(
            [&] { return !farm.run(farm.store->pending_commands(farm.node)).value().empty(); }));
        CHECK(farm.rows() == 1);
        worker.say(net::Gone{1});
    }
    SUBCASE("a plugin before the connection") {
        desktop.emplace(farm);
        puppet.before_connect = answers_late;
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] { return barrier.reached(); }));
        CHECK(farm.rows() == 1);
        worker.say(net::Gone{1});
        // Still in the plugin.
        CHECK(farm.until([&] { return farm.rows() == 0; }));
        barrier.open();
    }
    SUBCASE("another client that does not let go") {
        (void)farm.run(farm.store->acquire_session(
            {farm.vm, farm.alice, "192.0.2.9", farm.node, "l7r-9-there:1"}));
        farm.running.insert("l7r-9-there");
        farm.ask(worker, 1, path_of(farm.vm));
        CHECK(farm.until([&] {
            return farm.run(farm.store->sessions_on(farm.node)).value().at(0).abort_requested;
        }));
        worker.say(net::Gone{1});
        farm.running.clear();
        worker.say(net::Hello{"l7r-0-x", {}, {}});
    }
    // One request after the other: this one sees what the first has left.
    worker.say(request_on(1, 2, "/qvd/ping"));
    // The first one's answer, if there is one, is for nobody.
    net::Reply reply = farm.answer(worker);
    if (reply.request == 1) reply = farm.answer(worker);
    CHECK(reply.request == 2);
    CHECK(farm.until([&] { return farm.rows() == 0 && farm.broker->load() == 0; }));
}

TEST_CASE("What is in a take-over's way is waited for, not asked for, where the agent can tell") {
    Farm farm;
    // As ours: the first x_start puts the earlier client out, which takes a while.
    const std::vector<std::string> states{"connected", "suspending", "suspended"};
    std::size_t at = 0;
    const auto agent = std::make_shared<Agent>(farm.loop, [&](const std::string& method) {
        if (method == "hello")
            return agent::encode_hello(
                {agent::protocol_version, {std::string(agent::feature::x_wait)}});
        if (method == "x_state") {
            if (at + 1 < states.size()) return agent::encode_text(states[++at]);
            return agent::encode_text("listening");
        }
        if (method == "x_start" && at == 0) return agent::encode_failure(agent::busy_sentence);
        if (method == "x_start" && at == 1)
            return agent::encode_failure(std::string(agent::passing_sentence) + states[at] +
                                         ", try again in a few minutes");
        return method == "x_start" ? agent::encode_text("starting") : std::string();
    });
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.next<net::Link>(worker).port == 4000);
    std::string story;
    for (const std::string& target : agent->targets) {
        const std::size_t unless = target.find("unless=");
        if (target.starts_with("/vma/x_start")) story += "start ";
        if (unless != std::string::npos)
            story += target.substr(unless, target.find('&', unless) - unless) + " ";
    }
    CHECK(story == "start unless=connected start unless=suspending start unless=starting ");
}

TEST_CASE("What a plugin refuses before the connection is not even started") {
    Stage stage;
    Puppet puppet = friendly();
    std::uint64_t node = 0;
    std::string state;
    puppet.before_connect = [&](const qvd_login*, const qvd_vm_entry* vm, qvd_call* call) {
        node = vm->node_id;
        state = std::string(vm->state.data, vm->state.length);
        call->fail(call, qvd_text("no licence is free"));
        return QVD_DENIED;
    };
    stage["puppet"] = &puppet;
    Farm farm(puppets(stage));
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 403);
    CHECK(reply.body == "no licence is free\r\n");
    CHECK(node == static_cast<std::uint64_t>(farm.node.value()));
    CHECK(state == "stopped");
    CHECK(farm.until([&] { return farm.rows() == 0; }));
    CHECK(farm.run(farm.store->pending_commands(farm.node)).value().empty());
    CHECK(farm.run(farm.store->vm(farm.vm)).value()->runtime.state == VmState::stopped);
}

TEST_CASE("Who closed his connection while he was authenticated is not remembered") {
    Stage stage;
    Barrier barrier;
    Puppet puppet = friendly();
    int asked = 0;
    puppet.authenticate = [&](const qvd_login*, const qvd_credentials*, qvd_call*) {
        if (++asked == 1) barrier.pass();
        return QVD_OK;
    };
    stage["puppet"] = &puppet;
    log::Capture log;
    Farm farm(puppets(stage));
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, "/qvd/list_of_vm");
    CHECK(farm.until([&] { return barrier.reached(); }));
    worker.say(net::Gone{1});
    worker.say(net::ConnectionClosed{1});
    // When the broker has answered this, it has read those.
    worker.say(request_on(2, 2, "/qvd/ping"));
    CHECK(farm.answer(worker).status == 200);
    barrier.open();
    CHECK(farm.until([&] { return log.contains("auth.ok"); }));
    CHECK(farm.answer(worker).request == 1);
    // The number of the connection is all that an entry is found by.
    worker.say(request_on(1, 3, "/qvd/list_of_vm"));
    CHECK(farm.answer(worker).status == 200);
    CHECK(asked == 2);
}

TEST_CASE("A VM that a plugin does not allow is a 403 with its sentence, and no row") {
    Stage stage;
    Puppet puppet = friendly();
    stage["puppet"] = &puppet;
    Farm farm(puppets(stage));
    Worker worker(*farm.broker, "l7r-0-x");
    std::string expected;
    SUBCASE("in its own words") {
        puppet.allow_access = [](const qvd_login*, const qvd_vm_entry*, qvd_call* call) {
            return qvd_call_fail(call, QVD_DENIED, "Only in office hours");
        };
        expected = "Only in office hours\r\n";
    }
    SUBCASE("without a word") {
        puppet.allow_access = [](const qvd_login*, const qvd_vm_entry*, qvd_call*) {
            return QVD_DECLINED;
        };
        expected = "You are not allowed to access requested virtual machine\r\n";
    }
    farm.ask(worker, 1, path_of(farm.vm));
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 403);
    CHECK(reply.body == expected);
    CHECK(farm.rows() == 0);
}
