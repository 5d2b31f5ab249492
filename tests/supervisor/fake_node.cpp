// A node of fake roles, for tests of the supervisor: fake_node FOLDER runs it with
// FOLDER/node.conf, fake_node --check FOLDER fails if there is a file FOLDER/bad. FAKE_ROLE is
// compiled in.
#include "base/log.hpp"
#include "config/keys.hpp"
#include "supervisor/keys.hpp"
#include "supervisor/supervisor.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

using namespace qvd;

int main(int count, char** words) {
    const std::string self = words[0];
    const std::string folder = words[count - 1];
    if (count == 3) {
        if (!std::filesystem::exists(folder + "/bad")) return 0;
        std::puts("there is a file named bad");
        return 1;
    }
    (void)log::open({folder + "/log", false, "fake_node", "", log::Level::info});
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    supervisor::declare(*keys);
    const config::View view(keys, config::Properties::read(folder + "/node.conf").value());
    supervisor::Options options{"1.0",
                                {self, folder},
                                {self, "--check", folder},
                                [folder](net::Role role, const std::string& instance) {
                                    return std::vector<std::string>{
                                        FAKE_ROLE, std::string(net::to_string(role)), instance,
                                        folder};
                                },
                                view,
                                std::filesystem::exists(folder + "/with_database"),
                                UniqueFd{}};
    auto handover = supervisor::take_handover();
    if (!handover.ok()) return 3;
    supervisor::Supervisor node(std::move(options));
    const auto status = node.run(std::move(handover).value());
    if (status.ok()) return *status;
    std::fprintf(stderr, "%s\n", status.error().sentence().c_str());
    return 1;
}
