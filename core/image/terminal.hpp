// Running a program that a person sees, or works in.
#pragma once

#include "image/command.hpp"

namespace qvd::image {

// Whether somebody sits at standard input and output.
[[nodiscard]] bool person_is_there();

// Standard input, output and error are ours; without a person both outputs go to standard error,
// which leaves standard output to our caller. Waits for its end; the terminal is then as it was.
// Gives the exit status, 128 and more for a signal. Errors: image.tool; cancelled "stopped".
Result<int> run_at_terminal(const Command& command, bool person);

}  // namespace qvd::image
