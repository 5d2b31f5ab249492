#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    admin::Administration::NewOsf osf;
    osf.name = parameter(line, "name");
    osf.memory = parameter(line, "memory", osf.memory);
    osf.use_overlay = parameter(line, "use_overlay", osf.use_overlay);
    osf.user_storage_size = parameter(line, "user_storage_size");
    QVD_CO_TRY(const OsfId id, co_await farm.administration().add_osf(std::move(osf)));
    co_return added(id.value());
}

admin::Async<Output> edit(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count,
               co_await farm.administration().edit_osfs(line.filter, line.parameters));
    co_return counted(count, "OSF", "edited");
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_osfs(line.filter));
    co_return counted(done, "osf", "deleted");
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().osfs(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"Name", "name"},
                                       {"RAM", "memory"},
                                       {"Overlay", "use_overlay"},
                                       {"UserHD", "user_storage_size"}});
}

}  // namespace

std::vector<Command> osf_commands() {
    return {
        {"osf",
         "add",
         "Makes an OSF: how VMs of a kind run.",
         {{"name", Need::required, "unique"},
          {"memory", Need::optional, "of each VM, in MiB or with K, M, G; default 256"},
          {"use_overlay", Need::optional,
           "whether VMs may change their image's files; default yes"},
          {"user_storage_size", Need::optional,
           "home of each VM, in MiB or with K, M, G; default none; containers keep to the size "
           "only with lxc-btrfs and homes on a btrfs"}},
         0,
         add},
        {"osf", "del", "Deletes OSFs without VMs and images.", {}, filters | confirmation, del},
        {"osf", "list", "Lists OSFs.", {}, filters, list},
        {"osf",
         "edit",
         "Changes OSFs; VMs that run notice at their next start.",
         {{"name", Need::optional, "of one OSF"},
          {"memory", Need::optional, "of each VM, in MiB or with K, M, G"},
          {"use_overlay", Need::optional, "whether VMs may change their image's files"},
          {"user_storage_size", Need::optional, "home of each VM, in MiB or with K, M, G"}},
         filters | confirmation,
         edit},
    };
}

}  // namespace qvd::qa
