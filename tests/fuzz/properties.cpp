// Any text is a properties file or an error that names its place.
#include "config/properties.hpp"

#include "tests/fuzz/target.hpp"

#include <cstdlib>

int qvd_fuzz_one(std::string_view bytes) {
    const auto properties = qvd::config::Properties::parse(bytes, "fuzz.conf");
    if (!properties.ok()) {
        if (properties.error().sentence().find("fuzz.conf") == std::string::npos) std::abort();
        return 0;
    }
    for (const auto& [key, entry] : properties->entries()) {
        if (key.empty() || !entry.where.starts_with("fuzz.conf:")) std::abort();
        if (entry.value.size() > qvd::config::Properties::value_limit) std::abort();
    }
    return 0;
}
