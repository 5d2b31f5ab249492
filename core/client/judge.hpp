// Whether a server's certificate will do: by itself, because the user accepted it, or because the
// user is asked now.
#pragma once

#include "client/certificate.hpp"
#include "client/person.hpp"

#include <set>
#include <string>

namespace qvd::client {

struct CertificatePolicy {
    bool strict = true;           // false: take whatever comes (-n)
    std::set<ProblemKind> never;  // kinds that nobody may accept (client.ssl.allow_* = 0)
    std::string accepted_file;    // ~/.qvd/accepted_certs.json
};

class CertificateJudge {
public:
    CertificateJudge(CertificatePolicy policy, Person& person)
        : policy_(std::move(policy)), person_(person) {}

    // `server` is "host:port". Asks at most once for one certificate. Errors: certificate.refused,
    // stopped, config.accepted_certificates, file.*.
    Result<void> judge(const std::string& server, const PeerCertificate& peer);

private:
    Result<void> ask(const std::string& server, const PeerCertificate& peer);

    CertificatePolicy policy_;
    Person& person_;
    std::set<std::string> accepted_now_;  // fingerprints
};

}  // namespace qvd::client
