#include "hkd/collector/ledger.hpp"

#include "base/text.hpp"

namespace qvd::hkd {

void Ledger::read(std::string_view text) {
    for (const std::string& line : text::split(text, '\n')) {
        const std::size_t blank = line.find(' ');
        if (blank == std::string::npos) continue;
        const auto seconds = text::to_integer(std::string_view(line).substr(0, blank));
        if (seconds && *seconds > 0)
            since_[line.substr(blank + 1)] = std::chrono::system_clock::from_time_t(*seconds);
    }
}

std::string Ledger::text() const {
    std::string text;
    for (const auto& [path, since] : since_)
        if (path.find('\n') == std::string::npos)
            text += std::to_string(std::chrono::system_clock::to_time_t(since)) + " " + path + "\n";
    return text;
}

void Ledger::note(const std::set<std::string>& unneeded, Timestamp now) {
    std::erase_if(since_, [&unneeded](const auto& one) { return !unneeded.contains(one.first); });
    for (const std::string& path : unneeded) {
        const auto [entry, added] = since_.try_emplace(path, now);
        // A clock that was set back must not keep things for ever.
        if (!added && entry->second > now) entry->second = now;
    }
}

Timestamp Ledger::since(const std::string& path, Timestamp now) const {
    const auto found = since_.find(path);
    return found == since_.end() ? now : found->second;
}

}  // namespace qvd::hkd
