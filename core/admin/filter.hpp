// The filters of `qa`: key=value[,key=value...], all of which must hold; `*` and `?` in values are
// wildcards (manual 5.2, behaviour 6.2).
#pragma once

#include "admin/row.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qvd::admin {

class Filter {
public:
    // invalid "filter.syntax" for a part without "=" or an empty key.
    static Result<Filter> parse(const std::vector<std::string>& texts);

    [[nodiscard]] bool empty() const { return terms_.empty(); }
    // invalid "filter.key" for a key that rows of this kind do not have; names the ones they have.
    [[nodiscard]] Result<void> check_keys(const Row& row) const;
    // As a table shows it, a value may be given, too: `yes` of a truth, `-` of what is missing.
    [[nodiscard]] bool matches(const Row& row, const Properties& properties) const;
    // Some term is about a property, so that properties must be read.
    [[nodiscard]] bool needs_properties() const;

private:
    std::vector<std::pair<std::string, std::string>> terms_;
};

}  // namespace qvd::admin
