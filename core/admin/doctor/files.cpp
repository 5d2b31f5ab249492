// The node's file: whose it is, and who may read it.
#include "admin/doctor/checks.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace qvd::admin::doctor {

namespace {

// A key of that file whose value is a secret; empty: it holds none.
std::string secret_in(const config::View& view, const std::string& file) {
    for (const auto& [name, setting] : view.all())
        if (setting.value && setting.origin == config::Origin::file &&
            setting.where.starts_with(file) && setting.declaration->has(config::secret))
            return name;
    return {};
}

}  // namespace

Diagnoses check_file(const config::View& view, const std::string& file) {
    constexpr const char* name = "configuration.mode";
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return {};  // configuration.file has said so
    const std::string repair = "chown root:root " + file + "; chmod 600 " + file;
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return {problem(name, file + " does not belong to root, who runs the programs it names",
                        repair)};
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return {problem(name, file + " can be changed by others than root", repair)};
    const std::string secret = secret_in(view, file);
    if (!secret.empty() && (status.st_mode & S_IROTH) != 0)
        return {
            warning(name, "every user of this machine can read " + secret + " in " + file, repair)};
    return {good(name, "only root can change " + file)};
}

}  // namespace qvd::admin::doctor
