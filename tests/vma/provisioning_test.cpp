#include "vma/provisioning.hpp"

#include "base/text.hpp"
#include "tests/vma/workshop.hpp"
#include "vma/home_drive.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

struct Place : Workshop {
    config::Properties file;
    HookPlugins plugins{loop, settings, file};
    Hooks hooks{loop, processes, settings, plugins};
    Provisioning provisioning{processes, hooks, settings};

    // A program that notes its arguments and then does as told.
    std::string tool(std::string_view name, std::string_view body) {
        return folder.write(name,
                            "#!/bin/sh\necho " + std::string(name) + " \"$@\" >> " +
                                folder.at("calls") + "\n" + std::string(body) + "\n",
                            0755);
    }
};

}  // namespace

TEST_CASE("without a name from the node the image's default user is wanted") {
    const Place place;
    agent::Parameters session;
    const auto user = wanted_user(session, place.settings);
    CHECK(user->name == "qvd");
    CHECK(user->home == place.folder.at("home/qvd"));
    CHECK(session["qvd.vm.user.name"] == "qvd");
    CHECK(session["qvd.vm.user.home"] == user->home);
}

TEST_CASE("useradd and groupadd get exactly what the node says") {
    const Place place;
    agent::Parameters session{{"qvd.vm.user.name", "ana"},    {"qvd.vm.user.uid", "2001"},
                              {"qvd.vm.user.gid", "2002"},    {"qvd.vm.user.group", "staff2"},
                              {"qvd.vm.user.groups", "a, b"}, {"qvd.vm.user.home", "/srv/ana"}};
    const auto user = wanted_user(session, place.settings);
    REQUIRE(user.ok());
    CHECK(text::join(groupadd_arguments(*user, place.settings), " ") ==
          "/usr/sbin/groupadd -g 2002 staff2");
    CHECK(text::join(useradd_arguments(*user, place.settings), " ") ==
          "/usr/sbin/useradd -m -d /srv/ana -g staff2 -s /bin/bash -G a,b -u 2001 ana");
}

TEST_CASE("names, numbers and paths that no account can have are refused") {
    const Place place;
    const std::vector<std::pair<const char*, const char*>> wrong{
        {"qvd.vm.user.name", "-rf"},
        {"qvd.vm.user.name", "a:b"},
        {"qvd.vm.user.name", "../x"},
        {"qvd.vm.user.name", "a\nb"},
        {"qvd.vm.user.uid", "0"},
        {"qvd.vm.user.uid", "root"},
        {"qvd.vm.user.gid", "4294967295"},
        {"qvd.vm.user.group", "--help"},
        {"qvd.vm.user.groups", "a,-b"},
        {"qvd.vm.user.home", "home"},
        {"qvd.vm.user.home", "/home/../etc"}};
    for (const auto& pair : wrong) {
        const char* const name = pair.first;
        const char* const value = pair.second;
        agent::Parameters session{{name, value}};
        const auto user = wanted_user(session, place.settings);
        REQUIRE_MESSAGE(!user.ok(), value);
        CHECK(user.error().code() == "vma.parameter");
        CHECK(user.error().sentence().find(name) != std::string::npos);
    }
}

TEST_CASE("an account that exists is used as it is") {
    Place place;
    agent::Parameters session{{"qvd.vm.user.name", "daemon"}};
    const auto account = place.finish(place.provisioning.ensure(session));
    REQUIRE(account.ok());
    CHECK(account->uid == 1);
    CHECK(session["qvd.vm.user.home"] == account->home);
}

TEST_CASE("nobody gets a session as root") {
    Place place;
    agent::Parameters session{{"qvd.vm.user.name", "root"}};
    const auto account = place.finish(place.provisioning.ensure(session));
    CHECK(account.error().code() == "vma.account");
}

TEST_CASE("an image without useradd says so, and nothing is edited") {
    Place place;
    place.settings.useradd = place.folder.at("no-useradd");
    place.settings.groupadd = place.tool("groupadd", "exit 1");
    place.settings.userdel = place.tool("userdel", "");
    place.settings.groupdel = place.tool("groupdel", "");
    agent::Parameters session{{"qvd.vm.user.name", "no-such-user-here"}};
    const auto account = place.finish(place.provisioning.ensure(session));
    REQUIRE(!account.ok());
    CHECK(account.error().code() == "vma.account");
    CHECK(account.error().sentence().find("no-useradd") != std::string::npos);
    CHECK(place.folder.read("calls").find("groupdel") == std::string::npos);
}

TEST_CASE("when after_add_user fails, account and group are taken away again") {
    Place place;
    place.settings.groupadd = place.tool("groupadd", "");
    place.settings.useradd = place.tool("useradd", "");
    place.settings.userdel = place.tool("userdel", "");
    place.settings.groupdel = place.tool("groupdel", "");
    place.settings.hooks["vma.on_provisioning.after_add_user"] =
        place.tool("after", "echo the mail server is down; exit 3");
    agent::Parameters session{{"qvd.vm.user.name", "no-such-user-here"}};
    const auto account = place.finish(place.provisioning.ensure(session));
    REQUIRE(!account.ok());
    CHECK(account.error().code() == "vma.hook.failed");
    const std::string calls = place.folder.read("calls");
    CHECK(calls.find("userdel no-such-user-here") != std::string::npos);
    CHECK(calls.find("groupdel no-such-user-here") != std::string::npos);
}

TEST_CASE("a hook that makes accounts replaces useradd, and must really have made one") {
    Place place;
    place.settings.useradd = place.tool("useradd", "");
    place.settings.hooks["vma.on_provisioning.add_user"] = place.tool("add_user", "");
    agent::Parameters session{{"qvd.vm.user.name", "no-such-user-here"}};
    const auto account = place.finish(place.provisioning.ensure(session));
    CHECK(account.error().sentence().find("add_user") != std::string::npos);
    CHECK(place.folder.read("calls").find("useradd") == std::string::npos);
}

TEST_CASE("a home that is missing is announced to mount_home, one that exists is not") {
    Place place;
    place.settings.hooks["vma.on_provisioning.mount_home"] = place.tool("mount_home", "");
    agent::Parameters session{{"qvd.vm.user.name", "daemon"}};
    REQUIRE(place.finish(place.provisioning.ensure(session)).ok());
    CHECK(place.folder.read("calls").find("mount_home") == 0);
    std::filesystem::remove(place.folder.at("calls"));
    std::filesystem::create_directory(place.folder.at("home/daemon"));
    agent::Parameters again{{"qvd.vm.user.name", "daemon"}};
    REQUIRE(place.finish(place.provisioning.ensure(again)).ok());
    CHECK(place.folder.read("calls").empty());
}

TEST_CASE("accounts survive the way out of the child that looks them up") {
    const Account account{"ana", "/home/ana", "/bin/bash", 1001, 1002, {1002, 44}};
    const auto read = decode_account(encode_account(account));
    REQUIRE(read.has_value());
    CHECK(read->home == "/home/ana");
    CHECK(read->groups == account.groups);
    CHECK_FALSE(decode_account("ana\n").has_value());
}

TEST_CASE("the first partition of a disk is named as the kernel names it") {
    CHECK(first_partition_of("/dev/vdb") == "/dev/vdb1");
    CHECK(first_partition_of("/dev/nvme1n1") == "/dev/nvme1n1p1");
}
