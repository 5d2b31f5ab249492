// What the doctor says of containers that are to have ids of their own.
#include "admin/doctor/checks.hpp"
#include "config/keys.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

using namespace qvd;
using namespace qvd::admin::doctor;

namespace {

Diagnosis asked(const std::string& wanted, const std::string& storage) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    const std::string text =
        "path.storage.root = " + storage + "\nvm.lxc.unprivileged = " + wanted + "\n";
    InUse use;
    use.hypervisors = {"lxc-unionfs"};
    return check_unprivileged({keys, config::Properties::parse(text, "node.conf").value()}, use);
}

void says(const Diagnosis& one, Level level, const std::string& sentence) {
    CHECK_MESSAGE(one.level == level, one.sentence);
    CHECK_MESSAGE(one.sentence.find(sentence) != std::string::npos, one.sentence);
    CHECK(one.advice.empty() == (level == Level::good));
}

bool give_capabilities_up() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    return ::syscall(SYS_capset, &head, none) == 0;
}

}  // namespace

TEST_CASE("containers that are to have ids of their own are told what is in the way" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0) return qvd::test::skip("this check asks root");
    const std::string storage = std::filesystem::temp_directory_path().string();
    says(asked("0", storage), Level::good, "is root of the node, as");
    // The files of proc cannot be given other owners.
    says(asked("auto", "/proc/sys"), Level::warning, "root of a container is root of the node");
    says(asked("1", "/proc/sys"), Level::problem, "containers cannot start");
    const auto powerless = in_child("apart", [&]() -> Diagnoses {
        if (!give_capabilities_up()) return {};
        return {asked("auto", storage)};
    });
    REQUIRE(powerless.size() == 1);
    says(powerless.front(), Level::warning, "root of a container is root of the node");
    // What is not there yet is where it will be.
    const Diagnosis here = asked("auto", storage + "/not/there/yet");
    MESSAGE(here.sentence);
    CHECK((here.level == Level::good || here.level == Level::warning));
}
