// The options file, the session's command, and what vma.conf may say.
#include "base/text.hpp"
#include "tests/vma/workshop.hpp"
#include "vma/launch.hpp"
#include "vma/nx_options.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

using namespace qvd;
using namespace qvd::vma;

namespace {

Settings settings_from(std::string_view text) {
    return read_settings(
               config::View(key_set(), config::Properties::parse(text, "vma.conf").value()))
        .value();
}

std::string code_of(std::string_view text) {
    const auto read =
        read_settings(config::View(key_set(), config::Properties::parse(text, "vma.conf").value()));
    return read.ok() ? "" : read.error().code();
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
    return std::ranges::find(list, text) != list.end();
}

}  // namespace

TEST_CASE("the options file says what the client asked for") {
    const agent::Parameters session{{"qvd.client.keyboard", "pc105/es"},
                                    {"qvd.client.os", "linux"},
                                    {"qvd.client.link", "lan"},
                                    {"qvd.client.geometry", "1024x768"},
                                    {"qvd.client.fullscreen", "0"}};
    CHECK(nx_options(session, settings_from("")).value() ==
          "nx/nx,keyboard=pc105/es,client=linux,link=lan,geometry=1024x768,fullscreen=0:100\n");
}

TEST_CASE("a client that says nothing gets the image's defaults, with a keyboard that exists") {
    CHECK(nx_options({{"qvd.client.geometry", ""}}, settings_from("")).value() ==
          "nx/nx,keyboard=pc105/us,link=adsl:100\n");
    const Settings german = settings_from(
        "vma.default.client.keyboard = pc105/de\nvma.default.client.link = local\n"
        "vma.default.client.geometry = 800x600\ninternal.nxagent.display = 7\n");
    CHECK(nx_options({}, german).value() ==
          "nx/nx,keyboard=pc105/de,link=local,geometry=800x600:7\n");
}

TEST_CASE("sound, shares and printing need the administrator's word") {
    const agent::Parameters session{{"qvd.client.printing.enabled", "1"},
                                    {"qvd.client.os", "windows"},
                                    {"qvd.client.nxagent.extra_args", "media=1,slave=1,cups=1"}};
    CHECK(nx_options(session, settings_from("")).value() ==
          "nx/nx,keyboard=pc105/us,client=windows,link=adsl:100\n");
    const Settings all =
        settings_from("vma.audio.enable = 1\nvma.slave.enable = 1\nvma.printing.enable = 1\n");
    CHECK(nx_options(session, all).value() ==
          "nx/nx,keyboard=pc105/us,client=windows,link=adsl,media=1,slave=1,smb=2100:100\n");
    CHECK(nx_options({{"qvd.client.printing.enabled", "1"}}, all).value().find("cups=2100") !=
          std::string::npos);
    CHECK(nx_options({{"qvd.client.printing.enabled", ""}}, all).value().find("cups") ==
          std::string::npos);
}

TEST_CASE("an empty slave command switches shares off") {
    CHECK_FALSE(settings_from("vma.slave.enable = 1\nvma.slave.command =\n").slave);
}

TEST_CASE("values that could change the meaning of the line are refused with their name") {
    for (const char* value : {"lan,options=/etc/shadow", "lan:5", "a b", "a=b", "lan\n", "$(id)"}) {
        const auto options = nx_options({{"qvd.client.link", value}}, settings_from(""));
        REQUIRE(!options.ok());
        CHECK(options.error().code() == "vma.parameter");
        CHECK(options.error().sentence().find("qvd.client.link") != std::string::npos);
    }
    CHECK_FALSE(nx_options({{"qvd.client.nxagent.extra_args", "x=1:5"}}, settings_from("")).ok());
    CHECK(nx_options({{"qvd.client.nxagent.extra_args", "resize=1,options=/etc/x,clipboard=both"}},
                     settings_from(""))
              .value() == "nx/nx,keyboard=pc105/us,link=adsl,resize=1,clipboard=both:100\n");
}

TEST_CASE("the session is started as its user, by xinit, without an X port") {
    const Account account{"ana", "/home/ana", "/bin/bash", 1001, 1002, {1002, 44}};
    const Settings settings = settings_from(
        "command.x-session.args.extra = gnome --debug\ncommand.nxagent.args.extra = -fp /f\n"
        "vma.user.umask = 0027\n");
    const Command command = session_command(account, {}, settings, "/log");
    CHECK(
        text::join(command.argv, " ") ==
        "/usr/bin/xinit /etc/X11/Xsession gnome --debug -- /usr/bin/nxagent :100 -ac -nolisten tcp "
        "-name QVD -display nx/nx,options=/run/qvd/nxagent.conf:100 -fp /f");
    REQUIRE(command.identity.has_value());
    CHECK(command.identity->uid == 1001);
    CHECK(command.identity->groups == std::vector<gid_t>{1002, 44});
    CHECK(command.umask == 0027);
    CHECK(contains(command.environment, "HOME=/home/ana"));
    CHECK(contains(command.environment, "LOGNAME=ana"));
    CHECK(std::ranges::none_of(command.environment, [](const std::string& variable) {
        return variable.find("SLAVE_CMD") != std::string::npos || variable.starts_with("PULSE");
    }));
}

TEST_CASE("both names of the slave command are exported when shares are on") {
    const Settings settings =
        settings_from("vma.slave.enable = 1\nvma.slave.command = /s\nvma.audio.enable = 1\n");
    const Command command =
        session_command({"a", "/h", "/bin/sh", 1001, 1001, {}}, {}, settings, "/l");
    CHECK(contains(command.environment, "QVD_SLAVE_CMD=/s"));
    CHECK(contains(command.environment, "NX_SLAVE_CMD=/s"));
    CHECK(contains(command.environment, "PULSE_SERVER=tcp:localhost:7100"));
}

TEST_CASE("locale files are read as shells would read them, and no further") {
    const auto environment = parse_environment_file(
        "# comment\nLANG=\"es_ES.UTF-8\"\n export LC_ALL='C'\nnonsense\n=x\nEMPTY=\nA "
        "B=c\nX=a=b\n");
    CHECK(environment ==
          std::map<std::string, std::string>{
              {"LANG", "es_ES.UTF-8"}, {"LC_ALL", "C"}, {"EMPTY", ""}, {"X", "a=b"}});
}

TEST_CASE("mistakes in vma.conf are found before the agent runs") {
    CHECK(code_of("vma.on_action.conect = /x\n") == "config.value");
    CHECK(code_of("vma.on_state.connected = notify.sh\n") == "config.value");
    CHECK(code_of("vma.user.umask = rwx\n") == "config.value");
    CHECK(code_of("vma.hook.timeout = soon\n") == "config.invalid");
    CHECK(code_of("internal.vm.port.vma = 70000\n") == "config.invalid");
    CHECK(code_of("vma.on_action.disconnect = /never/called\n").empty());
}

TEST_CASE("what a user of the VM puts in the place of a display's lock holds up nobody") {
    const std::string lock = "/tmp/.X4711-lock";
    ::unlink(lock.c_str());
    SUBCASE("a pipe") {
        REQUIRE(::mkfifo(lock.c_str(), 0666) == 0);
    }
    SUBCASE("a way to somewhere else") {
        REQUIRE(::symlink("/nowhere", lock.c_str()) == 0);
    }
    SUBCASE("no number") {
        std::ofstream(lock) << "mine\n";
    }
    SUBCASE("nothing") {
    }
    CHECK(clear_display(4711).ok());
    struct stat about {};
    CHECK(::lstat(lock.c_str(), &about) != 0);
}
