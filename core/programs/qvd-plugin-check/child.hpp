// Code of a plugin runs in a child process: a crash or a hang of it is a sentence, not our end.
#pragma once

#include "report.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace qvd::check {

// The child's end: what it finds goes to the parent at once, so that a crash loses nothing.
class Messenger {
public:
    Messenger(int fd, Level level) : fd_(fd), level_(level) {}

    // From now on findings are of this level.
    void enter(Level level);
    // What is about to be done: a crash or a hang is blamed on it. Restarts the time-out.
    void step(const std::string& what);
    void error(const std::string& sentence);
    void warning(const std::string& sentence);
    void skipped(const std::string& sentence);
    // The level has nothing to do for this plugin.
    void not_applicable();
    // Text for standard output.
    void output(const std::string& text);

    [[nodiscard]] bool failed() const { return failed_; }

private:
    void send(char kind, const std::string& text) const;

    int fd_;
    Level level_;
    bool failed_ = false;
};

struct Received {
    std::vector<Finding> findings;
    std::string output;
    bool applicable = true;
};

// Runs `work` in a child; `limit` is how long one step may take.
Received in_child(Level level, std::chrono::seconds limit,
                  const std::function<void(Messenger&)>& work);

}  // namespace qvd::check
