#include "tests/net/certificates.hpp"

#include "base/openssl.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace qvd::test {

namespace {

using openssl::Bio;
using openssl::Certificate;
using openssl::Crl;
using openssl::Key;

constexpr long day = 86'400;

Key new_key() {
    Key key(EVP_EC_gen("P-256"));
    if (!key) throw std::runtime_error("no key");
    return key;
}

std::string text_of(const Bio& bio) {
    char* bytes = nullptr;
    const long length = BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<std::size_t>(length)};
}

std::string pem(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return text_of(bio);
}

std::string pem(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(bio);
}

void set_name(X509_NAME* name, const std::string& text) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
}

Certificate draft(const std::string& name, long serial, EVP_PKEY* key) {
    Certificate certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -day);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 30 * day);
    X509_set_pubkey(certificate.get(), key);
    set_name(X509_get_subject_name(certificate.get()), name);
    return certificate;
}

void add_extension(X509* certificate, int id, const char* value) {
    const openssl::Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, id, value));
    X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

Identity self_signed(const std::string& name) {
    const Key key = new_key();
    const Certificate certificate = draft(name, 1, key.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    return {pem(certificate.get()), pem(key.get())};
}

struct Authority::Keys {
    Key key;
    Certificate certificate;
};

Authority::Authority() : keys_(std::make_unique<Keys>()) {
    keys_->key = new_key();
    keys_->certificate = draft("Test Authority", 1, keys_->key.get());
    X509* const certificate = keys_->certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate, keys_->key.get(), EVP_sha256());
    certificate_ = pem(certificate);
}

Authority::~Authority() = default;

Identity Authority::issue(const std::string& name, long serial) const {
    const Key key = new_key();
    const Certificate certificate = draft(name, serial, key.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(keys_->certificate.get()));
    X509_sign(certificate.get(), keys_->key.get(), EVP_sha256());
    return {pem(certificate.get()), pem(key.get())};
}

std::string Authority::revoke(const std::vector<long>& serials) const {
    const Crl crl(X509_CRL_new());
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(keys_->certificate.get()));
    const openssl::Time now(X509_gmtime_adj(nullptr, -day));
    const openssl::Time next(X509_gmtime_adj(nullptr, day));
    X509_CRL_set1_lastUpdate(crl.get(), now.get());
    X509_CRL_set1_nextUpdate(crl.get(), next.get());
    for (const long serial : serials) {
        X509_REVOKED* const revoked = X509_REVOKED_new();
        ASN1_INTEGER* const number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        X509_REVOKED_set_serialNumber(revoked, number);
        ASN1_INTEGER_free(number);
        X509_REVOKED_set_revocationDate(revoked, now.get());
        X509_CRL_add0_revoked(crl.get(), revoked);
    }
    X509_CRL_sign(crl.get(), keys_->key.get(), EVP_sha256());
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509_CRL(bio.get(), crl.get());
    return text_of(bio);
}

}  // namespace qvd::test
