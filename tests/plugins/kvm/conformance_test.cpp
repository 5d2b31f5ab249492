// The suite that every backend passes (qvd-plugin-check --trial), with guests of the tests' kernel.
#include "world.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

using namespace qvd::test;

namespace {

std::string trial_of(const World& world, const std::string& image) {
    std::ostringstream plan;
    plan << "folder = " << world.path("trial") << "\nimage = " << image
         << "\nimage.format = qcow2\nimage.unpacked = " << image
         << "\noverlays = " << world.path("overlays") << "\noverlay.ending = -overlay.qcow2"
         << "\nbridge = " << bridge_name()
         << "\naddress = 10.91.8.100\nprefix = 24\ngateway = 10.91.8.1\nmac.prefix = 54:52:00"
         << "\ndevice.prefix = qvd\nanswer.port = 8080\npatience = 60\nvms = 8\nmemory = 96"
         << "\nhome = 16\nhome.format = qcow2\n";
    for (const auto& [key, value] : world.configuration)
        if (!value.empty()) plan << "set." << key << " = " << value << "\n";
    return plan.str();
}

}  // namespace

TEST_CASE("the backend passes the suite for hypervisors, eight guests at once and suspended ones") {
    const Libvirtd libvirtd;
    World world;
    const std::string image = world.make_image();
    const std::string plan = world.path("plan.conf");
    write_file(plan, trial_of(world, image));
    const std::string command = std::string(QVD_TEST_PROGRAMS) + "/qvd-plugin-check " +
                                QVD_TEST_PLUGIN + " --timeout 120 --trial " + plan + " >" +
                                world.path("said") + " 2>&1";
    const int status = std::system(command.c_str());
    INFO(read_file(world.path("said")));
    CHECK(status == 0);
    CHECK(read_file(world.path("said")).find("checked up to the level hypervisor") !=
          std::string::npos);
    CHECK(world.left_overs() == "");
}
