// Users and the kernel of this machine.
#include "admin/doctor/checks.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "hkd/keys.hpp"
#include "store/keys.hpp"

#include <grp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <nftables/libnftables.h>
#include <pwd.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace qvd::admin::doctor {

namespace fs = std::filesystem;

namespace {

bool is_root() {
    return ::geteuid() == 0;
}

Diagnosis check_user(const std::string& user, const std::string& purpose) {
    if (::getpwnam(user.c_str()) != nullptr)  // NOLINT: one thread
        return good("user." + user, "the OS user " + user + " exists");
    return problem("user." + user, "the OS user " + user + " is missing: " + purpose,
                   "useradd --system --shell /usr/sbin/nologin " + user);
}

// Asks the kernel for a device of that kind, in a network of our own that vanishes with us.
// Empty: it can.
std::string make_device(const std::string& kind) {
    if (::unshare(CLONE_NEWNET) != 0) return "no network namespace can be made";
    const UniqueFd netlink{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    if (!netlink) return "netlink cannot be used";
    struct {
        nlmsghdr head;
        ifinfomsg info;
        rtattr nest;
        rtattr name;
        std::array<char, 8> kind;
    } request{};
    const std::size_t name_length = std::min(kind.size() + 1, sizeof request.kind);
    std::memcpy(request.kind.data(), kind.c_str(), name_length);
    request.head.nlmsg_len = sizeof request;
    request.head.nlmsg_type = RTM_NEWLINK;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
    request.nest.rta_type = IFLA_LINKINFO;
    request.nest.rta_len = sizeof request.nest + sizeof request.name + sizeof request.kind;
    request.name.rta_type = IFLA_INFO_KIND;
    request.name.rta_len = static_cast<unsigned short>(sizeof request.name + name_length);
    if (::send(netlink.get(), &request, sizeof request, 0) < 0)
        return std::generic_category().message(errno);
    struct {
        nlmsghdr head;
        nlmsgerr error;
        std::array<char, 512> rest;
    } reply{};
    if (::recv(netlink.get(), &reply, sizeof reply, 0) < 0)
        return std::generic_category().message(errno);
    return reply.error.error == 0 ? std::string{}
                                  : std::generic_category().message(-reply.error.error);
}

Diagnoses check_device(const std::string& kind) {
    const std::string name = "kernel." + kind;
    if (!is_root()) return {needs_root(name, "whether " + kind + " devices can be made")};
    return in_child(name, [&]() -> Diagnoses {
        const std::string why = make_device(kind);
        if (why.empty()) return {good(name, kind + " devices can be made")};
        return {problem(name, "no " + kind + " device can be made: " + why,
                        "modprobe " + kind + "; in a container, allow its host's kernel module")};
    });
}

Diagnosis check_memory_cgroup(const Machine& machine) {
    const auto two = file::read(machine.sys + "/fs/cgroup/cgroup.controllers");
    if (two.ok()) {
        for (const std::string& word : text::split(text::trim(*two), ' '))
            if (word == "memory")
                return good("kernel.cgroup", "the memory controller is there (cgroup v2)");
    }
    if (fs::exists(machine.sys + "/fs/cgroup/memory/memory.limit_in_bytes"))
        return good("kernel.cgroup", "the memory controller is there (cgroup v1)");
    return problem("kernel.cgroup", "there is no memory controller: VMs have no memory limit",
                   "boot with cgroup_enable=memory, or mount cgroups at /sys/fs/cgroup");
}

Diagnosis check_nftables(const config::View& view) {
    if (!view.get(hkd::network_firewall))
        return good("kernel.nftables", "the node makes no firewall (" +
                                           std::string(hkd::network_firewall.name) + " = 0)");
    if (!is_root()) return needs_root("kernel.nftables", "whether nftables can be used");
    nft_ctx* context = ::nft_ctx_new(NFT_CTX_DEFAULT);
    if (context == nullptr)
        return problem("kernel.nftables", "nftables cannot be used", "modprobe nf_tables");
    ::nft_ctx_buffer_output(context);
    ::nft_ctx_buffer_error(context);
    const bool works = ::nft_run_cmd_from_buffer(context, "list tables") == 0;
    const std::string why{text::trim(::nft_ctx_get_error_buffer(context))};
    ::nft_ctx_free(context);
    if (works) return good("kernel.nftables", "nftables can be used");
    return problem("kernel.nftables", "nftables cannot be used: " + text::quoted(why),
                   "modprobe nf_tables, or set " + std::string(hkd::network_firewall.name) +
                       " = 0 and guard the VMs yourself");
}

Diagnosis check_bridge_filter(const Machine& machine) {
    const auto value = file::read(machine.proc + "/sys/net/bridge/bridge-nf-call-iptables");
    if (!value.ok() || text::trim(*value) == "0")
        return good("kernel.br_netfilter", "other firewalls do not look into the bridge");
    return warning("kernel.br_netfilter",
                   "br_netfilter sends the VMs' packets through iptables, too: rules of other "
                   "programs (Docker) can cut VMs off",
                   "allow the VM network there, or sysctl net.bridge.bridge-nf-call-iptables=0");
}

Diagnosis check_user_namespaces(const Machine& machine) {
    const auto most = file::read(machine.proc + "/sys/user/max_user_namespaces");
    const bool can = most.ok() && text::trim(*most) != "0";
    return good("kernel.userns", can ? "user namespaces are allowed (not needed)"
                                     : "user namespaces are not allowed (not needed)");
}

}  // namespace

Diagnoses check_users(const config::View& view, bool embedded) {
    Diagnoses diagnoses;
    const std::string l7r = view.text("internal.node.l7r.user").value_or("qvd-l7r");
    const std::string broker = view.text("internal.node.broker.user").value_or("qvd-broker");
    diagnoses.push_back(check_user(l7r, "it talks to clients"));
    diagnoses.push_back(check_user(broker, "it decides about logins"));
    if (embedded)
        diagnoses.push_back(
            check_user(view.get(store::database_os_user), "it runs the embedded database"));
    if (::getgrnam("qvd-admin") != nullptr)  // NOLINT: one thread
        diagnoses.push_back(good("group.qvd-admin", "the group qvd-admin exists"));
    else
        diagnoses.push_back(warning("group.qvd-admin",
                                    "the group qvd-admin is missing: only root may ask the node",
                                    "groupadd --system qvd-admin"));
    return diagnoses;
}

Diagnoses check_kernel(const config::View& view, const Machine& machine) {
    Diagnoses diagnoses{check_memory_cgroup(machine), check_nftables(view),
                        check_bridge_filter(machine), check_user_namespaces(machine)};
    for (const char* const kind : {"veth", "bridge"})
        std::ranges::move(check_device(kind), std::back_inserter(diagnoses));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
