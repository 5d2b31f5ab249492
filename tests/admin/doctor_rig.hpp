// What the tests of the doctor's checks of a machine begin with: a folder that stands for /proc,
// /sys and /dev, and a process that lacks something.
#pragma once

#include "admin/doctor/checks.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "store/keys.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace qvd::admin::doctor::test {

class Folder {
public:
    Folder() {
        char name[] = "/tmp/qvd-machine-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string at(const std::string& below) const { return path_ + "/" + below; }
    std::string write(const std::string& below, const std::string& text,
                      unsigned mode = 0644) const {
        std::filesystem::create_directories(std::filesystem::path(at(below)).parent_path());
        std::ofstream(at(below)) << text;
        REQUIRE(::chmod(at(below).c_str(), mode) == 0);
        return at(below);
    }
    [[nodiscard]] Machine machine() const {
        return {at("proc"), at("sys"), at("dev"), at("usr"), at("run")};
    }

private:
    std::string path_;
};

using TextKey = config::Key<std::string>;

// The supervisor's keys, of a room above, are declared as far as they are read here.
inline config::View view_of(const std::string& text) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    hkd::declare(*keys);
    store::declare(*keys);
    keys->add(TextKey{"l7r.port", "8443", "", ""}, TextKey{"l7r.address", "*", "", ""},
              TextKey{"internal.node.l7r.user", "nosuchworker", "", ""},
              TextKey{"internal.node.broker.user", "root", "", ""});
    return {keys, config::Properties::parse(text, "node.conf").value()};
}

inline Diagnosis named(const Diagnoses& diagnoses, const std::string& name) {
    const auto found = std::ranges::find(diagnoses, name, &Diagnosis::name);
    if (found != diagnoses.end()) return *found;
    return problem(name, "there is no such diagnosis", "");
}

// In a child, for what cannot be undone. Nothing is found where `prepare` does not succeed.
template <class Prepare, class Check>
Diagnoses apart(Prepare prepare, Check check) {
    return in_child("apart", [&]() -> Diagnoses {
        if (!prepare()) return {};
        return check();
    });
}

inline bool own_mounts() {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

inline bool without_capabilities() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    return ::syscall(SYS_capset, &head, none) == 0;
}

#define NEEDS_ROOT()                             \
    if (::geteuid() != 0) {                      \
        qvd::test::skip("this check asks root"); \
        return;                                  \
    }

inline void says(const Diagnosis& one, Level level, const std::string& sentence) {
    CHECK_MESSAGE(one.level == level, one.name << ": " << one.sentence);
    CHECK_MESSAGE(one.sentence.find(sentence) != std::string::npos, one.sentence);
    CHECK(one.advice.empty() == (level == Level::good));
}

}  // namespace qvd::admin::doctor::test
