#include "client/options.hpp"

#include "client/exit_code.hpp"
#include "client/settings.hpp"
#include "tests/client/program.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace qvd::client;

namespace {

// Owns arguments that may be written to, as main() gets them.
class Arguments {
public:
    Arguments(std::initializer_list<std::string> words) : words_(words) {
        for (std::string& word : words_) pointers_.push_back(word.data());
    }
    [[nodiscard]] std::span<char*> all() { return pointers_; }
    [[nodiscard]] const std::string& operator[](std::size_t i) const { return words_[i]; }

private:
    std::vector<std::string> words_;
    std::vector<char*> pointers_;
};

qvd::Result<Options> parse(std::initializer_list<std::string> words) {
    Arguments arguments{words};
    return parse_options(arguments.all());
}

qvd::Result<Settings> settings_of(std::initializer_list<std::string> words,
                                  Environment environment = {}, const std::string& file = "") {
    const auto options = parse(words);
    REQUIRE(options.ok());
    environment.emplace("HOME", "/nonexistent");
    return read_settings(options.value(), environment, file.empty() ? "/nonexistent" : file);
}

}  // namespace

TEST_CASE("every option of the manual is understood, short, joined and long") {
    const Options all = parse({"-d",
                               "-h",
                               "server",
                               "-p",
                               "9",
                               "-u",
                               "me",
                               "-w",
                               "pw",
                               "-g",
                               "800x600",
                               "-f",
                               "-l",
                               "-o",
                               "-n",
                               "-x",
                               "nx/nx,data=0:0",
                               "-c",
                               "c.pem",
                               "-k",
                               "k.pem"})
                            .value();
    CHECK(all.debug);
    CHECK(*all.host == "server");
    CHECK(*all.port == "9");
    CHECK(*all.user == "me");
    CHECK(all.password->reveal() == "pw");
    CHECK(*all.geometry == "800x600");
    CHECK((all.fullscreen && all.list && all.first && all.any_certificate));
    CHECK(*all.nx_options == "nx/nx,data=0:0");
    CHECK(*all.certificate_file == "c.pem");
    CHECK(*all.key_file == "k.pem");

    const Options joined =
        parse({"-lnhserver", "-p8444", "--user=me", "--vm", "7", "--json"}).value();
    CHECK((joined.list && joined.any_certificate && joined.json));
    CHECK(*joined.host == "server");
    CHECK(*joined.port == "8444");
    CHECK(*joined.user == "me");
    CHECK(*joined.vm == 7);
    CHECK(parse({"-?"}).value().help);
    CHECK(parse({"--help"}).value().help);
    CHECK(parse({"-v"}).value().version);
    CHECK(parse({"-r"}).value().restart);
}

TEST_CASE("the password is overwritten among the arguments, however it was given") {
    Arguments apart{"-w", "hunter2"};
    CHECK(parse_options(apart.all()).value().password->reveal() == "hunter2");
    CHECK(apart[1] == "*******");
    Arguments attached{"-whunter2"};
    CHECK(parse_options(attached.all()).value().password->reveal() == "hunter2");
    CHECK(attached[0] == "-w*******");
    Arguments long_form{"--password=hunter2"};
    CHECK(parse_options(long_form.all()).value().password->reveal() == "hunter2");
    CHECK(long_form[0] == "--password=*******");
}

TEST_CASE("a wrong command line says what is wrong") {
    CHECK(parse({"-h"}).error().sentence().starts_with("--host wants HOST"));
    CHECK(parse({"-z"}).error().sentence().starts_with("there is no option -z"));
    CHECK(parse({"--jsno"}).error().sentence().find("--json?") != std::string::npos);
    CHECK(parse({"--json=1"}).error().sentence().starts_with("--json takes no value"));
    CHECK(parse({"server"}).error().sentence().starts_with("\"server\" is no option"));
    CHECK(parse({"-c", "c.pem"}).error().sentence().starts_with("-c and -k"));
    CHECK(parse({"-s", "one"}).error().sentence().starts_with("-s wants"));
    CHECK(parse({"-s", "1", "-o"}).error().code() == "usage.option");
    CHECK(exit_code_of(parse({"-z"}).error()) == ExitCode::usage);
}

TEST_CASE("the help names every option, variable and exit status") {
    for (const char* word : {"-?",
                             "-v",
                             "-d",
                             "-h",
                             "-p",
                             "-u",
                             "-w",
                             "-g",
                             "-f",
                             "-l",
                             "-o",
                             "-n",
                             "-x",
                             "-c",
                             "-k",
                             "-s",
                             "-r",
                             "--json",
                             "QVDHOST",
                             "QVDLOGIN",
                             "QVDPASSWORD",
                             "QVD_DEBUG",
                             "QVD_DEBUG_FILE",
                             "DISPLAY",
                             "  8  "})
        CHECK_MESSAGE(usage().find(word) != std::string::npos, word);
}

TEST_CASE("the command line goes before the environment, the environment before the files") {
    const qvd::testing::Home home;
    home.write("client.conf",
               "client.host.name = of-file\nclient.user.name = file-user\nclient.link = lan\n");
    home.write(".qvd/client.conf", "client.host.port = 9001\nclient.geometry = 640x480\n");
    const std::string file = home.path() + "/client.conf";

    const Settings files = settings_of({}, {{"HOME", home.path()}}, file).value();
    CHECK(files.host == "of-file");
    CHECK(files.port == 9001);
    CHECK(files.user == "file-user");
    CHECK(files.link == "lan");
    CHECK(files.geometry == "640x480");

    const Environment environment{
        {"HOME", home.path()}, {"QVDHOST", "of-env:9002"}, {"QVDLOGIN", "env-user"}};
    CHECK(settings_of({}, environment, file).value().host == "of-env");
    CHECK(settings_of({}, environment, file).value().port == 9002);
    CHECK(settings_of({}, environment, file).value().user == "env-user");
    const Settings told =
        settings_of({"-h", "told", "-p", "9003", "-u", "me", "-g", "1x1"}, environment, file)
            .value();
    CHECK(told.host == "told");
    CHECK(told.port == 9003);
    CHECK(told.user == "me");
    CHECK(told.geometry == "1x1");
}

TEST_CASE("a server may be a name, an address, and have a port with it") {
    const auto host = [](const std::string& text) {
        return settings_of({"-u", "me", "-h", text}).value();
    };
    CHECK(host("desk.example.org").port == 8443);
    CHECK(host("desk.example.org:443").port == 443);
    CHECK(host("::1").host == "::1");
    CHECK(host("[::1]").host == "::1");
    CHECK(host("[::1]:443").host == "::1");
    CHECK(host("[::1]:443").port == 443);
}

TEST_CASE("what is missing or no value is refused before anything is tried") {
    CHECK(settings_of({"-u", "me"}).error().code() == "usage.host");
    CHECK(settings_of({"-h", "x"}).error().code() == "usage.user");
    CHECK(settings_of({"-h", "x", "-u", "a:b"}).error().code() == "usage.user");
    CHECK(settings_of({"-h", "x", "-u", "a", "-p", "0"}).error().code() == "usage.port");
    CHECK(settings_of({"-h", "x", "-u", "a", "-g", "wide"}).error().code() == "usage.geometry");
    const qvd::testing::Home home;
    home.write("client.conf", "client.host.port = many\n");
    const auto wrong = settings_of({"-h", "x", "-u", "a"}, {}, home.path() + "/client.conf");
    CHECK(exit_code_of(wrong.error()) == ExitCode::usage);
    CHECK(wrong.error().sentence().find("client.conf:1") != std::string::npos);
}

TEST_CASE("NX options are taken out of their frame") {
    const auto options = [](const std::string& text) {
        return settings_of({"-h", "x", "-u", "a", "-x", text}).value().nxproxy_options;
    };
    CHECK(options("nx/nx,data=0,delta=0,cache=16384,pack=0:0") ==
          "data=0,delta=0,cache=16384,pack=0");
    CHECK(options("media=4713") == "media=4713");
}

TEST_CASE("the keys of the graphical client are no mistakes in a shared file") {
    const qvd::testing::Home home;
    home.write("client.conf",
               "client.audio.enable = 1\nclient.mount.1.remote = /x\n"
               "client.ssl.options.SSL_version = TLSv12\nclient.user.password = x\n");
    const auto settings = settings_of({"-h", "x", "-u", "a"}, {}, home.path() + "/client.conf");
    CHECK(settings.value().warnings.empty());
}

TEST_CASE("a mistyped key of client.conf is told with the nearest one") {
    const auto warning = [](const std::string& line) {
        const qvd::testing::Home home;
        home.write("client.conf", line + "\n");
        const auto settings = settings_of({"-h", "x", "-u", "a"}, {}, home.path() + "/client.conf");
        REQUIRE(settings.value().warnings.size() == 1);
        const std::string text = settings.value().warnings.front();
        return text.substr(text.rfind('/') + 1);
    };
    CHECK(warning("clent.link = lan") ==
          "client.conf:1: there is no key \"clent.link\"; did you mean \"client.link\"?");
    CHECK(warning("client.lnk = lan") ==
          "client.conf:1: there is no key \"client.lnk\"; did you mean \"client.link\"?");
    CHECK(warning("client.ssl.alow_expired = 0") ==
          "client.conf:1: there is no key \"client.ssl.alow_expired\"; did you mean "
          "\"client.ssl.allow_expired\"?");
}
