// A role for tests of the supervisor: fake_role ROLE INSTANCE FOLDER. It beats, and speaks line by
// line: an l7r worker with TCP clients ("who" gives its instance; "hang" stops its heart). What it
// is told it writes into FOLDER/events. A file FOLDER/die.ROLE makes it exit at once,
// FOLDER/mute.ROLE keeps it silent, FOLDER/lame.ROLE never ready. An l7r worker that is alone waits
// for its next supervisor at its lifeline.
#include "net/role_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

using namespace qvd;

namespace {

class FakeRole {
public:
    FakeRole(net::RoleLink link, std::string folder)
        : link_(std::move(link)), folder_(std::move(folder)) {}

    int run() {
        if (flag("die")) return 1;
        note("started");
        for (;;) {
            beat();
            std::vector<pollfd> watched{{supervised_ ? link_.fd() : -1, POLLIN, 0},
                                        {listener_.get(), POLLIN, 0},
                                        {lifeline_.get(), POLLIN, 0}};
            for (const auto& [fd, owner] : clients_) watched.push_back({fd, POLLIN, 0});
            (void)::poll(watched.data(), watched.size(), 100);
            if (watched[0].revents != 0 && !obey()) return 0;
            if (watched[1].revents != 0) accept_one();
            if (watched[2].revents != 0) rescued();
            for (std::size_t i = 3; i < watched.size(); ++i)
                if (watched[i].revents != 0) serve(watched[i].fd);
            if (draining_ && clients_.empty()) return 0;
        }
    }

private:
    [[nodiscard]] bool flag(const std::string& name) const {
        return std::filesystem::exists(folder_ + "/" + name + "." +
                                       std::string(net::to_string(link_.role())));
    }

    void note(const std::string& what) const {
        const std::string line = link_.instance() + " " + what + "\n";
        const UniqueFd events{
            ::open((folder_ + "/events").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)};
        [[maybe_unused]] const ssize_t done = ::write(events.get(), line.data(), line.size());
    }

    void beat() {
        if (flag("mute") || !supervised_) return;
        (void)link_.send(net::report::Alive{500, static_cast<std::uint32_t>(clients_.size()),
                                            flag("stuck") ? 60'000U : 0U, "fake"});
        if (!ready_ && !flag("lame")) ready_ = link_.send(net::report::Ready{}).ok();
        if (!port_told_ && std::filesystem::exists(folder_ + "/port")) {
            std::array<char, 16> port{};
            const UniqueFd file{::open((folder_ + "/port").c_str(), O_RDONLY | O_CLOEXEC)};
            [[maybe_unused]] const ssize_t done = ::read(file.get(), port.data(), port.size() - 1);
            port_told_ = link_.role() == net::Role::broker &&
                         link_.send(net::report::Setting{"l7r.port", port.data()}).ok();
        }
    }

    // False: exit.
    bool obey() {
        for (;;) {
            auto received = link_.try_receive();
            if (!received.ok()) return alone();
            if (!*received) return true;
            net::Order& order = **received;
            if (const auto* peer = std::get_if<net::order::Peer>(&order.what)) {
                note("linked to " + peer->instance);
                peers_.push_back(std::move(order.fd));
            } else if (std::holds_alternative<net::order::Listen>(order.what)) {
                listener_ = std::move(order.fd);
            } else if (std::holds_alternative<net::order::Lifeline>(order.what)) {
                lifeline_ = std::move(order.fd);
            } else if (std::holds_alternative<net::order::Log>(order.what)) {
                note("logs elsewhere");
            } else if (std::holds_alternative<net::order::Drain>(order.what)) {
                note("draining");
                listener_.reset();
                draining_ = true;
            } else if (std::holds_alternative<net::order::Evacuate>(order.what)) {
                note("evacuated");
                return false;
            } else {
                note("stopped");
                return false;
            }
        }
    }

    bool alone() {
        note("alone");
        supervised_ = false;
        draining_ = true;
        listener_.reset();
        return link_.role() == net::Role::l7r;
    }

    void rescued() {
        UniqueFd supervisor{
            ::accept4(lifeline_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (!supervisor) return;
        note("rescued");
        link_ = net::RoleLink(std::move(supervisor), link_.role(), link_.instance());
        supervised_ = true;
    }

    void accept_one() {
        const int client = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (client >= 0) clients_[client].reset(client);
    }

    void serve(int client) {
        std::array<char, 64> buffer{};
        const ssize_t got = ::recv(client, buffer.data(), buffer.size(), 0);
        const std::string said(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0U);
        if (said.empty()) clients_.erase(client);
        if (said == "hang") ::pause();
        if (said != "who") return;
        const std::string name = link_.instance();
        [[maybe_unused]] const ssize_t done =
            ::send(client, name.data(), name.size(), MSG_NOSIGNAL);
    }

    net::RoleLink link_;
    std::string folder_;
    UniqueFd listener_;
    UniqueFd lifeline_;
    std::map<int, UniqueFd> clients_;
    std::vector<UniqueFd> peers_;
    bool supervised_ = true;
    bool draining_ = false;
    bool ready_ = false;
    bool port_told_ = false;
};

}  // namespace

int main(int count, char** words) {
    if (count != 4) return 2;
    return FakeRole(net::RoleLink(UniqueFd{3}, *net::parse_role(words[1]), words[2]), words[3])
        .run();
}
