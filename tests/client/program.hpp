// Runs the real qvdclient, on pipes or on a terminal.
#pragma once

#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace qvd::testing {

struct Outcome {
    int exit_code = -1;
    std::string out;
    std::string err;  // on a terminal everything is in `out`
};

// A home of its own, removed at the end.
class Home {
public:
    Home();
    ~Home();
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    // Writes a file below the home, with its folders.
    void write(const std::string& name, const std::string& content) const;

private:
    std::string path_;
};

class Program {
public:
    using Environment = std::map<std::string, std::string>;

    // Starts it with nothing but HOME, PATH and `environment`.
    Program(const Home& home, const std::vector<std::string>& arguments, Environment environment,
            bool on_terminal = false);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    void type(const std::string& text);
    void close_input();
    // Until `text` has been printed; false when 20 s are over or the program has ended before.
    bool prints(const std::string& text);
    // Waits for its end, 20 s at the longest, then kills it.
    Outcome finish();

private:
    bool read_some();

    pid_t pid_ = 0;
    UniqueFd input_;
    UniqueFd output_;
    UniqueFd errors_;
    Outcome outcome_;
};

}  // namespace qvd::testing
