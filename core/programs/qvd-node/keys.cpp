#include "keys.hpp"

#include "admin/keys.hpp"
#include "broker/keys.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "plugin/keys.hpp"
#include "store/keys.hpp"
#include "supervisor/keys.hpp"

namespace qvd::node {

std::shared_ptr<config::KeySet> keys_of_rooms() {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    store::declare(*keys);
    plugin::declare(*keys);
    broker::declare(*keys);
    hkd::declare(*keys);
    admin::declare(*keys);
    supervisor::declare(*keys);
    return keys;
}

}  // namespace qvd::node
