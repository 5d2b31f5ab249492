// What nxagent asks instead of its user.
#pragma once

namespace qvd::vma {

// nxagent runs $NX_CLIENT with these arguments when it would show a dialog: because the client does
// not answer, or because its window was closed. There is nobody to ask, so the session is
// suspended, whole and ready for the next client; only the pulldown menu is none of that. True if
// the arguments are such a call; it has been dealt with then.
bool answer_dialog(int argc, const char* const* argv);

}  // namespace qvd::vma
