#include "admin/doctor/farm.hpp"

#include "admin/row.hpp"
#include "base/openssl.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace qvd::admin::doctor {

store::Async<FarmFacts> ask_farm(store::Store& store) {
    FarmFacts facts;
    QVD_CO_TRY(facts.nodes, co_await store.nodes());
    QVD_CO_TRY(facts.osfs, co_await store.osfs());
    QVD_CO_TRY(facts.dis, co_await store.dis());
    QVD_CO_TRY(facts.vms, co_await store.vms());
    QVD_CO_TRY(facts.operators, co_await store.operators());
    QVD_CO_TRY(facts.certificate, co_await store.certificate());
    QVD_CO_TRY(facts.hypervisors,
               co_await store.property_values(std::string(plugin::hypervisor.name)));
    QVD_CO_TRY(facts.unions,
               co_await store.property_values(std::string(plugin::unionfs_type.name)));
    co_return facts;
}

namespace {

// The name under which this machine is registered: nodename, or with the embedded database the
// host name.
std::string own_name(const config::View& view) {
    if (const auto given = view.find(config::nodename)) return *given;
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

constexpr const char* how_to_set = "qa config ssl key=FILE cert=FILE";

Diagnosis check_expiry(const X509& certificate, Timestamp now) {
    std::tm end{};
    ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &end);
    const Timestamp expires = std::chrono::system_clock::from_time_t(::timegm(&end));
    const auto days = std::chrono::duration_cast<std::chrono::days>(expires - now).count();
    const std::string until = "valid until " + local_time(expires);
    if (expires < now)
        return problem("certificate.expiry", "the certificate has expired; it was " + until,
                       how_to_set);
    constexpr int soon = 30;
    const std::string left = "the certificate is " + until + ", " + std::to_string(days) +
                             (days == 1 ? " day" : " days");
    if (days < soon) return warning("certificate.expiry", left, how_to_set);
    return good("certificate.expiry", left);
}

}  // namespace

const store::NodeRecord* own_node(const FarmFacts& farm, const config::View& view) {
    const std::string name = own_name(view);
    const auto found = std::ranges::find_if(
        farm.nodes, [&](const auto& record) { return record.node.name == name; });
    return found == farm.nodes.end() ? nullptr : &*found;
}

Diagnoses check_node(const FarmFacts& farm, const config::View& view, Timestamp now) {
    const std::string name = own_name(view);
    const store::NodeRecord* const own = own_node(farm, view);
    if (own == nullptr)
        return {problem("node.registered", "this machine, " + name + ", is not registered",
                        "qa host add name=" + name + " address=ADDRESS (or set nodename)")};
    Diagnoses diagnoses{
        good("node.registered", "this machine is the host " + name + " at " + own->node.address)};
    const NodeRuntime& runtime = own->runtime;
    std::string state = "its state is " + std::string(to_string(runtime.state));
    if (!runtime.reason.empty()) state += ": " + runtime.reason;
    if (runtime.state == NodeState::running && !runtime.reason.empty())
        diagnoses.push_back(warning("node.state", state, "mend what it names"));
    else if (runtime.state == NodeState::running)
        diagnoses.push_back(good("node.state", state));
    else
        diagnoses.push_back(problem(
            "node.state", state,
            runtime.reason.empty() ? "start it: systemctl start qvd-node" : "mend what it names"));
    if (runtime.seen) {
        const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *runtime.seen);
        const std::string last = "it reported last " + std::to_string(age.count()) + " s ago";
        if (age <= node_silence)
            diagnoses.push_back(good("node.seen", last));
        else
            diagnoses.push_back(
                problem("node.seen", last, "look whether it runs: `qvd-node status`, its log"));
    }
    if (runtime.blocked)
        diagnoses.push_back(warning("node.blocked", "it is blocked: it takes no clients and VMs",
                                    "qa host unblock -f name=" + name));
    return diagnoses;
}

Diagnoses check_certificate(const FarmFacts& farm, bool uses_ssl, Timestamp now) {
    if (!uses_ssl) {
        Diagnoses unsafe{warning("certificate", "l7r.use_ssl is 0: passwords travel in the clear",
                                 "qa config set l7r.use_ssl=1")};
        if (!farm.operators.empty())
            unsafe.push_back(problem("operators",
                                     "there are operators, and nobody lets them in without TLS",
                                     "qa config set l7r.use_ssl=1"));
        return unsafe;
    }
    if (!farm.certificate)
        return {
            problem("certificate", "there is no certificate: clients cannot connect", how_to_set)};
    const auto certificate_bio = openssl::reader_of(farm.certificate->certificate);
    const openssl::Certificate certificate(
        PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
    const auto key_bio = openssl::reader_of(farm.certificate->key.reveal());
    const openssl::Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    if (!certificate || !key)
        return {problem("certificate", "the certificate or its key cannot be read", how_to_set)};
    Diagnoses diagnoses;
    if (X509_check_private_key(certificate.get(), key.get()) == 1) {
        diagnoses.push_back(good("certificate", "there is a certificate, and the key is its key"));
    } else {
        ERR_clear_error();
        diagnoses.push_back(
            problem("certificate", "the key is not that of the certificate", how_to_set));
    }
    diagnoses.push_back(check_expiry(*certificate, now));
    return diagnoses;
}

Diagnoses check_images(const FarmFacts& farm, const std::string& folder) {
    Diagnoses diagnoses;
    std::error_code ignored;
    for (const store::DiRecord& record : farm.dis) {
        const std::string path = folder + "/" + record.di.path;
        if (!std::filesystem::exists(path, ignored))
            diagnoses.push_back(
                problem("image.file",
                        "the file of image " + record.di.id.text() + ", " + path + ", is not there",
                        "put it back, or `qa di del -f id=" + record.di.id.text() + "`"));
    }
    for (const store::OsfRecord& osf : farm.osfs) {
        const bool has_default = std::ranges::any_of(farm.dis, [&](const auto& record) {
            return record.di.osf == osf.osf.id &&
                   std::ranges::any_of(record.di.tags,
                                       [](const DiTag& tag) { return tag.tag == "default"; });
        });
        if (!has_default)
            diagnoses.push_back(warning(
                "image.default", "no image of the osf " + osf.osf.name + " has the tag default",
                "qa di add path=FILE osf=" + osf.osf.name +
                    ", or `qa di tag di_id=ID tag=default`"));
    }
    for (const store::VmRecord& vm : farm.vms)
        if (!vm.di)
            diagnoses.push_back(problem("image.vm",
                                        "the VM " + vm.vm.name + " has no image: no di of " +
                                            vm.osf.name + " has the tag " + vm.vm.di_tag,
                                        "qa vm edit -f id=" + vm.vm.id.text() + " di_tag=TAG"));
    if (diagnoses.empty())
        diagnoses.push_back(good("images", std::to_string(farm.dis.size()) + " images, " +
                                               std::to_string(farm.vms.size()) +
                                               " VMs: each has what it needs"));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
