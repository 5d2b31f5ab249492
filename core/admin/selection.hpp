// What becomes of the records that a filter means; shared by the files of Administration.
#pragma once

#include "admin/administration.hpp"

namespace qvd::admin {

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
