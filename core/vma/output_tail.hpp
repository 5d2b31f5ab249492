// Follows a growing log file line by line. The session writes to a file and not to a pipe so that
// it outlives the agent.
#pragma once

#include "base/result.hpp"
#include "vma/loop.hpp"

#include <string>
#include <string_view>

namespace qvd::vma {

class OutputTail {
public:
    using OnLine = std::function<void(std::string_view line)>;

    OutputTail(Loop& loop, OnLine on_line) : loop_(loop), on_line_(std::move(on_line)) {}
    OutputTail(const OutputTail&) = delete;
    OutputTail& operator=(const OutputTail&) = delete;
    ~OutputTail() { close(); }

    // The size of the file now, made if it is missing; a long one is put aside as `path`.1 first.
    // Only before a session, never under one. Errors: vma.log.
    static Result<off_t> prepare(const std::string& path);

    // Calls on_line for each line from `offset` on; what is there already, from the next turn of
    // the loop. Errors: vma.log.
    Result<void> follow(const std::string& path, off_t offset);
    // Takes what has been written since, now.
    void catch_up();
    void close();
    // Behind the last line that was taken.
    [[nodiscard]] off_t offset() const { return taken_; }

private:
    void read_some();
    void take_lines(std::string_view bytes);
    void free_space();

    Loop& loop_;
    OnLine on_line_;
    UniqueFd file_;
    UniqueFd notify_;
    Loop::Handle watch_ = 0;
    Loop::Handle timer_ = 0;
    off_t read_ = 0;   // how far the file is read
    off_t taken_ = 0;  // how far its lines are taken
    off_t freed_ = 0;  // how far its space is given back
    std::string rest_;
    bool skipping_ = false;  // the rest of a line that is too long
};

}  // namespace qvd::vma
