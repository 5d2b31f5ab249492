// Starting the process that liblxc runs the container in.
#pragma once

#include "common/fields.hpp"
#include "common/unique_fd.hpp"

#include <sys/types.h>

#include <string>
#include <string_view>

namespace qvd::lxc {

struct Launched {
    pid_t pid = -1;   // -1: it could not be started, see sentence
    UniqueFd report;  // reads what it has to say, until it has ended
    std::string sentence;
};

// Runs order.get("runner") with the order on its standard input and a pipe for its report as
// descriptor 3.
Launched launch_container(const Fields& order);

// One line for the core's log, on standard error.
void complain(std::string_view sentence);

}  // namespace qvd::lxc
