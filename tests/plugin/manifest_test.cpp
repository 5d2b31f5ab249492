#include "plugin/manifest.hpp"

#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

namespace qvd::plugin {

namespace {

// A manifest that is right; each test spoils one thing of it.
struct Written {
    Written() {
        table.size = sizeof table;
        table.create = [](const qvd_core*, qvd_call*, void**) -> qvd_status { return QVD_OK; };
        table.destroy = [](void*) {};
        table.choose = [](void*, const qvd_placement*, qvd_call*) -> qvd_status { return QVD_OK; };
        interfaces = {{QVD_LOAD_BALANCER, &table}};
        keys = {{sizeof(qvd_config_key), 0, QVD_INTEGER, 0, "a.count", "3", "How many.", "1..9"}};
        plugin = {
            sizeof(qvd_plugin), QVD_ABI_MAJOR, QVD_ABI_MINOR, QVD_ABI_DRAFT, 0, 0, "good", "1.0",
            "Is good.",         "Apache-2.0",  QVD_NO_ARRAY,  QVD_NO_ARRAY};
        fill();
    }
    void fill() {
        plugin.interfaces = {interfaces.data(), interfaces.size(), sizeof(qvd_interface)};
        plugin.keys = {keys.data(), keys.size(), sizeof(qvd_config_key)};
    }

    qvd_load_balancer table{};
    std::vector<qvd_interface> interfaces;
    std::vector<qvd_config_key> keys;
    qvd_plugin plugin{};
};

struct Wrong {
    const char* code;
    const char* sentence;
    void (*spoil)(Written&);
};

const Wrong wrongs[] = {
    {"size", "the manifest is 40 bytes, the shortest that was ever valid is 96",
     [](Written& w) { w.plugin.size = 40; }},
    {"major", "it was built for plugin ABI 2, this core speaks 1",
     [](Written& w) { w.plugin.abi_major = 2; }},
    {"draft", "it was built against draft 99 of the plugin ABI, this core is draft 2: rebuild it",
     [](Written& w) { w.plugin.draft = 99; }},
    {"minor", "it needs a core of plugin ABI minor 7, this one is 0",
     [](Written& w) { w.plugin.min_core_minor = 7; }},
    {"text", "the manifest has no name", [](Written& w) { w.plugin.name = nullptr; }},
    {"text", "the manifest has no version", [](Written& w) { w.plugin.version = nullptr; }},
    {"text", "the manifest has no license", [](Written& w) { w.plugin.license = nullptr; }},
    {"name", R"(its name "Good" is not made of a-z, 0-9 and "-")",
     [](Written& w) { w.plugin.name = "Good"; }},
    {"name", R"(the file promises "good" but the plugin calls itself "better")",
     [](Written& w) { w.plugin.name = "better"; }},
    {"interfaces", "it implements no interface", [](Written& w) { w.plugin.interfaces.count = 0; }},
    {"array", "the manifest's list of interfaces is malformed (count 1, stride 3)",
     [](Written& w) { w.plugin.interfaces.stride = 3; }},
    {"array", "the manifest's list of keys is malformed (count 1, stride 8)",
     [](Written& w) { w.plugin.keys.stride = 8; }},
    {"array", "the manifest's list of interfaces is malformed (count 5000000, stride 16)",
     [](Written& w) { w.plugin.interfaces.count = 5'000'000; }},
    {"interfaces", "it offers the interface qvd.draft.load-balancer/1 twice",
     [](Written& w) {
         w.interfaces.push_back(w.interfaces.front());
         w.fill();
     }},
    {"table", "its interface qvd.draft.load-balancer/1 has no table",
     [](Written& w) { w.interfaces[0].table = nullptr; }},
    {"table", "its table for qvd.draft.load-balancer/1 is only 16 bytes",
     [](Written& w) { w.table.size = 16; }},
    {"function", "its interface qvd.draft.load-balancer/1 lacks create()",
     [](Written& w) { w.table.create = nullptr; }},
    {"function", "its interface qvd.draft.load-balancer/1 lacks destroy()",
     [](Written& w) { w.table.destroy = nullptr; }},
    {"function", "its interface qvd.draft.load-balancer/1 lacks choose()",
     [](Written& w) { w.table.choose = nullptr; }},
    {"text", "the manifest has no key name", [](Written& w) { w.keys[0].name = nullptr; }},
    {"text", "the manifest has no meaning of the key a.count",
     [](Written& w) { w.keys[0].meaning = nullptr; }},
    {"key", "its key a.count allows \"9..1\", which is no range",
     [](Written& w) { w.keys[0].allowed = "9..1"; }},
    {"key", "the default of its key a.count: a.count: \"30\" will not do; it must be at most 9",
     [](Written& w) { w.keys[0].default_value = "30"; }},
    {"key", "it declares the key a.count twice",
     [](Written& w) {
         w.keys.push_back(w.keys.front());
         w.fill();
     }},
    {"key", "the size of its key number 0 is wrong", [](Written& w) { w.keys[0].size = 4; }},
};

}  // namespace

TEST_CASE("a manifest that keeps the rules is read whole") {
    const Written written;
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE(manifest.ok());
    CHECK(manifest->name == "good");
    CHECK(manifest->interfaces == std::vector<std::string>{QVD_LOAD_BALANCER});
    REQUIRE(manifest->keys.size() == 1);
    CHECK(manifest->keys[0].kind == config::Kind::integer);
    CHECK(manifest->keys[0].range.max == 9);
    CHECK(manifest->keys[0].fallback == "3");
}

TEST_CASE("each way in which a manifest can be wrong has its own sentence") {
    for (const Wrong& wrong : wrongs) {
        Written written;
        wrong.spoil(written);
        CAPTURE(wrong.sentence);
        const auto manifest = read_manifest(&written.plugin, "good");
        REQUIRE_FALSE(manifest.ok());
        CHECK(manifest.error().code() == std::string("plugin.manifest.") + wrong.code);
        CHECK(manifest.error().sentence() == std::string(wrong.sentence));
    }
}

TEST_CASE("no manifest at all is an error") {
    const auto manifest = read_manifest(nullptr, "good");
    REQUIRE_FALSE(manifest.ok());
    CHECK(manifest.error().code() == "plugin.manifest.null");
}

TEST_CASE("a text without an end is cut off and refused") {
    Written written;
    const std::string endless(5000, 'x');
    written.plugin.summary = endless.c_str();
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE_FALSE(manifest.ok());
    CHECK(manifest.error().sentence() == "the manifest's summary is longer than 4096 bytes");
}

TEST_CASE("keys of a later release, with a larger stride, are read by what this one knows") {
    struct Later {
        qvd_config_key key;
        std::uint64_t more;
    };
    Written written;
    Later keys[2] = {{written.keys[0], 1}, {written.keys[0], 2}};
    keys[0].key.size = keys[1].key.size = sizeof(Later);
    keys[1].key.name = "b.count";
    written.plugin.keys = {keys, 2, sizeof(Later)};
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE(manifest.ok());
    CHECK(manifest->keys[1].name == "b.count");
}

TEST_CASE("a hypervisor must have the functions without which no VM can run") {
    Written written;
    qvd_hypervisor table{};
    table.size = sizeof table;
    table.create = written.table.create;
    table.destroy = written.table.destroy;
    written.interfaces[0] = {QVD_HYPERVISOR, &table};
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE_FALSE(manifest.ok());
    CHECK(manifest.error().sentence() == "its interface qvd.draft.hypervisor/1 lacks survey()");
}

TEST_CASE("numbers may have decimals, and their range holds") {
    Written written;
    written.keys[0] = {
        sizeof(qvd_config_key), 0, QVD_NUMBER, 0, "a.weight", "0.5", "Weight.", "0..100"};
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE(manifest.ok());
    const config::Declaration& key = manifest->keys[0];
    CHECK(config::check_value(key, "99.5").ok());
    for (const char* bad : {"100.5", "-1", "much", "nan", "inf", "1,5", ""})
        CHECK_FALSE(config::check_value(key, bad).ok());
}

TEST_CASE("words that are allowed are the only ones") {
    Written written;
    written.keys[0] = {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "a.when", "never", "When.",
                       "never|find|always"};
    const auto manifest = read_manifest(&written.plugin, "good");
    REQUIRE(manifest.ok());
    CHECK(config::check_value(manifest->keys[0], "always").ok());
    CHECK_FALSE(config::check_value(manifest->keys[0], "sometimes").ok());
}

}  // namespace qvd::plugin
