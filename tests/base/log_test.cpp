#include "base/log.hpp"

#include "base/file.hpp"
#include "base/log_file.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

TEST_CASE(
    "a line carries its event and its fields, and a foreign text cannot forge a second line") {
    const qvd::log::Capture log;
    qvd::log::warn("auth.refused", {{"user", "bob\nevent=auth.ok"}, {"vm", qvd::VmId{7}}}, "no");
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines().front() == "event=auth.refused user=\"bob\\x0Aevent=auth.ok\" vm=7: no");
}

TEST_CASE("the documented level names are known in any case and others are refused by name") {
    CHECK(qvd::log::parse_level("Warn").value() == qvd::log::Level::warn);
    CHECK(qvd::log::parse_level("ALL").value() == qvd::log::Level::trace);
    CHECK(qvd::log::parse_level("loud").error().sentence().find("loud") != std::string::npos);
}

TEST_CASE(
    "after a rotation lines go to the file that another process has opened, in the same form") {
    std::string folder = "/tmp/qvd-log-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const std::string file = folder + "/qvd.log";
    CHECK_FALSE(qvd::log::share_file().value());
    qvd::log::Target target;
    target.file = file;
    target.program = "qvd-node";
    target.role = "l7r";
    REQUIRE(qvd::log::open(target).ok());
    qvd::log::info("first", {}, "");
    std::filesystem::rename(file, file + ".1");
    qvd::log::info("second", {}, "");
    qvd::log::continue_in(qvd::log::share_file().value());
    qvd::log::info("third", {}, "");
    qvd::log::debug("hidden", {}, "");
    REQUIRE(qvd::log::open({}).ok());
    const std::string before = qvd::file::read(file + ".1").value();
    CHECK(before.find("event=second") != std::string::npos);
    const std::string after = qvd::file::read(file).value();
    CHECK(after.find(" info qvd-node/l7r event=third\n") != std::string::npos);
    CHECK(after.find("hidden") == std::string::npos);
    CHECK(before.find("event=third") == std::string::npos);
    std::filesystem::remove_all(folder);
}
