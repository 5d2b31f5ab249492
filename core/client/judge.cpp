#include "client/judge.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "client/accepted_certificates.hpp"

namespace qvd::client {
namespace {

std::string list_of_problems(const PeerCertificate& peer, std::string_view between) {
    std::vector<std::string> sentences;
    for (const CertificateProblem& problem : peer.problems) sentences.push_back(problem.sentence);
    return text::join(sentences, between);
}

Error refused(const std::string& server, const std::string& why) {
    return {ErrorKind::denied, "certificate.refused",
            "the certificate of " + server + " is not accepted: " + why};
}

std::string question_about(const std::string& server, const PeerCertificate& peer) {
    return "The server " + server + " cannot prove who it is:\n  - " +
           list_of_problems(peer, "\n  - ") + "\n  certificate of  " + peer.subject +
           "\n  issued by       " + peer.issuer + "\n  valid           " + peer.valid_from +
           " to " + peer.valid_until + "\n  SHA-256         " + peer.fingerprint +
           "\nSomebody may be listening between you and it. Compare the SHA-256 with your "
           "administrator's.\nAccept it? [once / always / no] ";
}

}  // namespace

Result<void> CertificateJudge::judge(const std::string& server, const PeerCertificate& peer) {
    if (!policy_.strict) return {};
    if (peer.fingerprint.empty()) return refused(server, "the server has none");
    if (peer.problems.empty() || accepted_now_.contains(peer.fingerprint)) return {};
    for (const CertificateProblem& problem : peer.problems)
        if (policy_.never.contains(problem.kind))
            return refused(server, problem.sentence + " (client.ssl.allow_" +
                                       std::string(to_string(problem.kind)) + " = 0)");
    QVD_TRY(const AcceptedCertificates accepted, AcceptedCertificates::read(policy_.accepted_file));
    if (accepted.covers(server, peer.fingerprint, peer.problem_numbers())) return {};
    if (!person_.present())
        return refused(server, list_of_problems(peer, "; ") + "; SHA-256 " + peer.fingerprint +
                                   " (run it on a terminal to accept this certificate, put its "
                                   "authority into ~/.qvd/certs, or use -n)");
    return ask(server, peer);
}

Result<void> CertificateJudge::ask(const std::string& server, const PeerCertificate& peer) {
    std::string question = question_about(server, peer);
    for (int attempt = 0; attempt < 3; ++attempt) {
        QVD_TRY(const std::string line, person_.ask(question));
        const std::string answer = text::lower(text::trim(line));
        if (answer == "no" || answer == "n") return refused(server, "you said no");
        if (answer == "once" || answer == "o" || answer == "always" || answer == "a") {
            accepted_now_.insert(peer.fingerprint);
            log::info("certificate.accepted", {{"server", server}, {"sha256", peer.fingerprint}},
                      "the user accepted the certificate");
            if (answer.starts_with('o')) return {};
            QVD_TRY(AcceptedCertificates accepted,
                    AcceptedCertificates::read(policy_.accepted_file));
            return accepted.accept(server, peer.fingerprint, peer.problem_numbers());
        }
        question = "Please answer once, always or no: ";
    }
    return refused(server, "no clear answer");
}

}  // namespace qvd::client
