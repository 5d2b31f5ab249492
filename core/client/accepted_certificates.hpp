// ~/.qvd/accepted_certs.json: certificates that the user accepted for good although something is
// wrong with them. An entry holds for one server, one certificate and the problems seen then.
#pragma once

#include "base/result.hpp"

#include <set>
#include <string>
#include <vector>

namespace qvd::client {

class AcceptedCertificates {
public:
    // A missing file is an empty list. Errors: config.accepted_certificates, file.*.
    static Result<AcceptedCertificates> read(const std::string& path);

    // Whether the user accepted all of `problems` of this certificate on `server` ("host:port").
    [[nodiscard]] bool covers(const std::string& server, const std::string& fingerprint,
                              const std::set<int>& problems) const;
    // Adds or replaces the entry, and writes the file, readable by its owner only. Errors: file.*.
    Result<void> accept(const std::string& server, const std::string& fingerprint,
                        const std::set<int>& problems);

private:
    struct Entry {
        std::string server;
        std::string fingerprint;
        std::set<int> problems;
    };

    explicit AcceptedCertificates(std::string path) : path_(std::move(path)) {}
    [[nodiscard]] std::string as_json() const;

    std::string path_;
    std::vector<Entry> entries_;
};

}  // namespace qvd::client
