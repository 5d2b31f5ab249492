// A value of a text that is not just any text is refused like any other wrong one.
#include "config/forms.hpp"

#include "config/keys.hpp"
#include "config/logging.hpp"
#include "config/upstream_keys.hpp"
#include "config/view.hpp"
#include "findings.hpp"

#include <doctest/doctest.h>

using namespace qvd::config;
using test::complaint;
using test::warns;

namespace {

constexpr Key<std::string> gateway{"t.gateway", "", "", "router", 0, {}, &form::ipv4};
constexpr Key<std::string> start{"t.start", unset, "", "first address", 0, {}, &form::ipv4};
constexpr Key<List> servers{"t.dns", "", "", "name servers", 0, {}, &form::ipv4};
constexpr Key<List> chain{"t.chain", "default", "", "plugins", 0, {}, &form::plugin_name};
constexpr Key<std::int64_t> patience{
    "t.patience", "30", "", "patience", 0, Range{1, 300}, nullptr, "old.patience older.patience"};

View view(std::string_view text) {
    auto set = std::make_shared<KeySet>();
    set->add(gateway, start, servers, chain, patience, log4perl_root_logger, log_level);
    return {set, Properties::parse(text, "n.conf").value()};
}

void check(const Form& form, const std::vector<std::string>& good,
           const std::vector<std::string>& bad) {
    for (const std::string& text : good) CHECK_MESSAGE(form.fits(text), text);
    for (const std::string& text : bad) CHECK_MESSAGE(!form.fits(text), text);
}

}  // namespace

TEST_CASE("each form takes what it describes and nothing else") {
    check(form::ipv4, {"10.3.15.1"}, {"x", "10.3.15", "10.3.15.256", "::1", "10.3.15.1 "});
    check(form::netmask, {"24", "8", "30", "255.255.255.0", "255.255.252.0"},
          {"99", "0", "31", "255.0.255.0", "abc", "255.255.255.254"});
    check(form::mac_prefix, {"54:52:00", "aA:0f:99"}, {"zz", "54:52", "55:52:00", "54-52-00"});
    check(form::host, {"db1.example.org", "db_1", "10.0.0.1", "::1", "fe80::1%eth0"},
          {"a b", "-x", "10.0.0.300", "a/b", ".org"});
    check(form::server, {"db1", "/run/postgresql"}, {"a b", "/run/my db"});
    check(form::listener, {"*", "::", "0.0.0.0", "node1"}, {"foo bar", "**"});
    check(form::device, {"qvdnet0", "br.7"}, {"a/b", "sixteen.letters.", "a b", "..", "a:1"});
    check(form::device_stem, {"qvd"}, {"ninechars", "a b"});
    check(form::node_name, {"node1", "n\xc3\xb6rd"}, {"node 1", "a\tb"});
    check(form::plugin_name, {"lxc-unionfs"}, {"Weighted", "../evil", "a b"});
    check(form::root_logger, {"INFO", "debug, SYSLOG"}, {"NOISE", "", ", SYSLOG", "SYSLOG, INFO"});
}

TEST_CASE("a decimal number is one whatever the language, and nothing else is") {
    CHECK(to_decimal("0.25") == 0.25);
    CHECK(to_decimal("-3") == -3.0);
    CHECK(to_decimal("1e3") == 1000.0);
    CHECK(to_decimal(".5") == 0.5);
    for (const char* const wrong :
         {"", "+1", " 1", "1 ", "0,25", "0x10", "inf", "nan", "1e999", "1.2.3", "e5", "-", "1e"})
        CHECK_MESSAGE(!to_decimal(wrong), wrong);
}

TEST_CASE("a text of the wrong form is an error with file and line, and not used") {
    const View all = view("\nt.start = abc\nt.gateway = x\n");
    CHECK(complaint(all) ==
          "n.conf:3: t.gateway: \"x\" will not do; it must be an IPv4 address like 10.3.15.1\n"
          "n.conf:2: t.start: \"abc\" will not do; it must be an IPv4 address like 10.3.15.1");
    CHECK_FALSE(all.find(start).has_value());
    CHECK(complaint(view("t.dns = 10.0.0.1, xx\n")).find("n.conf:1: t.dns: ") == 0);
    CHECK(view("t.dns = 10.0.0.1, 10.0.0.2\n").check().ok());
}

TEST_CASE("nothing is a value only where nothing is the default") {
    CHECK(view("t.gateway =\nt.dns =\n").check().ok());
    CHECK(complaint(view("t.start =\n")).find("must be an IPv4 address") != std::string::npos);
    CHECK(complaint(view("t.chain =\n")).find("must be a list") != std::string::npos);
    CHECK(complaint(view("t.chain = ,\n")).find("must be a list") != std::string::npos);
}

TEST_CASE("a text of the wrong form is not set in the database either") {
    const View all = view("");
    CHECK(all.check_change("t.gateway", "10.3.15.1").ok());
    CHECK(all.check_change("t.gateway", "x").error().code() == "config.value");
    CHECK(all.check_change("t.chain", "Default").error().code() == "config.value");
}

TEST_CASE("a level that log4perl does not have is an error with file and line") {
    CHECK(complaint(view("log4perl.rootLogger = NOISE\n")).find("n.conf:1: log4perl.rootLogger") ==
          0);
    CHECK(view("log4perl.rootLogger = DEBUG, SYSLOG\n").check().ok());
}

TEST_CASE("an old name of a key gives its value") {
    const View old = view("old.patience = 60\n");
    CHECK(old.check().ok());
    CHECK(old.findings().empty());
    CHECK(old.get(patience) == 60);
    CHECK(old.setting("old.patience")->name == "t.patience");
    CHECK(view("").with_database({{"older.patience", "70"}}).get(patience) == 70);
    // The database's old name outranks the file's new one: the layers come first.
    CHECK(view("t.patience = 60\n").with_database({{"old.patience", "70"}}).get(patience) == 70);
    CHECK(view("t.patience = 10\nx = ${old.patience}\n").check().ok());
}

TEST_CASE("an old name beside the new one has no effect and is told so") {
    const View both = view("t.patience = 10\nold.patience = 60\n");
    CHECK(both.get(patience) == 10);
    CHECK(warns(both,
                "n.conf:2: old.patience has no effect beside t.patience, which it is another name "
                "of"));
}

TEST_CASE("a wrong value under an old name is named by both") {
    CHECK(complaint(view("old.patience = 301\n")) ==
          "n.conf:1: old.patience stands for t.patience: \"301\" will not do; it must be at most "
          "300");
    CHECK_FALSE(view("").check_change("old.patience", "no").ok());
}

TEST_CASE("an unclosed reference in a key that nobody reads is an error all the same") {
    CHECK(complaint(view("\nmy.own = /a/${t.start\n")) ==
          "n.conf:2: my.own: a ${ is not closed with }");
    CHECK(view("my.own = ${t.chain}/x}\n").check().ok());
}

TEST_CASE("a plugin's keys are declared all, or none") {
    KeySet keys;
    keys.add(patience);
    const auto declared = keys.declare(std::vector<Declaration>{
        {.name = "p.new"}, {.name = "t.patience", .kind = Kind::text, .fallback = "30"}});
    REQUIRE_FALSE(declared.ok());
    CHECK(declared.error().sentence() ==
          "key \"t.patience\" cannot be declared: it is declared already, as a whole number with "
          "the default \"30\"");
    CHECK(keys.find("p.new") == nullptr);
    CHECK_FALSE(keys.declare({.name = "old.patience"}).ok());
}

TEST_CASE("what became of an old key is said truly") {
    const auto why = [](std::string_view name) { return known_without_effect(name, {}).why; };
    CHECK(why("command.nxagent").find("vma.conf") != std::string_view::npos);
    CHECK(why("command.nxagent.args.extra").find("vma.conf") != std::string_view::npos);
    CHECK(why("command.tar.args.extra").find("runs no such program") != std::string_view::npos);
    CHECK(why("log4perl.appender.FILE").find("log.filename") != std::string_view::npos);
    CHECK(why("l7r.ssl.options.SSL_version").find("TLS 1.2") != std::string_view::npos);
    CHECK_FALSE(why("l7r.log.filename").empty());
    CHECK_FALSE(why("hkd.log.filename").empty());
    CHECK(why("osf.default.memory").empty());
    CHECK(why("vm.network.ip.strat").empty());
}
