#include "levels.hpp"

#include "config/view.hpp"
#include "plugin/exports.hpp"
#include "plugin/registry.hpp"
#include "programs/qvd-node/keys.hpp"

#include <filesystem>

namespace qvd::check {

namespace {

constexpr std::string_view entry_symbol = "qvd_plugin_v1";

std::string with_advice(const Error& error) {
    const std::string& code = error.code();
    if (code == "plugin.load")
        return error.sentence() +
               "; link it with every library that it uses and with -Wl,-z,defs, as "
               "qvd_add_plugin() does";
    if (code == "plugin.manifest.draft" || code == "plugin.manifest.major" ||
        code == "plugin.manifest.minor")
        return error.sentence() + " (this qvd-plugin-check is of the same version as that core)";
    return error.sentence();
}

void check_trust(const Subject& subject, Messenger& messenger) {
    const auto trusted = plugin::check_library_file(subject.path, plugin::Trust::demanded);
    if (!trusted.ok() && trusted.error().code() == "plugin.untrusted")
        messenger.warning(trusted.error().sentence() + "; a node would not load it from here");
}

}  // namespace

std::string word_of(std::string_view interface) {
    const std::string_view word = plugin::word_for(interface);
    return std::string(word == "plugin" ? interface : word);
}

Settings settings_of(const plugin::Manifest& manifest, const Settings& given) {
    const auto keys = node::keys_of_rooms();
    // check_manifest() has seen to it that they fit together.
    (void)keys->declare(manifest.keys);
    std::string file;
    for (const auto& [key, value] : given) file.append(key).append(" = ").append(value) += '\n';
    const auto properties = config::Properties::parse(file, "--set");
    const config::View view(keys, properties.ok() ? *properties : config::Properties{});
    Settings settings;
    for (const config::Declaration& key : manifest.keys)
        settings[key.name] = view.text(key.name).value_or(key.fallback.value_or(""));
    return settings;
}

void check_file(const Subject& subject, Messenger& messenger) {
    messenger.step("reading the file");
    const auto good = plugin::check_library_file(subject.path, plugin::Trust::not_asked);
    if (!good.ok()) return messenger.error(good.error().sentence());
    const std::string name = std::filesystem::path(subject.path).filename().string();
    if (!name.starts_with("qvd-") || !name.ends_with(".so"))
        return messenger.error("the file is called " + name +
                               "; a node looks for qvd-NAME.so, with NAME from node.conf");
    const auto symbols = plugin::exported_symbols(subject.path);
    if (!symbols.ok()) return messenger.error(symbols.error().sentence());
    std::size_t others = 0;
    std::string first;
    for (const std::string& symbol : *symbols) {
        if (symbol == entry_symbol) continue;
        if (others++ == 0) first = symbol;
    }
    if (others != 0)
        messenger.error("the file exports " + first +
                        (others > 1 ? " and " + std::to_string(others - 1) + " more symbols" : "") +
                        " besides qvd_plugin_v1, which may clash with another plugin's; hide them "
                        "with the version script that qvd_add_plugin() and pkg-config bring");
    check_trust(subject, messenger);
}

PluginLibrary check_manifest(const Subject& subject, Messenger& messenger) {
    messenger.enter(Level::load);
    messenger.step("loading");
    auto library = plugin::Library::open_file(subject.path, plugin::Trust::not_asked);
    if (library.ok()) {
        messenger.enter(Level::manifest);
        for (const std::string& id : (*library)->manifest().interfaces)
            if (word_of(id) == id)
                messenger.warning("it offers " + id +
                                  ", which this core does not know: a misspelt id, or one of a "
                                  "later release");
        // A node would refuse it.
        const auto declared = node::keys_of_rooms()->declare((*library)->manifest().keys);
        if (!declared.ok())
            messenger.error(
                "it declares a key of the core's in its own way: " + declared.error().sentence() +
                "; declare it as the core does, or give yours another name");
        return std::move(library).value();
    }
    if (library.error().code().starts_with("plugin.manifest")) messenger.enter(Level::manifest);
    messenger.error(with_advice(library.error()));
    return nullptr;
}

Trial::~Trial() {
    destroy();
}

std::string Trial::create() {
    static char untouched = 0;
    self_ = &untouched;
    call_ = std::make_unique<FakeCall>();
    core_.set_creating(true);
    const qvd_status status = table_.create(core_.raw(), call_->raw(), &self_);
    core_.set_creating(false);
    if (status == QVD_PENDING)
        return "create() answers QVD_PENDING; it must make the instance before it returns, and "
               "begin slow work afterwards";
    if (status != QVD_OK) {
        refused_ = status != QVD_INTERNAL && !call_->sentence().empty();
        return call_->sentence().empty()
                   ? "create() fails with status " + std::to_string(status) +
                         " and no sentence; say by qvd_call_fail() what the operator must do"
                   : "create() fails: " + call_->sentence();
    }
    if (self_ == &untouched)
        return "create() answers QVD_OK without having written its instance to *self";
    created_ = true;
    if (call_->completions() != 0)
        return "create() calls complete(), which is only for calls that answer QVD_PENDING";
    return {};
}

void Trial::destroy() {
    if (!created_) return;
    created_ = false;
    table_.destroy(self_);
}

}  // namespace qvd::check
