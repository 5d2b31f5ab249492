// Picking the records that a filter means; shared by the files of Administration.
#pragma once

#include "admin/administration.hpp"

namespace qvd::admin {

// The properties of one record, read only where the filter asks for them.
inline Async<Properties> properties_for(store::Store& store, const Filter filter,
                                        store::Owner owner, std::int64_t id) {
    if (!filter.needs_properties()) co_return Properties{};
    co_return co_await store.properties(owner, id);
}

// What the state of the thing forbids is left alone and told; any other failure ends the operation.
template <class T>
bool skipped(Done& done, const std::string& name, const Result<T>& outcome) {
    if (outcome.ok() || outcome.error().kind() != ErrorKind::conflict) return false;
    done.skipped.push_back(name + ": " + outcome.error().sentence());
    return true;
}

// Of a selection only the rows.
template <class Selected>
std::vector<Row> rows_of(std::vector<Selected> selected) {
    std::vector<Row> rows;
    rows.reserve(selected.size());
    for (auto& entry : selected) rows.push_back(std::move(entry.row));
    return rows;
}

}  // namespace qvd::admin
