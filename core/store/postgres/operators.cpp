#include "store/answers.hpp"
#include "store/postgres/postgres_store.hpp"

namespace qvd::store::postgres {

namespace {

constexpr const char* update_operator = R"(UPDATE operators SET role = coalesce($2, role),
    blocked = coalesce($3::boolean, blocked), password = coalesce($4, password) WHERE id = $1)";

Operator operator_of(const Row& row) {
    return {row.id<OperatorId>("id"), row.text("name"), row.parsed("role", &parse_operator_role),
            row.flag("blocked")};
}

std::optional<std::string> name_of(const std::optional<OperatorRole>& role) {
    if (!role) return std::nullopt;
    return std::string(to_string(*role));
}

}  // namespace

Async<OperatorId> PostgresStore::add_operator(std::string name, OperatorRole role,
                                              Secret password_hash) {
    QVD_CO_CHECK(check_operator_name(name));
    QVD_CO_TRY(const Rows rows,
               co_await ask("INSERT INTO operators (name, role, password) VALUES ($1, $2, $3) "
                            "RETURNING id",
                            name, std::string(to_string(role)), password_hash));
    const auto id = rows[0].id<OperatorId>("id");
    QVD_CO_CHECK(rows.check());
    co_return id;
}

Async<void> PostgresStore::delete_operator(OperatorId id) {
    co_return co_await change("operator", id.value(), "DELETE FROM operators WHERE id = $1", id);
}

Async<std::vector<Operator>> PostgresStore::operators() {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT id, name, role, blocked FROM operators ORDER BY id"));
    std::vector<Operator> all;
    all.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i) all.push_back(operator_of(rows[i]));
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<void> PostgresStore::edit_operator(OperatorId id, OperatorEdit edit) {
    co_return co_await change("operator", id.value(), update_operator, id, name_of(edit.role),
                              edit.blocked, edit.password_hash);
}

Async<std::optional<Store::OperatorAccess>> PostgresStore::operator_access(std::string name) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT id, name, role, blocked, coalesce(password, '') AS password "
                            "FROM operators WHERE name = $1",
                            name));
    if (rows.empty()) co_return std::optional<OperatorAccess>{};
    OperatorAccess access{operator_of(rows[0]), Secret(rows[0].text("password"))};
    QVD_CO_CHECK(rows.check());
    co_return std::optional(std::move(access));
}

}  // namespace qvd::store::postgres
