// qa config: the keys of the database over those of the file, and the farm's certificate.
#include "admin/administration.hpp"
#include "base/file.hpp"
#include "base/openssl.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "net/frames.hpp"
#include "net/tls.hpp"
#include "plugin/keys.hpp"
#include "plugin/registry.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>

namespace qvd::admin {

namespace {

constexpr std::string_view ssl_prefix = "l7r.ssl.";
constexpr std::string_view ssl_options_prefix = "l7r.ssl.options.";

bool is_certificate_key(const std::string& key) {
    return key.starts_with(ssl_prefix) && !key.starts_with(ssl_options_prefix);
}

Row row_of_setting(const config::Setting& setting) {
    Row row;
    row.text("key", setting.name).text("value", setting.value ? setting.shown() : "");
    row.text("origin", setting.value ? to_string(setting.origin) : "");
    row.text("meaning", setting.declaration->meaning);
    return row;
}

Row row_of_undeclared(const std::string& name, const std::string& value) {
    Row row;
    row.text("key", name).text("value", value);
    row.text("origin", to_string(config::Origin::database));
    row.text("meaning", "nothing that is installed here declares it");
    return row;
}

// Of a warning that may end in a question.
std::string set_all_the_same(const std::string& sentence) {
    return sentence +
           (sentence.ends_with('?') ? " It was set all the same" : "; it was set all the same");
}

Error not_pem(const std::string& file, const std::string& what) {
    ERR_clear_error();
    return {ErrorKind::invalid, "certificate.pem", file + " holds no " + what + " in PEM form"};
}

// The key belongs to the first certificate, and everything can be read.
// As the workers will use it.
Result<void> check_whole(const store::Certificate& material) {
    net::Configure configure;
    configure.certificate = material.certificate;
    configure.key = material.key;
    configure.client_ca = material.ca;
    configure.client_crl = material.crl;
    configure.require_client_certificate = !material.ca.empty();
    const std::size_t bytes = net::tls_material_bytes(configure);
    if (bytes > net::max_tls_material_bytes)
        return Error{ErrorKind::invalid, "certificate.too_long",
                     "certificate, key, authorities and revocation list are " +
                         std::to_string(bytes) + " bytes together; they may be " +
                         std::to_string(net::max_tls_material_bytes)};
    QVD_TRY([[maybe_unused]] const net::TlsContext usable, net::TlsContext::make(configure, false));
    return {};
}

Result<void> check_material(const store::Certificate& material, const std::string& key_file,
                            const std::string& certificate_file) {
    const auto key_bio = openssl::reader_of(material.key.reveal());
    const openssl::Key key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    if (!key) return not_pem(key_file, "private key without a passphrase");
    const auto certificate_bio = openssl::reader_of(material.certificate);
    const openssl::Certificate certificate(
        PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) return not_pem(certificate_file, "certificate");
    if (X509_check_private_key(certificate.get(), key.get()) != 1)
        return Error{
            ErrorKind::invalid, "certificate.mismatch",
            "the key in " + key_file + " is not that of the certificate in " + certificate_file};
    if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0)
        return Error{ErrorKind::invalid, "certificate.expired",
                     "the certificate in " + certificate_file + " has expired"};
    return check_whole(material);
}

const char* interface_named_by(const std::string& key) {
    if (key == plugin::balancer.name) return QVD_LOAD_BALANCER;
    if (key == plugin::authenticators.name) return QVD_AUTHENTICATOR;
    if (key == plugin::hypervisor.name || key == plugin::hypervisors.name) return QVD_HYPERVISOR;
    return nullptr;
}

Result<std::string> optional_pem(const std::string& path) {
    if (path.empty()) return std::string{};
    QVD_TRY(std::string text, file::read(path));
    if (text.find("-----BEGIN ") == std::string::npos)
        return not_pem(path, "certificate or revocation list");
    return text;
}

}  // namespace

// Whether every plugin that the value names is there and of the right kind: with a wrong one nobody
// could log in, or no VM start.
Result<void> Administration::check_plugins(const std::string& key, const std::string& value) const {
    const char* const interface = interface_named_by(key);
    if (interface == nullptr) return {};
    const std::string word(plugin::word_for(interface));
    std::vector<std::string> fitting;
    for (const plugin::InstalledPlugin& one : installed_)
        if (std::ranges::count(one.interfaces, interface) != 0) fitting.push_back(one.name);
    for (const std::string& name : config::to_list(value))
        if (std::ranges::count(fitting, plugin::Registry::resolve(interface, name, view_)) == 0)
            return Error{ErrorKind::not_found, "config.plugin",
                         key + ": there is no " + word + " " + text::quoted(name) + " in " +
                             view_.get(config::path_plugins) + " (installed " + word +
                             "s: " + (fitting.empty() ? "none" : text::join(fitting, ", ")) + ")"};
    return {};
}

// Declared keys, and those of the database that nobody declares; by name.
std::vector<Row> Administration::every_setting(bool internals) const {
    std::map<std::string, Row> rows;
    for (const auto& [name, setting] : view_.all()) {
        const bool internal =
            setting.declaration->has(config::internal) || name.starts_with("internal.");
        if (internals || !internal) rows.emplace(name, row_of_setting(setting));
    }
    for (const auto& [name, value] : database_values_)
        if (view_.setting(name) == nullptr && !is_certificate_key(name))
            rows.emplace(name, row_of_undeclared(name, value));
    std::vector<Row> all;
    all.reserve(rows.size());
    for (auto& [name, row] : rows) all.push_back(std::move(row));
    return all;
}

Result<std::vector<Row>> Administration::configuration(const std::vector<std::string>& keys,
                                                       bool internals) const {
    std::vector<Row> rows;
    if (keys.empty()) {
        rows = every_setting(internals);
        std::erase_if(rows, [](const Row& row) { return row.find("origin")->value.empty(); });
        return rows;
    }
    for (const std::string& key : keys) {
        const config::Setting* setting = view_.setting(key);
        const auto stored = database_values_.find(key);
        if (setting != nullptr) {
            rows.push_back(row_of_setting(*setting));
        } else if (stored != database_values_.end() && !is_certificate_key(key)) {
            rows.push_back(row_of_undeclared(key, stored->second));
        } else {
            const std::string near = view_.keys().nearest(key);
            return Error{ErrorKind::not_found, "config.unknown",
                         "there is no key " + text::quoted(key, 128) +
                             (near.empty() ? "" : "; did you mean \"" + near + "\"?")};
        }
    }
    return rows;
}

Async<void> Administration::set_configuration(Parameters values, bool force) {
    for (const auto& [key, value] : values) {
        if (is_certificate_key(key))
            co_return Error{ErrorKind::invalid, "config.certificate",
                            key + " is set with `qa config ssl key=FILE cert=FILE`"};
        // A plugin's key is only known where that plugin is loaded: what is unknown here is kept,
        // and every role warns of it if nobody declares it.
        const auto change = view_.check_change(key, value);
        if (!change.ok() && change.error().code() != "config.unknown") co_return change.error();
        if (!change.ok()) warnings_.push_back(set_all_the_same(change.error().sentence()));
        const auto there = check_plugins(key, value);
        if (there.ok()) continue;
        if (!force && !installed_.empty())
            co_return Error{ErrorKind::invalid, "config.plugin",
                            there.error().sentence() + "; --force sets it all the same"};
        warnings_.push_back(set_all_the_same(there.error().sentence()));
    }
    std::vector<std::string> names;
    for (const auto& [key, value] : values) names.push_back(key);
    QVD_CO_CHECK(co_await store_.set_configuration(values));
    co_await audit("config set", text::join(names, ","));
    co_return co_await load();
}

Async<int> Administration::delete_configuration(std::vector<std::string> keys) {
    if (keys.empty()) {
        QVD_CO_TRY(const auto all, co_await store_.configuration());
        for (const auto& [key, value] : all) keys.push_back(key);
    }
    QVD_CO_TRY(const int count, co_await store_.delete_configuration(keys));
    co_await audit("config del", text::join(keys, ","));
    QVD_CO_CHECK(co_await load());
    co_return count;
}

Async<void> Administration::set_certificate(std::string key_file, std::string certificate_file,
                                            std::string ca_file, std::string crl_file) {
    store::Certificate material;
    QVD_CO_TRY(const std::string key, file::read(key_file));
    material.key = Secret{key};
    QVD_CO_TRY(material.certificate, file::read(certificate_file));
    QVD_CO_TRY(material.ca, optional_pem(ca_file));
    QVD_CO_TRY(material.crl, optional_pem(crl_file));
    QVD_CO_CHECK(check_material(material, key_file, certificate_file));
    QVD_CO_CHECK(co_await store_.set_certificate(std::move(material)));
    co_await audit("config ssl", certificate_file);
    if (struct stat status{};
        ::stat(key_file.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0)
        warnings_.push_back("every user of this machine can read the key: chmod 600 " + key_file);
    co_return Result<void>{};
}

}  // namespace qvd::admin
