// A farm of one user and one OSF, seen by a plugin through the core's services.
#pragma once

#include "tests/plugin/room.hpp"

#include <qvd/services.h>

#include <memory>
#include <string>
#include <vector>

namespace qvd::plugin {

namespace asio = boost::asio;
using qvd::testing::lend;
using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::Signal;
using qvd::testing::text;

// What a service gave to its sink.
struct Answers {
    qvd_sink sink{sizeof(qvd_sink), 0, this, &Answers::take, &Answers::complain};
    std::vector<std::string> users;
    std::vector<std::string> vms;
    std::vector<std::string> vm_states;
    Properties properties;
    std::string sentence;
    std::uint64_t last_id = 0;

    Answers() = default;
    Answers(const Answers&) = delete;
    Answers& operator=(const Answers&) = delete;

private:
    static void take(void* data, qvd_kind kind, const void* record) {
        auto& self = *static_cast<Answers*>(data);
        if (kind == QVD_KIND_USER) {
            const auto& user = *static_cast<const qvd_user*>(record);
            self.users.push_back(text(user.login));
            self.last_id = user.id;
        } else if (kind == QVD_KIND_VM_ENTRY) {
            const auto& vm = *static_cast<const qvd_vm_entry*>(record);
            self.vms.push_back(text(vm.name));
            self.vm_states.push_back(text(vm.state));
            self.last_id = vm.id;
            self.keep(vm.properties);
        } else if (kind == QVD_KIND_PROPERTY) {
            const auto& property = *static_cast<const qvd_property*>(record);
            self.properties[text(property.key)] = text(property.value);
        }
    }
    void keep(const qvd_array& array) {
        for (std::size_t i = 0; i < array.count; ++i) {
            const auto& property = *static_cast<const qvd_property*>(qvd_array_at(&array, i));
            properties[text(property.key)] = text(property.value);
        }
    }
    static void complain(void* data, qvd_str sentence) {
        static_cast<Answers*>(data)->sentence = text(sentence);
    }
};

// The store that the services of this executable's farms work on, as the broker's role or as the
// owner; null: the room's own, in memory. farm_in_memory.cpp or farm_on_postgres.cpp.
std::unique_ptr<store::Store> farm_store(asio::io_context& loop, bool as_owner);
// Before each farm.
void empty_farm_store();

struct Farm {
    explicit Farm(const std::string& configuration = "")
        : room((empty_farm_store(), configuration),
               [](asio::io_context& loop) { return farm_store(loop, false); }),
          owner_store(farm_store(room.loop, true)),
          owner(owner_store ? *owner_store : room.store) {
        instance = room.make(QVD_AUTHENTICATOR, puppet);
        user = room.run(owner.add_user("bob", std::nullopt)).value();
        Osf wanted;
        wanted.name = "desktop";
        osf = room.run(owner.add_osf(wanted)).value();
        (void)room.run(owner.add_di({osf, "debian.tar.xz", ""})).value();
        room.host.vm_addresses = [] {
            return Result(std::pair<std::string, std::string>("10.3.15.2", "10.3.15.250"));
        };
    }

    template <class Table>
    const Table* service(const char* id) const {
        return static_cast<const Table*>(puppet.core->service(puppet.core, id));
    }
    // Asks a service on a worker thread, as a plugin would.
    qvd_status ask(const std::function<qvd_status(const qvd_call*)>& question,
                   Milliseconds limit = Milliseconds{10'000}) {
        CallOptions options;
        options.limit = limit;
        return room
            .call(
                *instance, [&](qvd_call* call) { return question(call); }, options)
            .status;
    }
    void set_hash(const std::string& hash) {
        REQUIRE(room.run(owner.set_password_hash(user, Secret{hash})).ok());
    }
    std::string stored_hash() {
        const auto hash = room.run(owner.password_hash(user)).value();
        return hash ? std::string(hash->reveal()) : std::string();
    }
    qvd_status verify(const std::string& login, const std::string& password, Answers& answers) {
        const auto* accounts = service<qvd_accounts_service>(QVD_CORE_ACCOUNTS);
        return ask([&](const qvd_call* call) {
            return accounts->verify_password(puppet.core, call, lend(login),
                                             {password.data(), password.size()}, &answers.sink);
        });
    }

    Puppet puppet;
    Room room;
    std::unique_ptr<store::Store> owner_store;
    store::Store& owner;  // what the administrator works on
    std::shared_ptr<Instance> instance;
    UserId user;
    OsfId osf;
};

}  // namespace qvd::plugin
