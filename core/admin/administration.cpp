#include "admin/administration.hpp"

#include "admin/selection.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <array>
#include <chrono>

namespace qvd::admin {

Administration::Administration(store::Store& store, config::View file_view, std::string who)
    : store_(store), file_view_(std::move(file_view)), view_(file_view_), who_(std::move(who)) {
}

Async<void> Administration::load() {
    QVD_CO_TRY(const auto values, co_await store_.configuration());
    view_ = file_view_.with_database(config::View::Values(values.begin(), values.end()));
    co_return Result<void>{};
}

boost::asio::awaitable<void> Administration::audit(std::string operation, std::string subject) {
    const auto written = co_await store_.audit(who_, operation, subject);
    if (!written.ok())
        log::warn("audit.lost", {{"operation", operation}, {"subject", subject}},
                  written.error().sentence());
}

// ---- selections ----------------------------------------------------------------------------

Async<std::vector<Administration::Selected<store::VmRecord>>> Administration::select_vms(
    Filter filter) {
    std::vector<Selected<store::VmRecord>> selected;
    QVD_CO_TRY(auto records, co_await store_.vms());
    for (store::VmRecord& record : records) {
        QVD_CO_TRY(const Properties properties,
                   co_await properties_for(store_, filter, store::Owner::vm, record.vm.id.value()));
        Row row = row_of(record);
        QVD_CO_TRY(const bool fits, filter.matches(row, properties));
        if (fits) selected.push_back({std::move(record), std::move(row)});
    }
    co_return selected;
}

Async<std::vector<Administration::Selected<store::NodeRecord>>> Administration::select_hosts(
    Filter filter) {
    std::vector<Selected<store::NodeRecord>> selected;
    QVD_CO_TRY(auto records, co_await store_.nodes());
    for (store::NodeRecord& record : records) {
        Row row = row_of(record, std::chrono::system_clock::now());
        QVD_CO_TRY(const bool fits, filter.matches(row, record.properties));
        if (fits) selected.push_back({std::move(record), std::move(row)});
    }
    co_return selected;
}

Async<std::vector<Administration::Selected<store::OsfRecord>>> Administration::select_osfs(
    Filter filter) {
    std::vector<Selected<store::OsfRecord>> selected;
    QVD_CO_TRY(auto records, co_await store_.osfs());
    for (store::OsfRecord& record : records) {
        QVD_CO_TRY(
            const Properties properties,
            co_await properties_for(store_, filter, store::Owner::osf, record.osf.id.value()));
        Row row = row_of(record);
        QVD_CO_TRY(const bool fits, filter.matches(row, properties));
        if (fits) selected.push_back({std::move(record), std::move(row)});
    }
    co_return selected;
}

Async<std::vector<Administration::Selected<store::DiRecord>>> Administration::select_dis(
    Filter filter) {
    std::vector<Selected<store::DiRecord>> selected;
    QVD_CO_TRY(auto records, co_await store_.dis());
    for (store::DiRecord& record : records) {
        QVD_CO_TRY(const Properties properties,
                   co_await properties_for(store_, filter, store::Owner::di, record.di.id.value()));
        Row row = row_of(record);
        QVD_CO_TRY(const bool fits, filter.matches(row, properties));
        if (fits) selected.push_back({std::move(record), std::move(row)});
    }
    co_return selected;
}

Async<std::vector<Administration::Selected<User>>> Administration::select_users(Filter filter) {
    std::vector<Selected<User>> selected;
    QVD_CO_TRY(auto records, co_await store_.users());
    for (User& user : records) {
        QVD_CO_TRY(const Properties properties,
                   co_await properties_for(store_, filter, store::Owner::user, user.id.value()));
        Row row = row_of(user);
        QVD_CO_TRY(const bool fits, filter.matches(row, properties));
        if (fits) selected.push_back({std::move(user), std::move(row)});
    }
    co_return selected;
}

// ---- references by name or id --------------------------------------------------------------

namespace {

Result<std::int64_t> parse_id(std::string_view what, std::string_view text) {
    const auto id = text::to_integer(text);
    if (!id || *id <= 0)
        return Error{ErrorKind::invalid, "id.syntax",
                     std::string(what) + " is not an id: " + text::quoted(text, 64)};
    return *id;
}

Error one_of_both(const char* by_name, const char* by_id) {
    return {ErrorKind::invalid, "parameter.exclusive",
            std::string("give either ") + by_name + "= or " + by_id + "="};
}

}  // namespace

Async<OsfId> Administration::find_osf(std::string name, std::string id) {
    if (name.empty() == id.empty()) co_return one_of_both("osf", "osf_id");
    QVD_CO_TRY(const auto records, co_await store_.osfs());
    for (const store::OsfRecord& record : records)
        if (name.empty() ? record.osf.id.text() == id : record.osf.name == name)
            co_return record.osf.id;
    co_return Error{ErrorKind::not_found, "osf.not_found",
                    "there is no osf " + (name.empty() ? id : text::quoted(name, 64))};
}

Async<UserId> Administration::find_user(std::string login, std::string id) {
    if (login.empty() == id.empty()) co_return one_of_both("user", "user_id");
    QVD_CO_TRY(const auto records, co_await store_.users());
    for (const User& user : records)
        if (login.empty() ? user.id.text() == id : user.login == login) co_return user.id;
    co_return Error{ErrorKind::not_found, "user.not_found",
                    "there is no user " + (login.empty() ? id : text::quoted(login, 64))};
}

Async<DiId> Administration::find_di(std::string id) {
    QVD_CO_TRY(const std::int64_t number, parse_id("di_id", id));
    QVD_CO_TRY(const auto records, co_await store_.dis());
    for (const store::DiRecord& record : records)
        if (record.di.id.value() == number) co_return record.di.id;
    co_return Error{ErrorKind::not_found, "di.not_found", "there is no di " + id};
}

// ---- values --------------------------------------------------------------------------------

Result<std::int64_t> parse_size_mib(std::string_view text) {
    std::string_view digits = text::trim(text);
    // "2GB", "2GiB"; a B behind a digit would be bytes and is refused.
    for (const char end : {'B', 'i'})
        if (digits.size() > 1 && (digits.back() == end || (end == 'B' && digits.back() == 'b')) &&
            (digits[digits.size() - 2] < '0' || digits[digits.size() - 2] > '9'))
            digits.remove_suffix(1);
    const char suffix = digits.empty() ? '\0' : digits.back();
    std::int64_t kib = 1024;
    if (suffix == 'K' || suffix == 'k') kib = 1;
    if (suffix == 'G' || suffix == 'g') kib = 1024 * 1024;
    if (suffix == 'T' || suffix == 't') kib = 1024L * 1024 * 1024;
    if (suffix != '\0' && (suffix < '0' || suffix > '9')) digits.remove_suffix(1);
    const bool known_suffix =
        std::string_view("KkMmGgTt0123456789").find(suffix) != std::string_view::npos;
    const auto number = text::to_integer(digits);
    constexpr std::int64_t most = 1'000'000;
    if (!number || !known_suffix || *number < 0 || *number > most * 1024)
        return Error{ErrorKind::invalid, "size.syntax",
                     text::quoted(text, 64) + " is not a size: give MiB, or a number with K, M, G"};
    return (*number * kib + 1023) / 1024;
}

Result<bool> parse_boolean(std::string_view text) {
    if (const auto truth = config::to_boolean(text)) return *truth;
    if (text::equals_ignoring_case(text, "y")) return true;
    if (text::equals_ignoring_case(text, "n")) return false;
    return Error{ErrorKind::invalid, "boolean.syntax",
                 text::quoted(text, 64) + " is neither yes nor no"};
}

}  // namespace qvd::admin
