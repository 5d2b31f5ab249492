// The suite that every backend passes (qvd-plugin-check --trial), for both plugins for containers
// and each way to put a VM's files together.
#include "world.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

using namespace qvd::test;

namespace {

std::string trial_of(const World& world, const std::string& image) {
    std::ostringstream plan;
    plan << "folder = " << world.path("trial") << "\nimage = " << image
         << "\nimage.format = tar\nimage.unpacked = " << world.images("7-trial")
         << "\noverlays = " << world.changes("")
         << "\noverlay.ending = " << (kind() == "btrfs" ? "-btrfs" : "-overlayfs")
         << "\nbridge = " << bridge_name()
         << "\naddress = 10.91.7.100\nprefix = 24\ngateway = 10.91.7.1\nmac.prefix = 54:52:00"
         << "\ndevice.prefix = qvd\nanswer.port = 8080\nvms = 4\nmemory = 128\nhome = 16\n";
    for (const auto& [key, value] : world.configuration)
        if (!value.empty()) plan << "set." << key << " = " << value << "\n";
    return plan.str();
}

}  // namespace

TEST_CASE("the backend passes the suite for hypervisors") {
    World world;
    const std::string image = world.make_image();
    const std::string plan = world.path("plan.conf");
    write_file(plan, trial_of(world, image));
    const std::string command = std::string(QVD_TEST_PROGRAMS) + "/qvd-plugin-check " +
                                (kind() == "btrfs" ? QVD_TEST_BTRFS_PLUGIN : QVD_TEST_PLUGIN) +
                                " --trial " + plan + " >" + world.path("said") + " 2>&1";
    const int status = std::system(command.c_str());
    INFO(read_file(world.path("said")));
    CHECK(status == 0);
    CHECK(read_file(world.path("said")).find("checked up to the level hypervisor") !=
          std::string::npos);
    CHECK(world.left_overs() == "");
}
