// What every TLS connection of this client has in common.
#include "client/connection.hpp"

#include <array>
#include <filesystem>
#include <set>

namespace qvd::client {
namespace {

Error tls_error(const std::string& what) {
    return {ErrorKind::internal, "internal.tls", what + ": " + tls_complaint()};
}

// Every certificate file of the folder, under whatever name; what is no certificate is passed over.
void trust_folder(SSL_CTX* context, const std::string& folder) {
    std::error_code failure;
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder, failure))
        if (entry.is_regular_file(failure)) files.insert(entry.path().string());
    for (const std::string& file : files) SSL_CTX_load_verify_file(context, file.c_str());
}

Result<void> use_own_certificate(SSL_CTX* context, const TlsSettings& settings) {
    if (settings.certificate_file.empty()) return {};
    const auto complaint = [](const std::string& what) {
        return Error{ErrorKind::invalid, "certificate.own", what + ": " + tls_complaint()};
    };
    if (SSL_CTX_use_certificate_chain_file(context, settings.certificate_file.c_str()) != 1)
        return complaint("cannot use the client certificate " + settings.certificate_file);
    if (SSL_CTX_use_PrivateKey_file(context, settings.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        return complaint("cannot use the key " + settings.key_file);
    if (SSL_CTX_check_private_key(context) != 1)
        return complaint(settings.key_file + " is not the key of " + settings.certificate_file);
    return {};
}

}  // namespace

Result<SslContext> make_tls_context(const TlsSettings& settings) {
    SslContext context{SSL_CTX_new(TLS_client_method())};
    if (!context) return tls_error("TLS cannot be set up");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    // A server that dies without a TLS farewell has closed the connection all the same.
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    constexpr std::array<unsigned char, 9> only_http1{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    SSL_CTX_set_alpn_protos(context.get(), only_http1.data(), only_http1.size());
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
        return tls_error("the system's certificate authorities cannot be used");
    trust_folder(context.get(), settings.authorities_folder);
    QVD_CHECK(use_own_certificate(context.get(), settings));
    return context;
}

}  // namespace qvd::client
