// The answer to one statement, read column by column with the types that the model wants.
#pragma once

#include "base/result.hpp"
#include "model/vm.hpp"

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::store::postgres {

class Rows;

// One row. A column that is missing, NULL or of another form gives an empty value and is noted in
// the Rows: read all, then ask Rows::check().
class Row {
public:
    Row(const Rows& rows, int number) : rows_(&rows), number_(number) {}

    [[nodiscard]] std::string text(const char* column) const;  // "" for NULL
    [[nodiscard]] std::int64_t integer(const char* column) const;
    [[nodiscard]] int small(const char* column) const { return static_cast<int>(integer(column)); }
    [[nodiscard]] double real(const char* column) const;
    [[nodiscard]] bool flag(const char* column) const;
    [[nodiscard]] Timestamp time(const char* column) const;
    [[nodiscard]] bool is_null(const char* column) const;

    [[nodiscard]] std::optional<Timestamp> maybe_time(const char* column) const;
    template <class Id>
    [[nodiscard]] Id id(const char* column) const {
        return Id{integer(column)};
    }
    template <class Id>
    [[nodiscard]] std::optional<Id> maybe_id(const char* column) const {
        if (is_null(column)) return std::nullopt;
        return Id{integer(column)};
    }
    // With one of the model's parse functions.
    template <class T>
    [[nodiscard]] T parsed(const char* column, Result<T> (*parse)(std::string_view)) const {
        const std::string word = text(column);
        const Result<T> value = parse(word);
        if (!value.ok()) note(column, word);
        return value.ok() ? *value : T{};
    }

private:
    // Null for NULL and for a column that does not exist.
    [[nodiscard]] const char* value(const char* column) const;
    [[nodiscard]] int find(const char* column) const;
    void note(const char* column, std::string_view value) const;

    const Rows* rows_;
    int number_;
};

class Rows {
public:
    explicit Rows(PGresult* result) : result_(result, &PQclear) {}

    [[nodiscard]] int size() const { return PQntuples(result_.get()); }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] Row operator[](int number) const { return {*this, number}; }
    // Whether the statement worked.
    [[nodiscard]] bool good() const {
        const ExecStatusType status = PQresultStatus(result_.get());
        return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    }
    [[nodiscard]] const PGresult* raw() const { return result_.get(); }
    // Of a statement that changes rows: how many it did.
    [[nodiscard]] int changed() const;
    // Errors: internal "store.row", the first thing that did not fit.
    [[nodiscard]] Result<void> check() const;

private:
    friend class Row;

    std::shared_ptr<PGresult> result_;
    mutable int next_column_ = 0;  // columns are mostly read in their order
    mutable std::string fault_;
};

}  // namespace qvd::store::postgres
