// Operators at /qvd/admin: who is let in, what each may, what is written down, and how hkd's answer
// reaches them. hkd is played by the test.
#include "base/text.hpp"
#include "broker/operator_front.hpp"
#include "model/password.hpp"
#include "net/control.hpp"
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

constexpr PasswordCost cheap{64, 1};

class Office {
public:
    Office() : worker(*farm.broker, "l7r-1-a") {
        add("ann", OperatorRole::administrator);
        add("ben", OperatorRole::attendant);
        add("olga", OperatorRole::observer);
        auto ends = net::frame_sockets().value();
        farm.broker->add_hkd(std::move(ends.first));
        hkd = std::move(ends.second);
        ::fcntl(hkd.get(), F_SETFL, O_NONBLOCK);
    }

    void add(const std::string& name, OperatorRole role) {
        auto hash = hash_password(Secret{name + "-secret"}, cheap).value();
        REQUIRE(farm.run(farm.store->add_operator(name, role, std::move(hash))).ok());
    }
    static net::Request request(const std::string& target, const std::string& login) {
        static std::uint64_t number = 0;
        net::Request request;
        request.request = request.connection = ++number;
        request.client_address = "192.0.2.7";
        request.method = "GET";
        request.target = "/qvd/admin" + target;
        request.headers = {{"Connection", "keep-alive, Upgrade"},
                           {"Upgrade", "QVD-Admin/1.0"},
                           {"Authorization", "Basic " + text::base64_encode(login)}};
        request.tls = true;
        return request;
    }
    net::Reply answer(const net::Request& request) {
        worker.say(request);
        return farm.answer(worker);
    }
    net::Reply ask(const std::string& target, const std::string& login) {
        return answer(request(target, login));
    }
    // What hkd is asked next.
    net::ControlCall call() {
        std::optional<net::ControlCall> found;
        (void)farm.until([&] {
            auto frame = net::receive_frame(hkd.get());
            if (!frame.ok()) return false;
            found = std::get<net::ControlCall>(std::move(frame).value());
            return true;
        });
        return found.value();
    }
    [[nodiscard]] bool audited(const std::string& line) const {
        const auto lines = farm.store->audited();
        return std::ranges::find(lines, line) != lines.end();
    }
    std::string vm_target(const std::string& verb) {
        return "/v1/vm/" + farm.vm.text() + "/" + verb;
    }

    log::Capture quiet;
    Farm farm;
    Worker worker;
    UniqueFd hkd;
};

std::string code_of(const net::Reply& reply) {
    for (const auto& [name, value] : reply.headers)
        if (name == "X-QVD-Error") return value;
    return {};
}

}  // namespace

TEST_CASE("Who does not come as an operator should hears which part was wrong") {
    Office office;
    auto plain = Office::request("/v1/status", "ann:ann-secret");
    plain.tls = false;
    CHECK(code_of(office.answer(plain)) == "admin.tls");

    auto simple = Office::request("/v1/status", "ann:ann-secret");
    std::erase_if(simple.headers, [](const auto& field) { return field.first == "Upgrade"; });
    const auto refused = office.answer(simple);
    CHECK(refused.status == 426);
    CHECK(std::ranges::find(refused.headers,
                            std::pair<std::string, std::string>{"Upgrade", "QVD-Admin/1.0"}) !=
          refused.headers.end());

    auto nameless = Office::request("/v1/status", "");
    std::erase_if(nameless.headers,
                  [](const auto& field) { return field.first == "Authorization"; });
    CHECK(office.answer(nameless).status == 401);
    CHECK(code_of(office.ask("/v1/status", "ann:wrong")) == "auth.refused");
    CHECK(code_of(office.ask("/v1/status", "nobody:wrong")) == "auth.refused");
    CHECK(office.ask("/v1/status", "ann:").status == 401);
    // A user is no operator.
    CHECK(office.ask("/v1/status", "alice:secret").status == 401);
    auto post = Office::request("/v1/status", "ann:ann-secret");
    post.method = "POST";
    CHECK(office.answer(post).status == 405);
    CHECK(office.farm.store->audited().empty());
}

TEST_CASE("What there is not is not found, and what is elsewhere says where") {
    Office office;
    CHECK(office.ask("/v1/nothing", "ann:ann-secret").status == 404);
    CHECK(office.ask("/v1/vm/0/console", "ann:ann-secret").status == 404);
    CHECK(office.ask("", "ann:ann-secret").status == 404);
    CHECK(office.ask("istration", "ann:ann-secret").status == 404);
    CHECK(office.ask("/v1/vms?x=%zz", "ann:ann-secret").status == 400);
    CHECK(code_of(office.ask("/v1/vm/9999/log", "ann:ann-secret")) == "vm.not_found");
    const NodeId far = office.farm.run(office.farm.store->add_node("far", "10.0.0.9")).value();
    const auto epoch = office.farm.run(office.farm.store->claim_node(far, "boot")).value();
    (void)office.farm.run(office.farm.store->set_node_state(far, epoch, NodeState::running, ""));
    NodeLoad load;
    load.memory_total_mib = load.memory_free_mib = 4096;
    (void)office.farm.run(office.farm.store->heartbeat(far, epoch, load));
    office.farm.run_vm(1, far);
    const auto elsewhere = office.ask(office.vm_target("console"), "ann:ann-secret");
    CHECK(elsewhere.status == 409);
    CHECK(elsewhere.body.find("far") != std::string::npos);
}

TEST_CASE("A role decides what one may, and a refusal is written down") {
    Office office;
    const auto refused = office.ask(office.vm_target("console"), "olga:olga-secret");
    CHECK(refused.status == 403);
    CHECK(code_of(refused) == "operator.role");
    CHECK(refused.body.starts_with("olga is observer; console needs the role operator"));
    CHECK(office.audited("operator olga admin console refused vm " + office.farm.vm.text() +
                         " from 192.0.2.7"));
    for (const auto verb :
         {net::ControlVerb::console, net::ControlVerb::vnc, net::ControlVerb::ssh})
        CHECK(broker::role_for(verb) == OperatorRole::attendant);
    for (const auto verb :
         {net::ControlVerb::status, net::ControlVerb::vms, net::ControlVerb::log,
          net::ControlVerb::metrics, net::ControlVerb::plugins, net::ControlVerb::storage})
        CHECK(broker::role_for(verb) == OperatorRole::observer);
    CHECK(broker::role_for(net::ControlVerb::collect) == OperatorRole::administrator);
}

TEST_CASE("A blocked operator is let in nowhere, and hears so only with the right password") {
    Office office;
    const auto all = office.farm.run(office.farm.store->operators()).value();
    store::Store::OperatorEdit edit;
    edit.blocked = true;
    REQUIRE(office.farm.run(office.farm.store->edit_operator(all.front().id, edit)).ok());
    CHECK(code_of(office.ask("/v1/status", "ann:ann-secret")) == "operator.blocked");
    CHECK(code_of(office.ask("/v1/status", "ann:guess")) == "auth.refused");
}

TEST_CASE("An address that guesses operators' passwords is refused for a while") {
    Office office;
    std::uint16_t status = 0;
    int guesses = 0;
    for (; guesses < 100 && status != 429; ++guesses)
        status = office.ask("/v1/status", "ann:guess").status;
    CHECK(status == 429);
    CHECK(guesses > 2);
    CHECK(office.ask("/v1/status", "ann:ann-secret").status == 429);
    office.farm.clock.advance(std::chrono::seconds(61));
    CHECK(code_of(office.ask("/v1/status", "ann:guess")) == "auth.refused");
}

TEST_CASE("A document comes from hkd as it is, long ones too, and is written down before") {
    Office office;
    office.worker.say(Office::request("/v1/vms?lines=20", "olga:olga-secret"));
    const net::ControlCall call = office.call();
    CHECK(call.verb == static_cast<std::uint8_t>(net::ControlVerb::vms));
    CHECK(call.caller == "olga");
    CHECK(call.parameters == net::Headers{{"lines", "20"}});
    CHECK(office.audited("operator olga admin vms from 192.0.2.7"));
    REQUIRE(net::send_frame(office.hkd.get(), net::Body{call.call, "begin "}).ok());
    net::Reply document;
    document.request = call.call;
    document.status = 200;
    document.headers = {{"Content-Type", "application/json"}};
    document.body = "end";
    REQUIRE(net::send_frame(office.hkd.get(), document).ok());
    const net::Reply reply = office.farm.answer(office.worker);
    CHECK(reply.status == 200);
    CHECK(reply.body == "begin end");
    CHECK(reply.close);
    CHECK(reply.headers == document.headers);
}

TEST_CASE("A stream goes to the worker as a socket, and its end is the request's") {
    Office office;
    office.farm.run_vm(1);
    office.worker.say(Office::request(office.vm_target("console"), "ben:ben-secret"));
    const net::ControlCall call = office.call();
    CHECK(call.vm == office.farm.vm.value());
    auto console = net::frame_sockets().value();
    REQUIRE(net::send_frame(office.hkd.get(), net::Attach{call.call, std::make_shared<UniqueFd>(
                                                                         std::move(console.first))})
                .ok());
    const auto attach = office.farm.next<net::Attach>(office.worker);
    REQUIRE(attach.socket);
    REQUIRE(net::send_frame(attach.socket->get(), net::Gone{1}).ok());
    CHECK(net::receive_frame(console.second.get()).ok());
    office.worker.say(net::Linked{attach.request});
    const auto go = office.farm.next<net::Switch>(office.worker);
    CHECK(go.protocol == "QVD-Admin/1.0");
    CHECK(go.slave_key.empty());
    office.worker.say(net::Ended{attach.request, 1, 2, 3, "client closed"});
    CHECK(office.farm.until([&] { return office.quiet.contains("event=operator.stream_ended"); }));
    CHECK(office.audited("operator ben admin console vm " + office.farm.vm.text() +
                         " from 192.0.2.7"));
}

namespace {

// A console that ben has open.
struct OpenConsole {
    OpenConsole() {
        office.farm.run_vm(1);
        office.worker.say(Office::request(office.vm_target("console"), "ben:ben-secret"));
        const net::ControlCall call = office.call();
        auto sockets = net::frame_sockets().value();
        end = std::move(sockets.second);
        auto socket = std::make_shared<UniqueFd>(std::move(sockets.first));
        REQUIRE(net::send_frame(office.hkd.get(), net::Attach{call.call, std::move(socket)}).ok());
        request = office.farm.next<net::Attach>(office.worker).request;
        office.worker.say(net::Linked{request});
        owner = office.farm.next<net::Switch>(office.worker).owner;
    }
    void edit(const std::string& name, const store::Store::OperatorEdit& edit) {
        const auto all = office.farm.run(office.farm.store->operators()).value();
        for (const Operator& one : all)
            if (one.name == name)
                REQUIRE(office.farm.run(office.farm.store->edit_operator(one.id, edit)).ok());
    }
    void is_ended() {
        CHECK(office.farm.next<net::Abort>(office.worker).request == request);
        office.worker.say(net::Ended{request, 1, 2, 3, "ended by the broker"});
        CHECK(office.farm.until(
            [&] { return office.quiet.contains("event=operator.stream_ended"); }));
    }

    Office office;
    UniqueFd end;
    std::uint64_t request = 0;
    std::string owner;  // as the worker keeps it
};

}  // namespace

TEST_CASE("A blocked operator loses the streams that he has open, and others keep theirs") {
    OpenConsole open;
    store::Store::OperatorEdit blocked;
    blocked.blocked = true;
    open.edit("ann", blocked);
    open.edit("ben", blocked);
    open.is_ended();
    CHECK(open.office.quiet.contains("event=operator.revoked operator=ben"));
    CHECK_FALSE(open.office.quiet.contains("event=operator.revoked operator=ann"));
}

TEST_CASE("So does one who is deleted, and one whose role does not allow them any more") {
    {
        OpenConsole open;
        const auto all = open.office.farm.run(open.office.farm.store->operators()).value();
        for (const Operator& one : all)
            if (one.name == "ben")
                REQUIRE(open.office.farm.run(open.office.farm.store->delete_operator(one.id)).ok());
        open.is_ended();
    }
    OpenConsole open;
    store::Store::OperatorEdit role;
    role.role = OperatorRole::administrator;
    open.edit("ben", role);
    role.role = OperatorRole::observer;
    open.edit("ben", role);
    open.is_ended();
}

TEST_CASE("A stream that an earlier broker began ends with its operator's account") {
    const std::string owner = OpenConsole().owner;
    Office office;
    Worker worker(*office.farm.broker, "l7r-2-b", {77, 78}, {},
                  {{"77", owner}, {"78", "nonsense:" + owner}, {"79", owner}});
    REQUIRE(office.farm.until([&] {
        return office.quiet.contains("event=operator.stream_resumed operator=ben trace=l7r-2-b:77");
    }));
    const auto all = office.farm.run(office.farm.store->operators()).value();
    for (const Operator& one : all)
        if (one.name == "ben")
            REQUIRE(office.farm.run(office.farm.store->delete_operator(one.id)).ok());
    CHECK(office.farm.next<net::Abort>(worker).request == 77);
    worker.say(net::Ended{77, 1, 2, 3, "ended by the broker"});
    CHECK(office.farm.until([&] { return office.quiet.contains("event=operator.stream_ended"); }));
    CHECK_FALSE(office.quiet.contains("trace=l7r-2-b:78"));
    CHECK_FALSE(office.quiet.contains("trace=l7r-2-b:79"));
}

TEST_CASE("So does one whose operator was demoted while no broker was there, at once") {
    const std::string owner = OpenConsole().owner;
    Office office;
    const auto all = office.farm.run(office.farm.store->operators()).value();
    store::Store::OperatorEdit role;
    role.role = OperatorRole::observer;
    for (const Operator& one : all)
        if (one.name == "ben")
            REQUIRE(office.farm.run(office.farm.store->edit_operator(one.id, role)).ok());
    Worker worker(*office.farm.broker, "l7r-2-b", {77}, {}, {{"77", owner}});
    CHECK(office.farm.next<net::Abort>(worker).request == 77);
}

TEST_CASE("Without hkd, or without the database, an operator is told to try again") {
    Office office;
    office.hkd.reset();
    CHECK(office.farm.until(
        [&] { return code_of(office.ask("/v1/status", "ann:ann-secret")) == "node.no_hkd"; }));
    office.farm.store->fail_with_unavailable(true);
    CHECK(code_of(office.ask("/v1/status", "ann:ann-secret")) == "auth.unavailable");
}
