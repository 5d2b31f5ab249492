// The one connection on which announcements arrive; kept up for as long as anybody listens.
#pragma once

#include "store/postgres/connection.hpp"
#include "store/store.hpp"

namespace qvd::store::postgres {

class Listener : public std::enable_shared_from_this<Listener> {
public:
    Listener(boost::asio::any_io_executor executor, Access access)
        : executor_(std::move(executor)), access_(std::move(access)), pause_(executor_) {}

    [[nodiscard]] Store::Token listen(std::function<void(const Announcement&)> hear);
    void close();

private:
    struct Ear {
        std::function<void(const Announcement&)> hear;
        bool told = false;  // that announcements arrive
    };

    boost::asio::awaitable<void> keep_listening();
    Async<void> listen_once();
    void tell(const Announcement& announcement);
    // `everything`, to those who have not heard it since the connection came up.
    void tell_beginners();

    boost::asio::any_io_executor executor_;
    Access access_;
    boost::asio::steady_timer pause_;
    std::shared_ptr<Connection> connection_;
    std::vector<std::weak_ptr<Ear>> ears_;
    bool started_ = false;
    bool up_ = false;
    bool closed_ = false;
};

}  // namespace qvd::store::postgres
