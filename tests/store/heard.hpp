// What a store announces, as a test waits for it.
#pragma once

#include "bench.hpp"

#include <algorithm>
#include <vector>

namespace qvd::store::test {

struct Heard {
    using What = Announcement::What;

    explicit Heard(Bench& the_bench) : bench(the_bench) {
        token = bench.store().listen(
            [this](const Announcement& announcement) { all.push_back(announcement); });
        await(What::everything);
    }
    Heard(const Heard&) = delete;
    Heard& operator=(const Heard&) = delete;
    ~Heard() = default;

    // The next announcement of that kind; those before it are dropped.
    Announcement await(What what) {
        Announcement found;
        bench.turn_until([&] {
            const auto at = std::ranges::find(all, what, &Announcement::what);
            if (at == all.end()) return false;
            found = *at;
            all.erase(all.begin(), at + 1);
            return true;
        });
        return found;
    }
    // How many of that kind there have been since the last time that anybody waited here.
    std::ptrdiff_t count(What what) {
        // Announcements come in the order of what they announce: this one is the last.
        bench.must(bench.store().set_configuration({{"last", "one"}}));
        bench.turn_until(
            [&] { return std::ranges::count(all, What::configuration, &Announcement::what) > 0; });
        const auto found = std::ranges::count(all, what, &Announcement::what);
        all.clear();
        return found;
    }

    Bench& bench;
    std::vector<Announcement> all;
    Store::Token token;
};

}  // namespace qvd::store::test
