// What the tests of the agent share: a folder of their own, the loop, and settings that touch
// nothing of the machine.
#pragma once

#include "base/file.hpp"
#include "vma/keys.hpp"
#include "vma/process.hpp"

#include <filesystem>
#include <fstream>

namespace qvd::vma::testing {

class Folder {
public:
    Folder() {
        std::string name = "/tmp/qvd-vma-test-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path_ = name;
        std::filesystem::permissions(path_, std::filesystem::perms(0755));
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string at(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }
    std::string write(std::string_view name, std::string_view content, unsigned mode = 0644) const {
        std::ofstream(at(name)) << content;
        std::filesystem::permissions(at(name), std::filesystem::perms(mode));
        return at(name);
    }
    [[nodiscard]] std::string read(std::string_view name) const {
        return file::read(at(name)).value_or("");
    }
    // Whether the file has `words` behind the last `since`.
    [[nodiscard]] bool says(std::string_view name, std::string_view words,
                            std::string_view since) const {
        const std::string all = read(name);
        return all.find(words, all.rfind(since)) != std::string::npos;
    }

private:
    std::string path_;
};

struct Workshop {
    Folder folder;
    Loop loop{SIGCHLD};
    Processes processes{loop};
    Settings settings;

    Workshop() {
        settings = read_settings(config::View(key_set(), {})).value();
        settings.run_folder = folder.at("run");
        settings.log_folder = folder.at("log");
        settings.nxagent_config = folder.at("run/nxagent.conf");
        settings.slave_config = folder.at("run/slave.conf");
        settings.home_path = folder.at("home");
        settings.home_drive.clear();
        settings.token_file = folder.at("token");
        settings.plugin_folder = folder.at("plugins");
        for (const char* name : {"run", "log", "home", "plugins"})
            std::filesystem::create_directory(folder.at(name));
    }

    // Turns the loop until the task has an answer, or 20 s are over.
    template <class T>
    T finish(Task<T> task) {
        std::optional<T> got;
        loop.start(keep(std::move(task), got));
        const SteadyClock clock;
        const Deadline deadline = Deadline::in(clock, Milliseconds{20'000});
        while (!got && !deadline.passed()) loop.turn(deadline.remaining());
        if (!got) throw std::runtime_error("the task does not come to an end");
        return std::move(*got);
    }

    // Turns the loop until `condition` holds; false if it does not within 20 s.
    template <class Condition>
    bool until(Condition condition) {
        const SteadyClock clock;
        const Deadline deadline = Deadline::in(clock, Milliseconds{20'000});
        while (!condition() && !deadline.passed()) loop.turn(Milliseconds{20});
        return condition();
    }

private:
    template <class T>
    static Task<void> keep(Task<T> task, std::optional<T>& got) {
        got.emplace(co_await std::move(task));
    }
};

}  // namespace qvd::vma::testing
