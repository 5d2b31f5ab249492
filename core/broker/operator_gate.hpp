// Which operator is it? Name and password of a request at /qvd/admin, against the farm's table of
// operators; no plugin has a say.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "model/operator.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <memory>

namespace qvd::broker {

struct Context;
class Conversation;

class OperatorGate {
public:
    // denied "auth.*" (a 401), "auth.too_many" (429), "operator.blocked" (403, and only to who knew
    // the password); unavailable "auth.unavailable".
    boost::asio::awaitable<Result<Operator>> identify(Context& context,
                                                      std::shared_ptr<Conversation> client);

private:
    boost::asio::awaitable<bool> matches(Secret hash, Secret password);

    // A hash takes its time and memory: on a thread of its own, one at a time. Made at the first
    // request.
    std::unique_ptr<boost::asio::thread_pool> hashing_;
};

}  // namespace qvd::broker
