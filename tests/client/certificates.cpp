#include "tests/client/certificates.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

namespace qvd::testing {
namespace {

void require(bool fine, const char* what) {
    if (!fine) throw std::runtime_error(std::string("cannot make a certificate: ") + what);
}

template <class Write>
std::string in_memory(Write write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
}

void add_extension(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    require(extension != nullptr, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

void set_common_name(X509* certificate, const std::string& name) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(name.c_str());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, bytes, -1,
                               -1, 0);
}

}  // namespace

Identity make_identity(const std::string& common_name, const IdentityWish& wish) {
    static long serial = 1000;
    Identity made;
    made.key.reset(EVP_EC_gen("P-256"));
    made.certificate.reset(X509_new());
    X509* certificate = made.certificate.get();
    require(made.key && certificate != nullptr, "key");
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), wish.starts_in_seconds);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wish.ends_in_seconds);
    set_common_name(certificate, common_name);
    const X509* issuer = wish.issuer == nullptr ? certificate : wish.issuer->certificate.get();
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_set_pubkey(certificate, made.key.get());
    if (wish.authority)
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    else
        add_extension(certificate, NID_subject_alt_name, wish.alternative_names);
    EVP_PKEY* signer = wish.issuer == nullptr ? made.key.get() : wish.issuer->key.get();
    require(X509_sign(certificate, signer, EVP_sha256()) > 0, "signature");
    return made;
}

std::string Identity::certificate_pem() const {
    return in_memory([this](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); });
}

std::string Identity::key_pem() const {
    return in_memory([this](BIO* bio) {
        PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

std::string Identity::fingerprint() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        std::array<char, 3> byte{};
        std::snprintf(byte.data(), byte.size(), "%02x", digest.at(i));
        text += byte.data();
    }
    return text;
}

}  // namespace qvd::testing
