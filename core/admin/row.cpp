#include "admin/row.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

namespace qvd::admin {

std::string Cell::shown() const {
    if (kind == Kind::missing) return "-";
    return word.empty() ? value : word;
}

Row& Row::text(std::string_view key, std::string_view value) {
    const auto kind = value.empty() ? Cell::Kind::missing : Cell::Kind::text;
    cells_.push_back({std::string(key), std::string(value), kind, {}});
    return *this;
}

Row& Row::given(std::string_view key, std::string_view value) {
    cells_.push_back({std::string(key), std::string(value), Cell::Kind::text, {}});
    return *this;
}

Row& Row::number(std::string_view key, std::int64_t value) {
    cells_.push_back({std::string(key), std::to_string(value), Cell::Kind::number, {}});
    return *this;
}

Row& Row::number_or_none(std::string_view key, std::int64_t value) {
    number(key, value);
    if (value == 0) cells_.back().word = "-";
    return *this;
}

Row& Row::bytes(std::string_view key, std::int64_t value) {
    number_or_none(key, value);
    if (value == 0) return *this;
    constexpr std::int64_t kib = 1024;
    constexpr std::array units{" KiB", " MiB", " GiB", " TiB"};
    std::size_t unit = 0;
    std::int64_t tenths = (value * 10 + kib / 2) / kib;
    while (tenths >= kib * 10 && unit + 1 < units.size()) {
        tenths = (tenths + kib / 2) / kib;
        ++unit;
    }
    cells_.back().word =
        std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + units.at(unit);
    return *this;
}

Row& Row::boolean(std::string_view key, bool value) {
    cells_.push_back({std::string(key), value ? "1" : "0", Cell::Kind::boolean, {}});
    return *this;
}

Row& Row::yes_or_no(std::string_view key, bool value) {
    boolean(key, value);
    cells_.back().word = value ? "yes" : "no";
    return *this;
}

Row& Row::missing(std::string_view key) {
    cells_.push_back({std::string(key), {}, Cell::Kind::missing, {}});
    return *this;
}

const Cell* Row::find(std::string_view key) const {
    const auto found = std::ranges::find(cells_, key, &Cell::key);
    return found == cells_.end() ? nullptr : &*found;
}

namespace {

std::string formatted(Timestamp time, const char* format, bool local) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    if (local)
        ::localtime_r(&seconds, &parts);
    else
        ::gmtime_r(&seconds, &parts);
    std::array<char, 64> out{};
    const std::size_t length = std::strftime(out.data(), out.size(), format, &parts);
    return {out.data(), length};
}

}  // namespace

std::string local_time(Timestamp time) {
    return formatted(time, "%Y-%m-%d %H:%M:%S", true);
}

std::string zoned_time(Timestamp time) {
    return formatted(time, "%Y-%m-%d %H:%M:%S %Z", true);
}

std::string utc_time(Timestamp time) {
    return formatted(time, "%Y-%m-%dT%H:%M:%SZ", false);
}

namespace {

template <class T>
void add_id(Row& row, std::string_view key, const std::optional<T>& id) {
    if (id)
        row.number(key, id->value());
    else
        row.missing(key);
}

void add_time(Row& row, std::string_view key, const std::optional<Timestamp>& time) {
    if (time)
        row.text(key, local_time(*time));
    else
        row.missing(key);
}

void add_session(Row& row, const store::VmRecord& record) {
    const SessionState state = record.session ? record.session->state : SessionState::disconnected;
    row.text("user_state", to_string(state));
    row.text("l7r", record.session_node_name);
    row.text("user_ip", record.session ? record.session->client_address : "");
}

// What it uses, as its node reported last; nothing of one that does not run.
void add_usage(Row& row, const store::VmRecord& record) {
    if (record.memory_bytes == 0 && record.cpu_seconds <= 0) {
        row.missing("cpu").missing("cpu_seconds").missing("memory_used");
        return;
    }
    row.number("cpu", std::lround(record.cpu_cores * 100));
    row.number("cpu_seconds", std::lround(record.cpu_seconds));
    constexpr std::int64_t mib = 1 << 20;
    row.number("memory_used", (record.memory_bytes + mib / 2) / mib);
}

void add_checkpoint(Row& row, const std::optional<store::Checkpoint>& checkpoint) {
    if (!checkpoint) {
        row.missing("checkpoint").missing("checkpoint_at").missing("checkpoint_host");
        return;
    }
    row.text("checkpoint", checkpoint->path).text("checkpoint_at", local_time(checkpoint->at));
    row.text("checkpoint_host", checkpoint->node_name);
}

void add_runtime(Row& row, const store::VmRecord& record) {
    const VmRuntime& runtime = record.runtime;
    row.text("host", record.node_name);
    add_id(row, "host_id", runtime.node);
    row.text("state", to_string(runtime.state, runtime.phase));
    row.text("since", local_time(runtime.since));
    row.text("reason", runtime.reason).text("reason_code", runtime.reason_code);
    row.boolean("blocked", runtime.blocked);
    row.text("command", runtime.command ? to_string(*runtime.command) : std::string_view{});
    row.number("attempt", runtime.attempt);
    row.number("incarnation", runtime.incarnation);
    row.text("address", runtime.address);
    add_time(row, "agent_seen", runtime.agent_seen);
    add_time(row, "retry_at", runtime.retry_at);
    add_time(row, "expire_soft", runtime.expires_soft);
    add_time(row, "expire_hard", runtime.expires_hard);
    add_checkpoint(row, record.checkpoint);
    row.number_or_none("vm_pid", record.pid);
    row.number("run_attempts", record.run_attempts);
    row.number("run_ok", record.run_ok);
}

// "00:00:07": how long ago (qa host list, column HKD).
std::string age(std::chrono::seconds seconds) {
    const auto two = [](std::int64_t number) {
        std::string text = std::to_string(number);
        return text.size() < 2 ? "0" + text : text;
    };
    const std::int64_t total = std::max<std::int64_t>(0, seconds.count());
    return two(total / 3600) + ":" + two(total / 60 % 60) + ":" + two(total % 60);
}

// How busy it is, as it reported last; nothing of one that never did.
void add_load(Row& row, const store::NodeRecord& record) {
    const NodeLoad& load = record.runtime.load;
    if (load.cpus == 0) {
        row.missing("cpus").missing("cpu").missing("ram").missing("ram_used");
    } else {
        row.number("cpus", load.cpus);
        row.number("cpu", std::lround((1 - std::clamp(load.cpu_idle, 0.0, 1.0)) * 100));
        row.number("ram", std::lround(load.memory_total_mib));
        row.number("ram_used", std::lround(load.memory_total_mib - load.memory_free_mib));
    }
    row.number("ram_promised", std::lround(record.reserved_mib));
}

}  // namespace

Row row_of(const store::VmRecord& record) {
    Row row;
    row.number("id", record.vm.id.value()).text("uuid", record.vm.uuid);
    row.text("name", record.vm.name);
    row.text("user", record.user.login).number("user_id", record.vm.user.value());
    row.text("real_user", record.real_user_login);
    row.text("ip", record.vm.address);
    row.text("osf", record.osf.name).number("osf_id", record.vm.osf.value());
    row.text("di_tag", record.vm.di_tag);
    row.text("di", record.di ? record.di->version : "");
    row.text("running_di", record.current_di ? record.current_di->version : "");
    row.number("memory", record.osf.memory_mib);
    row.yes_or_no("use_overlay", record.osf.use_overlay);
    row.number_or_none("user_storage_size", record.osf.user_storage_mib);
    add_runtime(row, record);
    add_usage(row, record);
    add_session(row, record);
    return row;
}

Row row_of(const store::NodeRecord& record, Timestamp now) {
    const NodeRuntime& runtime = record.runtime;
    Row row;
    row.number("id", record.node.id.value()).text("uuid", record.node.uuid);
    row.text("name", record.node.name).text("address", record.node.address);
    if (runtime.seen)
        row.text("hkd", age(std::chrono::duration_cast<std::chrono::seconds>(now - *runtime.seen)));
    else
        row.missing("hkd");
    row.number("usable_ram", static_cast<std::int64_t>(runtime.load.memory_total_mib));
    row.number("free_ram", static_cast<std::int64_t>(runtime.load.memory_free_mib));
    row.number("usable_cpu", static_cast<std::int64_t>(runtime.load.cpu_bogomips));
    row.number("vms", record.vms);
    row.boolean("blocked", runtime.blocked);
    row.text("state", to_string(runtime.state)).text("reason", runtime.reason);
    add_load(row, record);
    const NodeCounters& counters = record.counters;
    row.number("http_requests", counters.http_requests);
    row.number("auth_attempts", counters.auth_attempts);
    row.number("auth_ok", counters.auth_ok);
    row.number("nx_attempts", counters.nx_attempts);
    row.number("nx_ok", counters.nx_ok);
    row.number("short_sessions", counters.short_sessions);
    return row;
}

Row row_of(const store::OsfRecord& record) {
    Row row;
    row.number("id", record.osf.id.value()).text("name", record.osf.name);
    row.number("memory", record.osf.memory_mib);
    row.yes_or_no("use_overlay", record.osf.use_overlay);
    row.number_or_none("user_storage_size", record.osf.user_storage_mib);
    row.number("vms", record.vms).number("dis", record.dis);
    return row;
}

Row row_of(const store::DiRecord& record) {
    std::vector<std::string> tags;
    for (const DiTag& tag : record.di.tags) tags.push_back(tag.tag);
    Row row;
    row.number("id", record.di.id.value()).text("uuid", record.di.uuid);
    row.text("osf", record.osf_name).number("osf_id", record.di.osf.value());
    row.text("version", record.di.version).text("path", record.di.path);
    row.text("tags", text::join(tags, ", "));
    // For filters: tag=NAME matches any of the tags.
    for (const std::string& tag : tags) row.text("tag", tag);
    row.text("checksum", record.di.checksum);
    row.number("vms", record.vms).number("vms_running", record.vms_running);
    return row;
}

Row row_of(const User& user) {
    Row row;
    row.number("id", user.id.value()).text("login", user.login);
    return row;
}

Row row_of(const Operator& who) {
    Row row;
    row.number("id", who.id.value()).text("name", who.name);
    row.text("role", to_string(who.role)).yes_or_no("blocked", who.blocked);
    return row;
}

Row row_of(const store::AuditLine& line) {
    Row row;
    row.number("id", line.id).text("at", local_time(line.at)).text("who", line.who);
    row.text("operation", line.operation).text("subject", line.subject);
    row.text("account", line.account);
    return row;
}

}  // namespace qvd::admin
