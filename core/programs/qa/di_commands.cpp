#include "admin/node_channel.hpp"
#include "commands.hpp"

#include <unistd.h>

#include <iostream>

namespace qvd::qa {

admin::CopyProgress progress_line(const CommandLine& line) {
    if (line.quiet || line.json || ::isatty(STDERR_FILENO) == 0) return {};
    return [](std::string_view what, std::uint64_t done, std::uint64_t total) {
        constexpr std::uint64_t mib = 1UL << 20U;
        const std::uint64_t percent = total == 0 ? 100 : done * 100 / total;
        std::cerr << "\r" << what << " " << done / mib << " of " << total / mib << " MiB ("
                  << percent << " %)" << (done >= total ? "\n" : "") << std::flush;
    };
}

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    admin::Administration::NewDi di;
    di.path = parameter(line, "path");
    di.osf = parameter(line, "osf");
    di.osf_id = parameter(line, "osf_id");
    di.version = parameter(line, "version");
    di.sha256 = parameter(line, "sha256");
    di.whatever_it_is = line.force;
    di.expiry = expiry_of(line);
    QVD_CO_TRY(const auto done,
               co_await farm.administration().add_di(std::move(di), progress_line(line)));
    Output output = added(done.id.value());
    tell_expired(output, done.expired);
    co_return output;
}

// This node's unpacked copies of a deleted image; other nodes' are removed by their collectors.
std::string purge_copies(Farm& farm, DiId di) {
    const std::string socket = admin::control_socket_path(farm.administration().view());
    if (::access(socket.c_str(), F_OK) != 0) return {};
    admin::NodeChannel node(socket, -1);
    const auto purged =
        node.document(net::control_target(net::ControlVerb::collect) + "?di=" + di.text());
    if (purged.ok()) return {};
    return "\nunpacked copies of image " + di.text() +
           " stay until they are collected (qa storage gc): " + purged.error().sentence();
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_dis(line.filter, line.purge));
    Output output = counted(done, "image", line.purge ? "deleted" : "deleted; image files stay");
    if (line.purge)
        for (const DiId di : done.dis) output.line += purge_copies(farm, di);
    co_return output;
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().dis(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"OSF", "osf_id"},
                                       {"Version", "version"},
                                       {"Path", "path"},
                                       {"Tags", "tags"},
                                       {"State", "state"},
                                       {"Size", "size"},
                                       {"VMs", "vms"},
                                       {"Running", "vms_running"}});
}

admin::Async<Output> tag(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto expired,
               co_await farm.administration().tag_di(parameter(line, "di_id"),
                                                     parameter(line, "tag"), expiry_of(line)));
    Output output = said("DI tagged", {{"tag", parameter(line, "tag")}});
    tell_expired(output, expired);
    co_return output;
}

admin::Async<Output> untag(Farm& farm, CommandLine line) {
    QVD_CO_CHECK(
        co_await farm.administration().untag_di(parameter(line, "di_id"), parameter(line, "tag")));
    co_return said("DI untagged", {{"tag", parameter(line, "tag")}});
}

}  // namespace

std::vector<Command> di_commands() {
    const std::vector<Parameter> limits = expiry_parameters();
    return {
        {"di",
         "add",
         "Copies an image into the farm and makes it the newest of its OSF (--force: whatever is "
         "in "
         "it).",
         {{"path", Need::required,
           "the image file; a bare name is looked for in path.storage.staging"},
          {"osf", Need::either, "name of its OSF"},
          {"osf_id", Need::either, "id of its OSF, in place of its name"},
          {"version", Need::optional, "default YYYY-MM-DD-NNN"},
          {"sha256", Need::optional, "what its checksum must be"},
          limits[0],
          limits[1]},
         forcing,
         add},
        {"di",
         "del",
         "Deletes images that no VM runs (--purge: their files, too).",
         {},
         filters | confirmation | purging,
         del},
        {"di", "list", "Lists images.", {}, filters, list},
        {"di",
         "tag",
         "Gives an image a tag, taking it from its siblings.",
         {{"di_id", Need::required, "which image"},
          {"tag", Need::required, "e.g. default"},
          limits[0],
          limits[1]},
         0,
         tag},
        {"di",
         "untag",
         "Takes a tag from an image.",
         {{"di_id", Need::required, "which image"}, {"tag", Need::required, "which tag"}},
         0,
         untag},
    };
}

}  // namespace qvd::qa
