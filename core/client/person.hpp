// The person at the terminal, if there is one.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <string>

namespace qvd::client {

class Person {
public:
    Person() = default;
    Person(const Person&) = delete;
    Person& operator=(const Person&) = delete;
    virtual ~Person() = default;

    // Somebody is there who can answer.
    [[nodiscard]] virtual bool present() const = 0;
    // Shows the question and waits for one line. Errors: stopped, usage.no_terminal.
    virtual Result<std::string> ask(const std::string& question) = 0;
    // As ask(), without showing what is typed.
    virtual Result<Secret> ask_hidden(const std::string& question) = 0;
};

// Asks on the controlling terminal, whatever standard input and output are.
class Terminal final : public Person {
public:
    // Not `allowed` (batch, --json): nobody is present. `stop_fd` ends a question early, -1:
    // nothing.
    Terminal(bool allowed, int stop_fd);

    [[nodiscard]] bool present() const override { return present_; }
    Result<std::string> ask(const std::string& question) override;
    Result<Secret> ask_hidden(const std::string& question) override;

private:
    bool present_;
    int stop_fd_;
};

// One line of standard input without its end. Errors: usage.no_password, stopped.
Result<Secret> read_secret_line(int fd, int stop_fd);

}  // namespace qvd::client
