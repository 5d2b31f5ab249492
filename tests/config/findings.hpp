// What a view says of its file.
#pragma once

#include "config/view.hpp"

#include <string>

namespace qvd::config::test {

// What check() refuses; empty: nothing.
inline std::string complaint(const View& view) {
    const auto checked = view.check();
    return checked.ok() ? std::string() : checked.error().sentence();
}

// Whether there is a warning of exactly these words.
inline bool warns(const View& view, std::string_view sentence) {
    for (const Finding& finding : view.findings())
        if (finding.severity == Finding::Severity::warning && finding.text() == sentence)
            return true;
    return false;
}

}  // namespace qvd::config::test
