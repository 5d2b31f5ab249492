#include "store/answers.hpp"

#include <array>

namespace qvd::store::answers {

namespace {

struct Answer {
    std::string_view constraint;
    bool deleting;
    ErrorKind kind;
    std::string_view code;
    std::string_view sentence;
};

constexpr auto taken = ErrorKind::conflict;
constexpr auto gone = ErrorKind::not_found;
constexpr auto wrong = ErrorKind::invalid;

constexpr std::array known{
    Answer{"users_login_key", false, taken, "user.exists", "a user with that login exists already"},
    Answer{"operators_name_key", false, taken, "operator.exists",
           "an operator with that name exists already"},
    Answer{"osfs_name_key", false, taken, "osf.exists", "an osf with that name exists already"},
    Answer{"vms_name_key", false, taken, "vm.exists", "a vm with that name exists already"},
    Answer{"vms_address_key", false, taken, "address.taken", "another vm has that address"},
    Answer{"nodes_name_key", false, taken, "node.exists", "a host with that name exists already"},
    Answer{"nodes_address_key", false, taken, "node.address_taken",
           "another host has that address"},
    Answer{"dis_version_key", false, taken, "di.version_exists",
           "the osf has an image of that version already"},
    Answer{"di_tags_tag_key", false, taken, "tag.taken",
           "another image of the osf was given that tag at the same moment"},
    Answer{"vms_user_fkey", false, gone, "user.not_found", "there is no such user"},
    Answer{"vms_user_fkey", true, taken, "user.has_vms", "the user still owns virtual machines"},
    Answer{"vms_osf_fkey", false, gone, "osf.not_found", "there is no such osf"},
    Answer{"vms_osf_fkey", true, taken, "osf.has_vms", "there are virtual machines of this osf"},
    Answer{"dis_osf_fkey", false, gone, "osf.not_found", "there is no such osf"},
    Answer{"dis_osf_fkey", true, taken, "osf.has_dis", "the osf still has images"},
    Answer{"vm_runtimes_di_fkey", false, gone, "di.not_found", "there is no such image"},
    Answer{"vm_runtimes_di_fkey", true, taken, "di.in_use", "a virtual machine runs this image"},
    Answer{"vm_runtimes_node_fkey", false, gone, "node.not_found", "there is no such host"},
    Answer{"vm_runtimes_node_fkey", true, taken, "node.has_vms",
           "virtual machines are assigned to this host"},
    Answer{"vm_runtimes_real_user_fkey", false, gone, "user.not_found", "there is no such user"},
    Answer{"sessions_node_fkey", false, gone, "node.not_found", "there is no such host"},
    Answer{"sessions_node_fkey", true, taken, "node.has_sessions",
           "users are connected through this host"},
    Answer{"sessions_vm_fkey", false, gone, "vm.not_found", "there is no such vm"},
    Answer{"sessions_user_fkey", false, gone, "user.not_found", "there is no such user"},
    Answer{"user_properties_owner_fkey", false, gone, "user.not_found", "there is no such user"},
    Answer{"vm_properties_owner_fkey", false, gone, "vm.not_found", "there is no such vm"},
    Answer{"osf_properties_owner_fkey", false, gone, "osf.not_found", "there is no such osf"},
    Answer{"di_properties_owner_fkey", false, gone, "di.not_found", "there is no such image"},
    Answer{"node_properties_owner_fkey", false, gone, "node.not_found", "there is no such host"},
    Answer{"osfs_memory_check", false, wrong, "osf.memory",
           "the memory of an osf must be between 1 MiB and 16 TiB"},
    Answer{"osfs_user_storage_check", false, wrong, "osf.user_storage",
           "the user storage of an osf must be 0 or a number of MiB up to 1 PiB"},
};

}  // namespace

Error down(std::string_view why) {
    return {ErrorKind::unavailable, "store.down",
            "the database cannot be used: " + std::string(why)};
}

Error missing(std::string_view what, std::int64_t id) {
    return {ErrorKind::not_found, std::string(what) + ".not_found",
            "there is no " + std::string(what) + " " + std::to_string(id)};
}

Error conflict(std::string code, std::string sentence) {
    return {ErrorKind::conflict, std::move(code), std::move(sentence)};
}

Error no_command(VmId vm) {
    return conflict("vm.no_command",
                    "the order for vm " + vm.text() + " was withdrawn or taken already");
}

Error not_orderable(VmId vm, VmCommand command, VmState state, int phase) {
    std::string wanted;
    for (const VmState one :
         {VmState::running, VmState::debug, VmState::paused, VmState::suspended})
        if (may_be_ordered(command, one))
            wanted += (wanted.empty() ? "" : " or ") + std::string(to_string(one));
    return conflict("vm.state", "vm " + vm.text() + " is " + to_string(state, phase) +
                                    "; only one that is " + wanted + " can be ordered to " +
                                    std::string(to_string(command)));
}

Error order_pending(VmId vm) {
    return conflict("vm.order_pending",
                    "vm " + vm.text() + " has another order that its node has not taken yet");
}

Error not_stranded(VmId vm) {
    return conflict("vm.not_stranded",
                    "nothing of vm " + vm.text() + " waits for a dead host, or not any more");
}

Error node_unavailable(std::string_view host, std::string_view what) {
    return {ErrorKind::unavailable, "node.unavailable",
            "host " + std::string(host) + " is " + std::string(what)};
}

Error node_full(std::string_view host) {
    return {ErrorKind::unavailable, "node.full",
            "host " + std::string(host) + " has no memory left for this virtual machine"};
}

Error no_retry(VmId vm) {
    return conflict("vm.no_retry", "nobody wants vm " + vm.text() + " to be started again by now");
}

Error no_checkpoint(VmId vm) {
    return conflict("vm.no_checkpoint",
                    "vm " + vm.text() + " has no checkpoint (`qa vm checkpoint` makes one)");
}

Error no_checkpoint_image(VmId vm) {
    return conflict("vm.checkpoint_image", "the image that vm " + vm.text() +
                                               " ran when its checkpoint was made has been "
                                               "deleted: it cannot be brought back");
}

Error alive(std::string_view host, std::int64_t seconds) {
    return conflict("node.alive", "the host " + std::string(host) + " reported " +
                                      std::to_string(seconds) +
                                      " s ago: stop its qvd-node first (`qvd-node stop` there)");
}

Error violated(std::string_view constraint, bool deleting) {
    for (const Answer& answer : known)
        if (answer.constraint == constraint && answer.deleting == deleting)
            return {answer.kind, std::string(answer.code), std::string(answer.sentence)};
    return {ErrorKind::conflict, "store.constraint",
            "the database refuses the change (" + std::string(constraint) + ")"};
}

}  // namespace qvd::store::answers
