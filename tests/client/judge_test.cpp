#include "client/judge.hpp"

#include "client/accepted_certificates.hpp"
#include "client/screen.hpp"
#include "client/vm_list.hpp"
#include "tests/client/program.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <vector>

using namespace qvd::client;

namespace {

class Answering final : public Person {
public:
    explicit Answering(std::vector<std::string> answers) : answers_(std::move(answers)) {}
    [[nodiscard]] bool present() const override { return true; }
    qvd::Result<std::string> ask(const std::string& question) override {
        questions.push_back(question);
        return answers_.at(questions.size() - 1);
    }
    qvd::Result<qvd::Secret> ask_hidden(const std::string& question) override {
        return qvd::Secret{question};
    }

    std::vector<std::string> questions;

private:
    std::vector<std::string> answers_;
};

class Nobody final : public Person {
public:
    [[nodiscard]] bool present() const override { return false; }
    qvd::Result<std::string> ask(const std::string& question) override {
        return qvd::Error{qvd::ErrorKind::internal, "asked", question};
    }
    qvd::Result<qvd::Secret> ask_hidden(const std::string& question) override {
        return qvd::Error{qvd::ErrorKind::internal, "asked", question};
    }
};

PeerCertificate doubtful() {
    return {"ab12",
            "CN = node",
            "CN = node",
            "then",
            "later",
            {{18, ProblemKind::untrusted, "self-signed certificate"},
             {10, ProblemKind::expired, "certificate has expired"}}};
}

}  // namespace

TEST_CASE("all problems are in one question, and yes once lasts for this run only") {
    const qvd::testing::Home home;
    Answering person{{"what?", "once"}};
    CertificateJudge judge{{true, {}, home.path() + "/accepted.json"}, person};
    CHECK(judge.judge("node:8443", doubtful()).ok());
    CHECK(judge.judge("node:8443", doubtful()).ok());
    REQUIRE(person.questions.size() == 2);
    for (const char* part : {"self-signed certificate", "certificate has expired", "ab12", "once"})
        CHECK(person.questions[0].find(part) != std::string::npos);
    Nobody nobody;
    CertificateJudge next_run{{true, {}, home.path() + "/accepted.json"}, nobody};
    CHECK(next_run.judge("node:8443", doubtful()).error().code() == "certificate.refused");
}

TEST_CASE("yes for good holds for that server, that certificate and those problems") {
    const qvd::testing::Home home;
    const std::string file = home.path() + "/.qvd/accepted.json";
    Answering person{{"always"}};
    CHECK(CertificateJudge({true, {}, file}, person).judge("node:8443", doubtful()).ok());
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0600U);

    Nobody nobody;
    CertificateJudge later{{true, {}, file}, nobody};
    CHECK(later.judge("node:8443", doubtful()).ok());
    CHECK_FALSE(later.judge("other:8443", doubtful()).ok());
    PeerCertificate other = doubtful();
    other.fingerprint = "cd34";
    CHECK_FALSE(later.judge("node:8443", other).ok());
    PeerCertificate worse = doubtful();
    worse.problems.push_back({62, ProblemKind::bad_host, "hostname mismatch"});
    CHECK_FALSE(later.judge("node:8443", worse).ok());
}

TEST_CASE("no, silence and nonsense refuse the certificate") {
    const qvd::testing::Home home;
    const CertificatePolicy policy{true, {}, home.path() + "/a.json"};
    Answering no{{"no"}};
    CHECK(CertificateJudge(policy, no).judge("n:1", doubtful()).error().code() ==
          "certificate.refused");
    Answering nonsense{{"", "yes", "y"}};
    CHECK_FALSE(CertificateJudge(policy, nonsense).judge("n:1", doubtful()).ok());
    Nobody nobody;
    const auto refused = CertificateJudge(policy, nobody).judge("n:1", doubtful());
    CHECK(refused.error().sentence().find("certificate has expired") != std::string::npos);
}

TEST_CASE("what the configuration forbids is not even asked, and -n asks nothing") {
    Answering nobody_asks{{}};
    const CertificatePolicy strict{true, {ProblemKind::expired}, "/nonexistent/a.json"};
    const auto refused = CertificateJudge(strict, nobody_asks).judge("n:1", doubtful());
    CHECK(refused.error().sentence().find("client.ssl.allow_expired = 0") != std::string::npos);
    const CertificatePolicy lax{false, {ProblemKind::expired}, "/nonexistent/a.json"};
    CHECK(CertificateJudge(lax, nobody_asks).judge("n:1", doubtful()).ok());
    CHECK(nobody_asks.questions.empty());
}

TEST_CASE("a list of accepted certificates that is damaged is never taken as empty") {
    const qvd::testing::Home home;
    home.write("a.json", "{\"certificates\": 7}");
    CHECK(AcceptedCertificates::read(home.path() + "/a.json").error().code() ==
          "config.accepted_certificates");
    home.write("a.json", "garbage");
    CHECK_FALSE(AcceptedCertificates::read(home.path() + "/a.json").ok());
}

TEST_CASE("the list of machines is read as servers of any version write it") {
    const auto vms = parse_vm_list(
        R"([{"id": 3, "name": "desk", "state": "running", "blocked": 0, "is_application": 0},
            {"id": 4, "name": "lab", "state": "stopped", "blocked": 1},
            {"id": 5, "name": "odd\u001b[2J", "state": null, "blocked": null}])");
    REQUIRE(vms.value().size() == 3);
    CHECK(vms.value()[0].name == "desk");
    CHECK(vms.value()[1].blocked);
    CHECK(vms.value()[2].name == "odd [2J");
    CHECK(parse_vm_list("[]").value().empty());
    for (const char* wrong : {"{}", "[1]", R"([{"id": "7"}])", R"([{"name": "x"}])", "oops", ""})
        CHECK_MESSAGE(parse_vm_list(wrong).error().code() == "server.protocol", wrong);
}

TEST_CASE("the machine is the wanted, the only, the first or the picked one") {
    const std::vector<OfferedVm> two{{3, "desk", "running", false}, {4, "lab", "stopped", false}};
    Nobody nobody;
    CHECK(choose_vm(two, {4, false}, nobody).value().name == "lab");
    CHECK(choose_vm(two, {std::nullopt, true}, nobody).value().name == "desk");
    CHECK(choose_vm({two[1]}, {}, nobody).value().name == "lab");
    CHECK(choose_vm(two, {9, false}, nobody).error().code() == "vm.unknown");
    CHECK(choose_vm(two, {}, nobody).error().code() == "vm.ambiguous");
    CHECK(choose_vm({}, {}, nobody).error().code() == "vm.none");
    Answering person{{" 4 "}};
    CHECK(choose_vm(two, {}, person).value().name == "lab");
    CHECK(person.questions[0].find("desk") != std::string::npos);
    Answering confused{{"lab"}};
    CHECK(choose_vm(two, {}, confused).error().code() == "vm.unknown");
}

TEST_CASE("the keyboard is the first layout of the display's rules") {
    using namespace std::string_literals;
    CHECK(keyboard_of_rules("evdev\0pc105\0es\0\0\0"s) == "pc105/es");
    CHECK(keyboard_of_rules("evdev\0pc105\0us,ru\0,\0\0"s) == "pc105/us");
    CHECK(keyboard_of_rules(""s).empty());
    CHECK(keyboard_of_rules("evdev\0pc105\0"s).empty());
    CHECK(keyboard_of_rules("evdev\0pc 105\0us\0\0\0"s).empty());
}
