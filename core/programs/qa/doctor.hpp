// qa doctor: why a node does not work.
#pragma once

#include "command_line.hpp"

namespace qvd::qa {

// Checks this machine and prints what it found; gives the exit status: 0 nothing is wrong (there
// may be warnings), 1 something is, 2 wrong usage. Starts and changes nothing.
int doctor(const CommandLine& line);

}  // namespace qvd::qa
