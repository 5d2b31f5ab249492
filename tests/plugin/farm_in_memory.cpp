#include "tests/plugin/service_farm.hpp"

namespace qvd::plugin {

std::unique_ptr<store::Store> farm_store(asio::io_context& /*loop*/, bool /*as_owner*/) {
    return nullptr;
}

void empty_farm_store() {
}

}  // namespace qvd::plugin
