#include "config/logging.hpp"

#include "base/text.hpp"
#include "config/keys.hpp"

#include <algorithm>

namespace qvd::config {

Result<log::Target> log_target(const View& view, std::string_view program, std::string_view role) {
    log::Target target;
    target.program = program;
    target.role = role;
    std::string level = view.get(log_level);
    target.syslog = view.find(log4perl_syslog).has_value();
    if (const auto root = view.find(log4perl_root_logger)) {
        const auto words = text::split_list(*root);
        if (!words.empty()) level = words.front();
        target.syslog = std::ranges::count(words, "SYSLOG") != 0;
    }
    if (!target.syslog) target.file = view.get(log_filename);
    auto parsed = log::parse_level(level);
    if (!parsed.ok()) return parsed.error().within(log4perl_root_logger.name);
    target.level = *parsed;
    return target;
}

}  // namespace qvd::config
