// A VM's console on this terminal.
#pragma once

#include "admin/node_channel.hpp"

#include <termios.h>

namespace qvd::qa {

// What leaves a console: Ctrl-].
inline constexpr char escape_key = 0x1D;

// Standard input as a VM's console needs it: every key at once and unseen. When it goes, the
// terminal is as it was, and what a program in the VM may have left switched on is off again.
// Where standard input is no terminal, nothing happens.
class RawTerminal {
public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    [[nodiscard]] bool is_there() const { return changed_; }

private:
    termios before_{};
    bool changed_ = false;
};

enum class ConsoleEnd { left, vm_closed, broke, stopped };

// Carries bytes between standard input and output and the stream until one side ends. `leaves`: the
// escape key ends it. The end of standard input is no end: the VM may still have something to say.
ConsoleEnd carry_console(admin::NodeStream& stream, bool leaves, int stop_fd);

}  // namespace qvd::qa
