#include "hkd/collector/report.hpp"

#include "base/text.hpp"
#include "hkd/utc.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace qvd::hkd {

namespace json = boost::json;

namespace {

// Both within what whoever asks waits for an answer.
constexpr Milliseconds list_patience{12'000};
constexpr Milliseconds collect_patience{8'000};
// An answer has at most 4 MiB.
constexpr std::size_t most_items = 5000;

json::value bytes_or_null(const std::optional<std::uint64_t>& bytes) {
    return bytes ? json::value(*bytes) : json::value(nullptr);
}

json::value time_or_null(const std::optional<Timestamp>& time) {
    return time ? json::value(utc(*time)) : json::value(nullptr);
}

json::object of_item(const Item& item, const std::optional<std::uint64_t>& bytes) {
    return {{"kind", to_string(item.kind)},
            {"name", item.name()},
            {"path", item.path},
            {"bytes", bytes_or_null(bytes)}};
}

json::object of_entry(const StockEntry& entry) {
    json::object one = of_item(entry.item, entry.bytes);
    one["changed"] = utc(entry.item.changed);
    one["needed"] = entry.verdict.needed;
    one["used_by"] = entry.verdict.by;
    one["since"] = time_or_null(entry.since);
    one["goes"] = time_or_null(entry.goes);
    return one;
}

json::object of_removal(const Removal& removal) {
    json::object one = of_item(removal.item, removal.bytes);
    one["why"] = removal.why;
    one["problem"] =
        removal.problem ? json::value(removal.problem->sentence()) : json::value(nullptr);
    return one;
}

template <class T>
std::string document(const std::string& node, const std::vector<T>& all,
                     json::object (*of)(const T&), json::object more) {
    json::array items;
    for (const T& one : all)
        if (items.size() < most_items) items.push_back(of(one));
    more["node"] = node;
    more["left_off"] = all.size() - items.size();
    more["items"] = std::move(items);
    return json::serialize(more) + "\n";
}

Error wrong(const std::string& name, const std::string& value) {
    return {ErrorKind::invalid, "storage.parameter",
            "there is no " + name + " = " + text::quoted(value, 64) + " here"};
}

Result<CollectOrder> order_of(const net::Headers& parameters) {
    constexpr std::int64_t longest_age = 315'360'000;
    CollectOrder order;
    order.patience = collect_patience;
    for (const auto& [name, value] : parameters) {
        const auto number = text::to_integer(value);
        if (name == "dry_run" && number && *number >= 0 && *number <= 1) {
            order.dry_run = *number == 1;
        } else if (name == "age" && number && *number >= 0 && *number <= longest_age) {
            order.age = std::chrono::seconds(*number);
        } else if (name == "di" && number && *number > 0) {
            order.di = DiId{*number};
        } else {
            return wrong(name, value);
        }
    }
    return order;
}

}  // namespace

Async<std::string> storage_document(Collector& collector, std::string node) {
    QVD_CO_TRY(const auto entries, co_await collector.list(list_patience));
    json::object nothing_more;
    co_return document(node, entries, &of_entry, std::move(nothing_more));
}

Async<std::string> collect_document(Collector& collector, std::string node,
                                    net::Headers parameters) {
    QVD_CO_TRY(const CollectOrder order, order_of(parameters));
    QVD_CO_TRY(const Collection done, co_await collector.collect(order));
    std::uint64_t bytes = 0;
    for (const Removal& removal : done.all)
        if (!removal.problem) bytes += removal.bytes.value_or(0);
    json::object sums;
    sums["bytes"] = bytes;
    sums["left"] = done.left;
    co_return document(node, done.all, &of_removal, std::move(sums));
}

}  // namespace qvd::hkd
