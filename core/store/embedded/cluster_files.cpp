#include "store/embedded/cluster_files.hpp"

#include "base/file.hpp"

namespace qvd::store::embedded {

namespace {

std::string doubled(const std::string& text, char quote) {
    std::string all(1, quote);
    for (const char c : text) {
        if (c == quote) all += quote;
        all += c;
    }
    return all + quote;
}

// Small: it serves one machine. Durable: it is the only copy.
std::string postgresql_conf(const EmbeddedPlace& place) {
    return "# Written by QVD before each start of the embedded database; changes are lost.\n"
           "listen_addresses = ''\n"
           "port = 5432\n"
           "unix_socket_directories = " +
           doubled(place.sockets, '\'') +
           "\n"
           "unix_socket_permissions = 0777\n"  // who may come in, pg_hba.conf says
           "max_connections = 60\n"
           "superuser_reserved_connections = 3\n"
           "shared_buffers = 32MB\n"
           "work_mem = 2MB\n"
           "maintenance_work_mem = 16MB\n"
           "max_wal_size = 256MB\n"
           "min_wal_size = 32MB\n"
           "wal_level = minimal\n"
           "max_wal_senders = 0\n"
           "max_worker_processes = 2\n"
           "max_logical_replication_workers = 0\n"
           "max_parallel_workers_per_gather = 0\n"
           "autovacuum_max_workers = 1\n"
           "jit = off\n"
           "fsync = " +
           (place.durable ? "on" : "off") +
           "\n"
           "synchronous_commit = on\n"
           "full_page_writes = on\n"
           "restart_after_crash = on\n"
           "dynamic_shared_memory_type = posix\n"
           "timezone = 'UTC'\n"
           "log_timezone = 'UTC'\n"
           "datestyle = 'iso'\n"
           "lc_messages = 'C.UTF-8'\n"
           "logging_collector = off\n"
           "log_destination = 'stderr'\n"
           "log_line_prefix = '%m [%p] %u '\n"
           "log_min_messages = warning\n";
}

std::string pg_hba_conf(const EmbeddedPlace& place) {
    return "# Written by QVD before each start of the embedded database; changes are lost.\n"
           "local replication all reject\n"
           "local all " +
           std::string(embedded_superuser) +
           " peer map=qvd\n"
           "local " +
           doubled(place.database, '"') +
           " qvd_owner,qvd_hkd,qvd_broker peer map=qvd\n"
           "local all all reject\n"
           "host all all all reject\n";
}

std::string pg_ident_conf(const EmbeddedPlace& place) {
    std::string text =
        "# Written by QVD before each start of the embedded database; changes are lost.\n"
        "qvd root qvd_owner\n"
        "qvd root qvd_hkd\n"
        "qvd qvd-broker qvd_broker\n";
    text += "qvd " + place.os_user + " " + embedded_superuser + "\n";
    for (const EmbeddedPlace::Peer& peer : place.more_peers)
        text += "qvd " + peer.os_user + " " + peer.role + "\n";
    return text;
}

}  // namespace

Result<void> write_configuration(const EmbeddedPlace& place, const std::string& folder) {
    // Nothing in them is secret; the folder itself is closed to everybody else anyway.
    QVD_CHECK(file::write_atomic(folder + "/postgresql.conf", postgresql_conf(place), 0644));
    QVD_CHECK(file::write_atomic(folder + "/pg_hba.conf", pg_hba_conf(place), 0644));
    return file::write_atomic(folder + "/pg_ident.conf", pg_ident_conf(place), 0644);
}

std::string first_statements(const EmbeddedPlace& place) {
    const std::string database = doubled(place.database, '"');
    return "CREATE ROLE qvd_owner LOGIN\n"
           "CREATE ROLE qvd_hkd LOGIN\n"
           "CREATE ROLE qvd_broker LOGIN\n"
           "CREATE DATABASE " +
           database + " OWNER qvd_owner\nREVOKE ALL ON DATABASE " + database +
           " FROM PUBLIC\nGRANT CONNECT ON DATABASE " + database + " TO qvd_hkd, qvd_broker\n";
}

}  // namespace qvd::store::embedded
