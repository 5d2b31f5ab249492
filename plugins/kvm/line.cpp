#include "line.hpp"

#include <libvirt/virterror.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>
#include <utility>

namespace qvd::kvm {

namespace {

using Line = Connection::Line;
using SharedLine = std::shared_ptr<Line>;
using std::chrono::milliseconds;

// A libvirtd that says nothing for 15 s is given up; so are the orders that wait for it.
constexpr int keep_alive_seconds = 5;
constexpr unsigned keep_alive_count = 2;
constexpr milliseconds first_pause{200};
constexpr milliseconds longest_pause{5'000};
constexpr milliseconds shortest_pause{50};  // although somebody waits

void forget(void* line) {
    delete static_cast<SharedLine*>(line);
}

// Of a domain that ended. Its uuid may run again by the time that we hear of it: an end that is
// past is not told, or a healthy guest would be taken for gone.
void tell_end(const SharedLine& line, virConnectPtr connection, const std::string& uuid,
              int detail) {
    const Domain domain(virDomainLookupByUUIDString(connection, uuid.c_str()));
    const bool known = domain != nullptr || is_missing();
    const bool runs = domain != nullptr && virDomainIsActive(domain.get()) == 1;
    // Not known: the connection broke, and who comes back looks for what ended.
    if (known && !runs)
        line->told(
            [&](Hearer& hearer) { hearer.on_event(uuid, VIR_DOMAIN_EVENT_STOPPED, detail); });
}

// libvirt must not be asked on its own thread.
void tell_end_later(const SharedLine& line, virConnectPtr connection, const std::string& uuid,
                    int detail) {
    {
        const std::lock_guard<std::mutex> lock(line->mutex);
        if (line->closing) return;
        ++line->orders;
    }
    virConnectRef(connection);
    std::thread([line, connection, uuid, detail] {
        block_broken_pipes();
        tell_end(line, connection, uuid, detail);
        virConnectClose(connection);
        const std::lock_guard<std::mutex> lock(line->mutex);
        --line->orders;
        line->changed.notify_all();
    }).detach();
}

int heard(virConnectPtr connection, virDomainPtr domain, int event, int detail, void* line) {
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (virDomainGetUUIDString(domain, uuid) != 0) return 0;
    const SharedLine kept = *static_cast<SharedLine*>(line);
    if (event == VIR_DOMAIN_EVENT_STOPPED)
        tell_end_later(kept, connection, uuid, detail);
    else
        kept->told([&](Hearer& hearer) { hearer.on_event(uuid, event, detail); });
    return 0;
}

// Whose connections are open. A close is looked up here, by what libvirt still holds while it
// tells: the callback cannot be taken back from a connection that breaks just then, and drivers
// that know no close never give back what they were to hand to it.
class Owners {
public:
    void add(virConnectPtr connection, const SharedLine& line) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.emplace(connection, line);
    }
    void remove(virConnectPtr connection) {
        const std::lock_guard<std::mutex> lock(mutex_);
        lines_.erase(connection);
    }
    SharedLine of(virConnectPtr connection) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = lines_.find(connection);
        return found == lines_.end() ? nullptr : found->second;
    }

private:
    mutable std::mutex mutex_;
    std::map<virConnectPtr, SharedLine> lines_;
};

Owners& owners() {
    static Owners all;
    return all;
}

void broke(virConnectPtr connection, int /*reason*/, void* /*data*/) {
    const SharedLine line = owners().of(connection);
    if (line == nullptr) return;
    const std::lock_guard<std::mutex> lock(line->mutex);
    if (line->connection == connection) line->broken = true;
    line->changed.notify_all();
}

struct Opened {
    virConnectPtr connection = nullptr;
    int events = -1;  // the callback's number
    std::set<std::string> running;
    std::string trouble;
};

std::string last_words() {
    const virError* const error = virGetLastError();
    return error != nullptr && error->message != nullptr ? error->message : "it does not say why";
}

void close(const Opened& opened) {
    if (opened.connection == nullptr) return;
    if (opened.events >= 0) virConnectDomainEventDeregisterAny(opened.connection, opened.events);
    virConnectUnregisterCloseCallback(opened.connection, &broke);
    owners().remove(opened.connection);
    virConnectClose(opened.connection);
}

// The uuids of what runs.
bool list(virConnectPtr connection, std::set<std::string>& uuids) {
    virDomainPtr* domains = nullptr;
    const int count =
        virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    for (int i = 0; i < count; ++i) {
        const Domain domain(domains[i]);
        char uuid[VIR_UUID_STRING_BUFLEN] = {};
        if (virDomainGetUUIDString(domain.get(), uuid) == 0) uuids.insert(uuid);
    }
    std::free(domains);  // NOLINT(cppcoreguidelines-no-malloc): libvirt's
    return count >= 0;
}

// Whoever watches hears everything from here on, and of everything before.
bool listen(const SharedLine& line, Opened& opened) {
    owners().add(opened.connection, line);
    virConnectRegisterCloseCallback(opened.connection, &broke, nullptr, nullptr);
    auto* const events = new SharedLine(line);
    opened.events = virConnectDomainEventRegisterAny(
        opened.connection, nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
        VIR_DOMAIN_EVENT_CALLBACK(&heard),  // NOLINT: libvirt's own cast
        events, &forget);
    if (opened.events < 0) forget(events);
    return opened.events >= 0 && list(opened.connection, opened.running);
}

Opened open(const SharedLine& line) {
    Opened opened;
    opened.connection = virConnectOpen(line->uri.c_str());
    if (opened.connection == nullptr) {
        opened.trouble = last_words();
        return opened;
    }
    // A libvirt within this process has no line to keep alive, and says so.
    virConnectSetKeepAlive(opened.connection, keep_alive_seconds, keep_alive_count);
    if (listen(line, opened)) return opened;
    opened.trouble = last_words();
    close(opened);
    opened.connection = nullptr;
    return opened;
}

// A libvirtd that has just been started counts guests that ended before that as running until it
// has looked for them, and then says nothing of it. So they are looked for again, these times after
// the connection was made and after one another.
constexpr std::array looks{milliseconds{1'000}, milliseconds{4'000}, milliseconds{25'000}};

void look_again(const SharedLine& line, const Opened& opened) {
    std::map<std::string, std::uint64_t> gone;
    line->told([&](Hearer& hearer) { gone = hearer.begun(); });
    std::set<std::string> running;
    if (gone.empty() || !list(opened.connection, running)) return;
    for (const std::string& uuid : running) gone.erase(uuid);
    if (!gone.empty()) line->told([&](Hearer& hearer) { hearer.on_gone(gone); });
}

// Serves the open connection until it breaks or nobody wants it any more, and closes it; `lock`
// holds line->mutex. Whether it broke.
bool serve(const SharedLine& line, const Opened& opened, std::unique_lock<std::mutex>& lock) {
    line->connection = opened.connection;
    line->broken = virConnectIsAlive(opened.connection) != 1;
    line->changed.notify_all();
    const auto is_over = [&] { return line->closing || line->broken; };
    for (const milliseconds pause : looks) {
        if (line->changed.wait_for(lock, pause, is_over)) break;
        lock.unlock();
        look_again(line, opened);
        lock.lock();
    }
    line->changed.wait(lock, is_over);
    const bool lost = !line->closing;
    line->connection = nullptr;
    lock.unlock();
    if (lost) line->told([&](Hearer& hearer) { hearer.on_lost("the connection broke"); });
    close(opened);
    lock.lock();
    return lost;
}

}  // namespace

void keep_open(const SharedLine& line) {
    block_broken_pipes();
    Opened opened;
    bool lost_told = false;
    milliseconds pause = first_pause;
    std::unique_lock<std::mutex> lock(line->mutex);
    while (!line->closing) {
        line->wanted = false;
        const std::uint64_t attempt = ++line->attempts_begun;
        lock.unlock();
        opened = open(line);
        if (opened.connection != nullptr)
            line->told([&](Hearer& hearer) { hearer.on_connected(opened.running); });
        else if (!std::exchange(lost_told, true))
            line->told([&](Hearer& hearer) { hearer.on_lost(opened.trouble); });
        lock.lock();
        if (opened.connection == nullptr) {
            line->attempts_failed = attempt;
            line->trouble = opened.trouble;
            line->changed.notify_all();
            line->changed.wait_for(lock, shortest_pause, [&] { return line->closing; });
            line->changed.wait_for(lock, pause, [&] { return line->closing || line->wanted; });
            pause = std::min(pause * 2, longest_pause);
            continue;
        }
        pause = first_pause;
        lost_told = serve(line, opened, lock);
    }
    line->closed = true;
    line->changed.notify_all();
}

}  // namespace qvd::kvm
