// The keys that every program of a node reads: its name, its folders, its log, its database.
#pragma once

#include "config/forms.hpp"
#include "config/key.hpp"

namespace qvd::config {

inline constexpr const char* default_node_file = "/etc/qvd/node.conf";

inline constexpr Key<std::string> nodename{
    "nodename",
    unset,
    "",
    "the name of this node in the farm; with the embedded database the host name does",
    file_only,
    {},
    &form::node_name};

inline constexpr Key<Path> path_run{"path.run", "/run/qvd", "",
                                    "sockets, pid files and what else lasts until the next boot",
                                    file_only};
inline constexpr Key<Path> path_log{"path.log", "/var/log", "", "where log files go", file_only};
inline constexpr Key<Path> path_tmp{"path.tmp", "/var/tmp", "", "temporary files"};
inline constexpr Key<Path> path_qvd_bin{"path.qvd.bin", "/usr/lib/qvd/bin", "",
                                        "the product's own helper programs", file_only};
inline constexpr Key<Path> path_plugins{"path.plugins", "/usr/lib/qvd/plugins", "",
                                        "the plugins: each is path.plugins/qvd-NAME.so", file_only};
inline constexpr Key<Path> path_database{"path.database", "/var/lib/qvd/database", "",
                                         "the embedded database, if there is one", file_only};
inline constexpr Key<Path> path_storage_root{"path.storage.root", "/var/lib/qvd/storage", "",
                                             "everything that belongs to images and VMs"};
inline constexpr Key<Path> path_storage_staging{
    "path.storage.staging", "${path.storage.root}/staging", "", "images on their way in"};
inline constexpr Key<Path> path_storage_images{"path.storage.images", "${path.storage.root}/images",
                                               "", "the registered images"};
inline constexpr Key<Path> path_storage_overlays{"path.storage.overlays",
                                                 "${path.storage.root}/overlays", "",
                                                 "what VMs changed in their disks (kvm)"};
inline constexpr Key<Path> path_storage_homes{"path.storage.homes", "${path.storage.root}/homes",
                                              "", "the users' home disks (kvm)"};
inline constexpr Key<Path> path_storage_basefs{"path.storage.basefs", "${path.storage.root}/basefs",
                                               "", "unpacked images (containers)"};
inline constexpr Key<Path> path_storage_homefs{"path.storage.homefs", "${path.storage.root}/homefs",
                                               "", "the users' home folders (containers)"};
inline constexpr Key<Path> path_storage_overlayfs{"path.storage.overlayfs",
                                                  "${path.storage.root}/overlayfs", "",
                                                  "what VMs changed in their files (containers)"};
inline constexpr Key<Path> path_storage_btrfs_root{"path.storage.btrfs.root",
                                                   "${path.storage.root}", "",
                                                   "a btrfs, for images and VMs of lxc-btrfs"};
inline constexpr Key<Path> path_storage_suspended{
    "path.storage.suspended", "${path.storage.root}/suspended", "",
    "the memory of virtual machines that are suspended to disk"};
inline constexpr Key<Path> path_storage_snapshots{"path.storage.snapshots",
                                                  "${path.storage.root}/snapshots", "",
                                                  "copies of virtual machines' disks"};
inline constexpr Key<Path> path_storage_rootfs{
    "path.storage.rootfs", "${path.storage.root}/rootfs", "",
    "where the files of running containers come together"};

inline constexpr Key<Path> log_filename{"log.filename", "${path.log}/qvd.log", "",
                                        "the log file; empty: standard error", file_only};
inline constexpr Key<Word> log_level{"log.level", "INFO",
                                     "ALL|TRACE|DEBUG|INFO|WARN|ERROR|FATAL|OFF",
                                     "the least important lines to write", file_only};
// The two keys of log4perl that mean something here (manual 2); see config/logging.hpp.
inline constexpr Key<std::string> log4perl_root_logger{
    "log4perl.rootLogger",
    unset,
    "",
    "LEVEL, APPENDER: the level, and SYSLOG to log to syslog",
    file_only,
    {},
    &form::root_logger};
inline constexpr Key<std::string> log4perl_syslog{
    "log4perl.appender.SYSLOG", unset, "", "set to anything: log to syslog instead of the file",
    file_only};

inline constexpr Key<List> database_host{
    "database.host",
    unset,
    "",
    "the farm's PostgreSQL servers, comma-separated; unset: the embedded database",
    file_only,
    {},
    &form::server};
inline constexpr Key<std::int64_t> database_port{
    "database.port", "5432", "", "the port of all servers", file_only, Range{1, 65535}};
inline constexpr Key<std::string> database_name{"database.name", "qvd", "", "the database",
                                                file_only};
inline constexpr Key<std::string> database_user{
    "database.user", "qvd", "", "its owner, for qvd-deploy-db, qa and the WAT", file_only};
inline constexpr Key<Secret> database_password{"database.password", unset, "",
                                               "the owner's password", file_only};
inline constexpr Key<std::string> database_hkd_user{
    "database.hkd.user", unset, "", "the account of hkd; unset: the owner's", file_only};
inline constexpr Key<Secret> database_hkd_password{"database.hkd.password", unset, "",
                                                   "its password", file_only};
inline constexpr Key<std::string> database_broker_user{
    "database.broker.user", unset, "", "the account of the broker; unset: the owner's", file_only};
inline constexpr Key<Secret> database_broker_password{"database.broker.password", unset, "",
                                                      "its password", file_only};
inline constexpr Key<std::chrono::seconds> database_connect_timeout{
    "internal.database.client.connect.timeout",
    "20",
    "seconds",
    "how long to wait for one server's answer",
    file_only | internal,
    Range{1, 600}};

inline void declare(KeySet& keys) {
    keys.add(nodename, path_run, path_log, path_tmp, path_qvd_bin, path_plugins, path_database,
             path_storage_root, path_storage_staging, path_storage_images, path_storage_overlays,
             path_storage_homes, path_storage_basefs, path_storage_homefs, path_storage_overlayfs,
             path_storage_btrfs_root, path_storage_suspended, path_storage_snapshots,
             path_storage_rootfs);
    keys.add(log_filename, log_level, log4perl_root_logger, log4perl_syslog);
    keys.add(database_host, database_port, database_name, database_user, database_password,
             database_hkd_user, database_hkd_password, database_broker_user,
             database_broker_password, database_connect_timeout);
}

}  // namespace qvd::config
