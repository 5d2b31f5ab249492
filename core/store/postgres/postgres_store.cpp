#include "store/postgres/postgres_store.hpp"

#include "store/answers.hpp"
#include "store/postgres.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace qvd::store {

namespace postgres {

PostgresStore::PostgresStore(boost::asio::any_io_executor executor, const Access& access)
    : pool_(std::make_shared<Pool>(executor, access)),
      listener_(std::make_shared<Listener>(std::move(executor), access)) {
}

PostgresStore::~PostgresStore() {
    listener_->close();
    pool_->close();
}

Store::Token PostgresStore::listen(std::function<void(const Announcement&)> hear) {
    return listener_->listen(std::move(hear));
}

Async<Rows> PostgresStore::ask_one(std::shared_ptr<Pool> pool, Statement statement) {
    std::vector<Statement> batch;
    batch.push_back(std::move(statement));
    QVD_CO_TRY(std::vector<Rows> rows, co_await pool->run(std::move(batch)));
    co_return std::move(rows.front());
}

Async<void> PostgresStore::change_one(std::shared_ptr<Pool> pool, const char* what, std::int64_t id,
                                      Statement statement) {
    QVD_CO_TRY(const Rows rows, co_await ask_one(std::move(pool), std::move(statement)));
    if (rows.changed() == 0) co_return answers::missing(what, id);
    co_return Result<void>{};
}

std::string text_of(double number) {
    std::array<char, 32> text{};
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
    return {text.data(), end};
}

std::string array_of(const std::vector<std::string>& texts) {
    std::string array = "{";
    for (const std::string& text : texts) {
        if (array.size() > 1) array += ',';
        array += '"';
        for (const char c : text) {
            if (c == '"' || c == '\\') array += '\\';
            array += c;
        }
        array += '"';
    }
    return array + "}";
}

}  // namespace postgres

Result<std::unique_ptr<Store>> open_postgres(boost::asio::any_io_executor executor,
                                             const config::View& view, Role role) {
    QVD_CHECK(view.check());
    return std::unique_ptr<Store>(std::make_unique<postgres::PostgresStore>(
        std::move(executor), postgres::Access::of(view, role)));
}

}  // namespace qvd::store
