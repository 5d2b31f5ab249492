#include "vma/nxdiag.hpp"

#include <unistd.h>

#include <csignal>
#include <string_view>

namespace qvd::vma {

bool answer_dialog(int argc, const char* const* argv) {
    for (int i = 1; i + 1 < argc; ++i) {
        const std::string_view option = argv[i];
        if (option != "-dialog" && option != "--dialog") continue;
        // As the session's user: nobody but its own nxagent can be hit.
        if (std::string_view(argv[i + 1]) != "pulldown" && ::getuid() != 0)
            ::kill(::getppid(), SIGHUP);
        return true;
    }
    return false;
}

}  // namespace qvd::vma
