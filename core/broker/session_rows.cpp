#include "broker/session_rows.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "broker/session_ends.hpp"
#include "broker/sessions.hpp"
#include "broker/vm_watch.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds compare_every{60'000};
constexpr Milliseconds try_again{2000};
// The one query a second that a lost announcement costs.
constexpr Milliseconds look_every{1000};
constexpr std::size_t longest_command_line = 64UL * 1024;

// A holder is "instance:request".
std::pair<std::string, std::uint64_t> split_holder(const std::string& holder) {
    const std::size_t colon = holder.rfind(':');
    if (colon == std::string::npos) return {holder, 0};
    const auto request = text::to_integer(std::string_view(holder).substr(colon + 1));
    return {holder.substr(0, colon), request ? static_cast<std::uint64_t>(*request) : 0};
}

}  // namespace

// By its command line, which everybody may read: a worker may outlive the supervisor that knew it.
bool instance_runs(const std::string& instance) {
    const std::string wanted = "--instance=" + instance;
    std::error_code problem;
    const std::filesystem::directory_iterator processes("/proc", problem);
    return std::any_of(begin(processes), end(processes), [&wanted](const auto& entry) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) return false;
        const auto command = file::read(entry.path() / "cmdline", longest_command_line);
        if (!command.ok()) return false;
        const std::vector<std::string> words = text::split(*command, '\0');
        return std::ranges::find(words, wanted) != words.end();
    });
}

SessionRows::SessionRows(Context& context, Workers workers, Runs runs)
    : context_(context), workers_(std::move(workers)), runs_(std::move(runs)) {
}

void SessionRows::stop() {
    stopped_ = true;
    compare_.notify();
    look_.notify();
}

void SessionRows::compare_soon() {
    compare_due_ = true;
    compare_.notify();
}

void SessionRows::look_soon() {
    look_due_ = true;
    look_.notify();
}

asio::awaitable<void> SessionRows::keep_comparing() {
    while (!stopped_) {
        compare_due_ = false;
        const auto done = co_await compare();
        if (!done.ok()) log::warn("session.reconcile", {}, done.error().sentence());
        if (!compare_due_) co_await compare_.wait(done.ok() ? compare_every : try_again);
    }
}

Async<NodeId> SessionRows::own_node() {
    if (!node_) {
        QVD_CO_TRY(const auto record, co_await this_node_as_it_is(context_));
        node_ = record.node.id;
    }
    co_return *node_;
}

// Rows whose relay still runs are taken up again; rows that nobody holds any more are reset.
Async<void> SessionRows::compare() {
    if (!comparing_) co_return Result<void>{};
    node_.reset();  // a node may be deleted and made anew
    QVD_CO_TRY(const NodeId node, co_await own_node());
    QVD_CO_TRY(const auto rows, co_await context_.store.sessions_on(node));
    for (const auto& worker : workers_()) {
        const std::set<std::string> holders = worker->holders();
        for (const Session& row : rows)
            if (holders.contains(row.worker)) worker->resume(row, split_holder(row.worker).second);
    }
    // Whoever holds a row of these held it before it was read: what is lost now stays lost.
    std::set<SessionId> lost = lost_among(rows);
    if (lost.empty() || !comparing_) co_return Result<void>{};
    QVD_CO_TRY(const int reset, co_await context_.store.reset_sessions(std::move(lost)));
    if (reset > 0) log::warn("session.reset", {{"rows", reset}}, "their workers are gone");
    co_return Result<void>{};
}

std::set<SessionId> SessionRows::lost_among(const std::vector<Session>& rows) const {
    std::set<std::string> held;
    std::map<std::string, bool> known;  // instance → whether its requests are known or may exist
    for (const auto& worker : workers_()) {
        if (!worker->greeted()) continue;
        known[worker->worker()] = true;
        held.merge(worker->holders());
    }
    std::set<SessionId> lost;
    for (const Session& row : rows) {
        if (held.contains(row.worker) || context_.ends.has(row.id)) continue;
        const std::string instance = split_holder(row.worker).first;
        // A worker that we do not know (yet) may hold it as long as it runs.
        if (!known.contains(instance)) known[instance] = !runs_(instance);
        if (known[instance]) lost.insert(row.id);
    }
    return lost;
}

asio::awaitable<void> SessionRows::keep_looking() {
    while (!stopped_) {
        if (!look_due_) co_await look_.wait(look_every);
        const bool wanted = std::exchange(look_due_, false) || context_.sessions.size() > 0 ||
                            !context_.vms.awaited().empty();
        if (stopped_ || !wanted) continue;
        const auto looked = co_await look();
        // The database's absence is told by whoever needs it; its return by an announcement.
        if (!looked.ok()) log::debug("session.look", {}, looked.error().sentence());
        if (!looked.ok()) co_await look_.wait(look_every);
    }
}

Async<void> SessionRows::look() {
    QVD_CO_TRY(const NodeId node, co_await own_node());
    QVD_CO_TRY(const store::BrokerLook now,
               co_await context_.store.broker_look(node, context_.vms.awaited()));
    context_.vms.seen(now.vms);
    std::set<SessionId> strangers;
    for (const auto& [session, vm] : now.unwanted) {
        if (context_.sessions.abort(vm, session) || context_.ends.hurry(session)) continue;
        strangers.insert(session);
        // Nobody here can let go of it: perhaps nobody can at all.
        if (!strangers_.contains(session)) compare_soon();
    }
    strangers_ = std::move(strangers);
    co_return Result<void>{};
}

}  // namespace qvd::broker
