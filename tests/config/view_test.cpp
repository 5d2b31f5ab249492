#include "config/view.hpp"

#include "config/keys.hpp"
#include "config/logging.hpp"
#include "config/upstream_keys.hpp"
#include "findings.hpp"

#include <doctest/doctest.h>

using namespace qvd::config;
using test::complaint;
using test::warns;
using namespace std::chrono_literals;

namespace {

constexpr Key<std::chrono::seconds> takeover{"t.takeover", "30",     "seconds",
                                             "patience",   internal, Range{1, 300}};
constexpr Key<std::chrono::milliseconds> pause_time{"t.pause", "250", "milliseconds", "pause"};
constexpr Key<std::int64_t> workers{"t.workers", "2", "", "workers", 0, Range{1, 64}};
constexpr Key<bool> ssl{"t.ssl", "1", "", "tls"};
constexpr Key<Mebibytes> memory{"t.memory", "256", "MiB", "memory"};
constexpr Key<Bytes> head{"t.head", "16KiB", "bytes", "head"};
constexpr Key<List> plugins{"t.plugins", "default", "", "plugins"};
constexpr Key<Word> failure{"t.failure", "block", "block|retry|ignore", "what then"};
constexpr Key<Path> root{"t.root", "/srv", "", "root"};
constexpr Key<Path> images{"t.images", "${t.root}/images", "", "images"};
constexpr Key<std::string> name{"t.name", unset, "", "name", file_only | required};
constexpr Key<Path> log_file{"t.log", "${t.root}/log", "", "log", file_only};
constexpr Key<qvd::Secret> password{"t.password", unset, "", "password"};
constexpr Key<std::string> options{"t.opt.*", unset, "", "ssh options"};
constexpr Key<bool> undeclared{"t.undeclared", "1", "", "nobody declared it"};

std::shared_ptr<const KeySet> keys() {
    auto set = std::make_shared<KeySet>();
    set->add(takeover, pause_time, workers, ssl, memory, head, plugins, failure, root, images, name,
             log_file, password, options);
    return set;
}

View view(std::string_view text) {
    return {keys(), Properties::parse(text, "n.conf").value()};
}

}  // namespace

TEST_CASE("each type is read as what it means") {
    const View defaults = view("");
    CHECK(defaults.check().ok());
    CHECK(defaults.get(takeover) == 30s);
    CHECK(defaults.get(pause_time) == 250ms);
    CHECK(defaults.get(workers) == 2);
    CHECK(defaults.get(ssl));
    CHECK(defaults.get(memory) == 256);
    CHECK(defaults.get(head) == 16384);
    CHECK(defaults.get(plugins) == List{"default"});
    CHECK(defaults.get(failure) == "block");
    CHECK(defaults.get(images) == "/srv/images");
    CHECK_FALSE(defaults.find(name).has_value());

    const View set = view(
        "t.takeover=2 min\nt.pause=1s\nt.ssl=no\nt.memory=2GiB\nt.plugins=a, b ,,c\n"
        "t.failure=retry\nt.name=n1\nt.password=pw\n");
    CHECK(set.check().ok());
    CHECK(set.get(takeover) == 120s);
    CHECK(set.get(pause_time) == 1s);
    CHECK_FALSE(set.get(ssl));
    CHECK(set.get(memory) == 2048);
    CHECK(set.get(plugins) == List{"a", "b", "c"});
    CHECK(set.get(failure) == "retry");
    CHECK(set.find(name) == "n1");
    CHECK(set.find(password)->reveal() == "pw");
}

TEST_CASE("the database outranks the file and the file the default") {
    const View file = view("t.workers = 3\n");
    CHECK(file.get(workers) == 3);
    const View database = file.with_database({{"t.workers", "4"}, {"t.ssl", "0"}});
    CHECK(database.get(workers) == 4);
    CHECK_FALSE(database.get(ssl));
    CHECK(database.get(takeover) == 30s);
    CHECK(database.setting("t.workers")->origin == Origin::database);
    CHECK(file.setting("t.workers")->origin == Origin::file);
    CHECK(file.setting("t.workers")->where == "n.conf:1");
    CHECK(file.get(workers) == 3);
    CHECK(database.with_database({}).get(workers) == 3);
}

TEST_CASE("a file-only key and what it refers to ignore the database") {
    const View all =
        view("t.name = here\n").with_database({{"t.name", "there"}, {"t.root", "/db"}});
    CHECK(all.find(name) == "here");
    CHECK(all.get(images) == "/db/images");
    CHECK(all.get(log_file) == "/srv/log");
    CHECK(warns(all, "the database: t.name is read from the file only; this value has no effect"));
}

TEST_CASE("references are replaced recursively and over all layers") {
    const View all = view("mine = /m\nt.root = ${mine}/r\n").with_database({{"mine", "/db"}});
    CHECK(all.get(images) == "/db/r/images");
    CHECK(view("t.root = /${{}x}\n").get(root) == "/${x}");
}

TEST_CASE("a reference that cannot be replaced is an error with file and line") {
    CHECK(complaint(view("t.root = ${no.such}\n")) == "n.conf:1: t.root: ${no.such} has no value");
    CHECK(complaint(view("t.root = ${x\n")) == "n.conf:1: t.root: a ${ is not closed with }");
    CHECK(complaint(view("\nt.name = ${t.password}\nt.password = x\n")) ==
          "n.conf:2: t.name: ${t.password} would show a secret");
    CHECK(complaint(view("t.name = ${t.name}\n")).find("refers back to itself") !=
          std::string::npos);
    CHECK(complaint(view("a = ${b}\nb = ${a}\nt.name = ${a}\n")).find("refers back to itself") !=
          std::string::npos);
}

TEST_CASE("values that multiply themselves are stopped") {
    std::string bomb = "k0 = xxxxxxxxxxxxxxxxxxxx\n";
    for (int i = 1; i < 30; ++i) {
        const std::string before = "${k" + std::to_string(i - 1) + "}";
        bomb += "k" + std::to_string(i) + " = " + before + before + "\n";
    }
    CHECK(complaint(view(bomb + "t.name = ${k29}\n")).find("too long") != std::string::npos);
    std::string deep = "d0 = x\n";
    for (int i = 1; i < 100; ++i)
        deep += "d" + std::to_string(i) + " = ${d" + std::to_string(i - 1) + "}\n";
    CHECK(complaint(view(deep + "t.name = ${d99}\n")).find("nested too deeply") !=
          std::string::npos);
}

TEST_CASE("a bad value of a known key is an error that says what would do") {
    CHECK(complaint(view("\nt.workers = many\n")) ==
          "n.conf:2: t.workers: \"many\" will not do; it must be a whole number");
    CHECK(complaint(view("t.workers = 0\n")) ==
          "n.conf:1: t.workers: \"0\" will not do; it must be at least 1");
    CHECK(complaint(view("t.takeover = 301\n")) ==
          "n.conf:1: t.takeover: \"301\" will not do; it must be at most 300");
    CHECK(complaint(view("t.takeover = 500ms\n")).find("at least 1") != std::string::npos);
    CHECK(complaint(view("t.pause = -5\n")).find("at least 0") != std::string::npos);
    CHECK(complaint(view("t.failure = explode\n")) ==
          "n.conf:1: t.failure: \"explode\" will not do; it must be one of block, retry, ignore");
    CHECK(complaint(view("t.root = srv\n")).find("a path that begins with /") != std::string::npos);
    CHECK(complaint(view("t.ssl = perhaps\n")).find("1 or 0") != std::string::npos);
    CHECK(complaint(view("t.memory = 9223372036854775807T\n")).find("a size in MiB") !=
          std::string::npos);
    CHECK(view("t.workers = many\n").get(workers) == 2);
}

TEST_CASE("all errors are reported at once") {
    const std::string all = complaint(view("t.workers = x\nt.ssl = y\n"));
    CHECK(all.find("n.conf:1") != std::string::npos);
    CHECK(all.find("n.conf:2") != std::string::npos);
}

TEST_CASE("a bad value in the database is a warning and the file's stays") {
    const View all = view("t.workers = 3\n").with_database({{"t.workers", "x"}});
    CHECK(all.check().ok());
    CHECK(all.get(workers) == 3);
    CHECK(warns(all, "the database: t.workers: \"x\" will not do; it must be a whole number"));
}

TEST_CASE("a circle that only the database closes takes no key away") {
    const View all =
        view("t.root = /a\nb = ${t.root}/b\nt.images = ${b}\n").with_database({{"t.root", "${b}"}});
    CHECK(all.check().ok());
    CHECK(all.get(root) == "/a");
    CHECK(all.get(images) == "/a/b");
}

TEST_CASE("an unknown key is a warning with the nearest known one") {
    CHECK(warns(view("t.worker = 3\n"),
                "n.conf:1: there is no key \"t.worker\"; did you mean \"t.workers\"?"));
    CHECK(warns(view("").with_database({{"t.worker", "1"}}),
                "the database: there is no key \"t.worker\"; did you mean \"t.workers\"?"));
    CHECK(view("t.worker = 3\n").unknown() == std::vector<std::string>{"t.worker"});
    CHECK(view("t.worker = 3\n").check().ok());
}

TEST_CASE("a key of QVD 3.5 without effect is named as such") {
    CHECK(warns(view("l7r.as_user = root\n"),
                "n.conf:1: l7r.as_user has no effect here: each role runs as a user of its own"));
    CHECK(warns(view("internal.hkd.agent.l7rkiller.delay = 1\n"),
                "n.conf:1: internal.hkd.agent.l7rkiller.delay has no effect here: changes are "
                "announced by the database, nothing waits and asks again"));
}

TEST_CASE("a key mistyped in a family of QVD 3.5 is not taken for one of that family") {
    const auto said = [](std::initializer_list<std::string> known, const std::string& typed) {
        auto set = std::make_shared<KeySet>();
        for (const std::string& key : known) REQUIRE(set->declare({.name = key}).ok());
        const View all(set, Properties::parse(typed + " = 1\n", "n.conf").value());
        REQUIRE(all.findings().size() == 1);
        return all.findings().front().sentence;
    };
    const auto meant = [&](const std::string& known, const std::string& typed) {
        CHECK(said({known, "vma.address"}, typed) ==
              "there is no key \"" + typed + "\"; did you mean \"" + known + "\"?");
    };
    meant("l7r.loadbalancer.plugin.default.weight.ram",
          "l7r.loadbalancer.plugin.default.weight.rma");
    meant("internal.hkd.agent.ticker.delay", "internal.hkd.agent.tickr.delay");
    meant("command.unionfs-fuse", "command.unionfs-fus");
    meant("log4perl.rootLogger", "log4perl.rootLoger");
    meant("vma.audio.enable", "vma.audio.enabel");
    meant("vma.user.shell", "vma.user.shel");
    // A file's own keys never belong elsewhere, however little they resemble any.
    CHECK(said({"vma.address"}, "vma.something.else") == "there is no key \"vma.something.else\"");
    CHECK(said({"l7r.port"}, "vma.something.else")
              .ends_with("it belongs into vma.conf, in the image"));
    CHECK(said({"vma.address"}, "vma.sshfs.extra_args").find("QVD 3.5 knows it") !=
          std::string::npos);
    CHECK(said({"vma.address"}, "internal.vma.printing.config").find("QVD 3.5 knows it") !=
          std::string::npos);
    // A key of QVD 3.5 is known even where one letter makes it another.
    CHECK(said({"command.rmm"}, "command.rm").find("has no effect here") != std::string::npos);
}

TEST_CASE("of a mistyped family the member is named that was meant") {
    CHECK(warns(view("t.otp.Port = 22\n"),
                "n.conf:1: there is no key \"t.otp.Port\"; did you mean \"t.opt.Port\"?"));
}

TEST_CASE("a key given twice is a warning") {
    CHECK(warns(view("t.ssl = 1\nt.ssl = 0\n"),
                "n.conf:2: \"t.ssl\" is given again; the value at n.conf:1 is lost"));
}

TEST_CASE("a key that nobody declared cannot be read") {
    const View all = view("t.undeclared = 1\n");
    CHECK_THROWS_AS((void)all.get(undeclared), UndeclaredKey);
    CHECK_THROWS_AS((void)all.find(undeclared), UndeclaredKey);
    CHECK_THROWS_AS((void)all.text("t.undeclared"), UndeclaredKey);
    CHECK_THROWS_AS((void)all.family("t.other.*"), UndeclaredKey);
    CHECK_THROWS_AS((void)all.get(name), std::logic_error);
}

TEST_CASE("a family gathers the keys below it") {
    const View all = view("t.opt.One = 1\nt.opt.Two = 2\n").with_database({{"t.opt.Two", "two"}});
    CHECK(all.family(options) == View::Values{{"One", "1"}, {"Two", "two"}});
    CHECK(all.text("t.opt.Three") == std::nullopt);
    CHECK(all.unknown().empty());
}

TEST_CASE("every effective value can be listed and no secret is shown") {
    const View all = view("t.password = hunter2\nt.opt.One = 1\n");
    CHECK(all.all().size() == keys()->all().size());  // the family is not a key, its member is
    CHECK(all.setting("t.password")->shown() == "********");
    CHECK(all.setting("t.images")->shown() == "/srv/images");
    CHECK(all.setting("t.name")->shown().empty());
    CHECK(all.setting("nothing") == nullptr);
}

TEST_CASE("a required key that is not set is named") {
    CHECK(view("").missing() == std::vector<std::string>{"t.name"});
    CHECK(view("t.name = x\n").missing().empty());
    CHECK(view("").check().ok());
}

TEST_CASE("a change is judged before it is made") {
    const View all = view("");
    CHECK(all.check_change("t.workers", "5").ok());
    CHECK(all.check_change("t.images", "${t.root}/i").ok());
    CHECK(all.check_change("t.opt.Any", "x").ok());
    CHECK(all.check_change("t.workers", "x").error().code() == "config.value");
    CHECK(all.check_change("t.images", "${nope}").error().code() == "config.value");
    CHECK(all.check_change("t.name", "x").error().code() == "config.file_only");
    CHECK(all.check_change("t.wrkers", "x").error().code() == "config.unknown");
    CHECK(all.check_change("t.wrkers", "x").error().sentence() ==
          "there is no key \"t.wrkers\"; did you mean \"t.workers\"?");
}

TEST_CASE("declarations are checked when they are made") {
    KeySet set;
    constexpr Key<std::int64_t> bad{"t.bad", "x", "", "its default is no number"};
    CHECK_THROWS_AS(set.add(bad), std::logic_error);
    set.add(workers).add(workers);
    Declaration other = declaration_of(workers);
    other.kind = Kind::text;
    CHECK(set.declare(other).error().code() == "config.declaration");
    CHECK(set.declare({.name = "plug.in key"}).error().code() == "config.declaration");
    CHECK(set.declare({.name = "plug.key", .kind = Kind::boolean, .fallback = "1"}).ok());
    CHECK(set.find("plug.key")->kind == Kind::boolean);
}

TEST_CASE("the keys that all programs share are declared without contradiction") {
    auto set = std::make_shared<KeySet>();
    declare(*set);
    const View all(
        set, Properties::parse("path.storage.root = /x\ndatabase.password = y\n", "n").value());
    CHECK(all.check().ok());
    CHECK(all.get(path_storage_images) == "/x/images");
    CHECK(all.get(log_filename) == "/var/log/qvd.log");
    CHECK(all.setting("database.password")->shown() == "********");
    for (const auto& declared : set->all())
        CHECK_MESSAGE(!declared.second.meaning.empty(), declared.first);
}

TEST_CASE("log4perl's two keys select syslog and level") {
    auto set = std::make_shared<KeySet>();
    declare(*set);
    const auto target = [&](std::string_view text) {
        const View all(set, Properties::parse(text, "n").value());
        REQUIRE(all.check().ok());
        return log_target(all, "qvd-node", "hkd");
    };
    CHECK(target("").value().file == "/var/log/qvd.log");
    CHECK(target("").value().level == qvd::log::Level::info);
    CHECK(target("log.level = DEBUG\n").value().level == qvd::log::Level::debug);
    const auto syslog = target(
        "log4perl.appender.SYSLOG = Log::Dispatch::Syslog\n"
        "log4perl.appender.SYSLOG.layout = Log::Log4perl::Layout::PatternLayout\n"
        "log4perl.rootLogger = WARN, SYSLOG\nlog.level = DEBUG\n");
    CHECK(syslog.value().syslog);
    CHECK(syslog.value().file.empty());
    CHECK(syslog.value().level == qvd::log::Level::warn);
    CHECK(target("log4perl.appender.SYSLOG = x\n").value().syslog);
    CHECK_FALSE(
        target("log4perl.appender.SYSLOG = x\nlog4perl.rootLogger = INFO, FILE\n").value().syslog);
}
