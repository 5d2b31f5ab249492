// Works out the value that holds for each key; the inside of View.
#pragma once

#include "config/view.hpp"

#include <set>

namespace qvd::config {

// The layers, from the strongest to the weakest.
struct Layers {
    const KeySet& keys;
    const View::Values& database;
    const Properties& file;
};

class Expansion {
public:
    explicit Expansion(const Layers& layers) : layers_(layers) {}

    // The setting of a declared key; with nothing as value where no layer has a good one.
    Setting settle(const std::string& name, const Declaration& declaration);

    [[nodiscard]] std::vector<Finding> take_findings() { return std::move(findings_); }
    // Keys whose value in the database was turned down.
    [[nodiscard]] const std::set<std::string>& rejected() const { return rejected_; }
    // Keys that some layer gives, but none gives well.
    [[nodiscard]] const std::set<std::string>& failed() const { return failed_; }

    // `text` with each `${name}` replaced; `files_only` leaves the database out.
    Result<std::string> expand(std::string_view text, bool files_only);

private:
    struct Candidate {
        std::string name;  // the key's, or an alias of it
        std::string text;
        Origin origin;
        std::string where;
    };
    struct Resolved {
        std::optional<std::string> value;
        Origin origin = Origin::fallback;
        std::string where;
    };
    using Name = std::pair<std::string, bool>;  // key, files_only

    const Resolved& resolve(const std::string& name, bool files_only);
    [[nodiscard]] std::vector<Candidate> candidates(const std::string& name, bool files_only) const;
    Result<std::string> try_candidate(const std::string& name, const Candidate& candidate,
                                      bool files_only);
    void report(Finding finding);
    Result<std::string> reference(const std::string& name, bool files_only);

    Layers layers_;
    std::map<Name, Resolved> done_;
    std::set<Name> open_;  // being resolved: meeting one again is a circle
    std::vector<Finding> findings_;
    std::set<std::string> rejected_;
    std::set<std::string> failed_;
};

// Whether a ${ in `text` lacks its }.
bool has_open_reference(std::string_view text);

}  // namespace qvd::config
