#include "broker/plugins.hpp"

#include "plugin/keys.hpp"

#include <qvd/authenticator.h>
#include <qvd/load_balancer.h>

namespace qvd::broker {

Result<config::View> with_plugin_keys(plugin::Registry& registry, const config::View& view) {
    auto keys = std::make_shared<config::KeySet>(view.keys());
    std::vector<std::string> names = view.get(plugin::authenticators);
    names.push_back(plugin::Registry::resolve(QVD_LOAD_BALANCER, view.get(plugin::balancer), view));
    for (const std::string& name : names) {
        auto library = registry.open(name);
        // One that is missing make_plugins() tells better: it knows what for, and what there is.
        if (!library.ok() && library.error().code() == "plugin.not_installed") continue;
        if (!library.ok()) return library.error();
        QVD_CHECK(keys->declare((*library)->manifest().keys));
    }
    config::View wider = view.with_keys(std::move(keys));
    QVD_CHECK(wider.check());
    return wider;
}

boost::asio::awaitable<Result<LoginPlugins>> make_plugins(plugin::Registry& registry,
                                                          plugin::Host& host) {
    const config::View view = host.view();
    std::vector<std::shared_ptr<plugin::Instance>> chain;
    for (const std::string& name : view.get(plugin::authenticators)) {
        QVD_CO_TRY(auto instance, registry.make(QVD_AUTHENTICATOR, name));
        chain.push_back(std::move(instance));
    }
    if (chain.empty())
        co_return Error{ErrorKind::invalid, "auth.no_plugin",
                        "l7r.auth.plugins names no authenticator: nobody could log in"};
    QVD_CO_TRY(auto instance, registry.make(QVD_LOAD_BALANCER, view.get(plugin::balancer)));
    LoginPlugins made;
    made.authenticators = std::make_shared<plugin::Authenticators>(std::move(chain));
    made.balancer = std::make_shared<plugin::Balancer>(std::move(instance));
    QVD_CO_CHECK(co_await made.balancer->init(host.inventory()));
    co_return made;
}

}  // namespace qvd::broker
