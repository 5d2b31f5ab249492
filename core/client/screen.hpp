// What the user's X display is like.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace qvd::client {

struct Screen {
    std::string geometry;  // WxH of the default screen
    std::string keyboard;  // "pc105/es", from the display's keyboard rules; empty if it tells none
};

// Connects once and asks. `display` as in DISPLAY. Errors: display.missing, display.unreachable.
Result<Screen> examine_screen(const std::string& display);

// "model/layout" of the property _XKB_RULES_NAMES: rules, model, layout, variant, options, each
// ended by a zero byte. Of several layouts the first. Empty if model or layout is missing or not
// of [A-Za-z0-9_+-].
[[nodiscard]] std::string keyboard_of_rules(std::string_view property);

}  // namespace qvd::client
