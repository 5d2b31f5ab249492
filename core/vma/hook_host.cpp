#include "vma/hook_host.hpp"

#include "base/text.hpp"
#include "vma/hook_core.hpp"
#include "vma/process.hpp"

#include <qvd/vma_hook.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace qvd::vma {

std::string encode_packet(const Packet& packet) {
    std::string bytes;
    for (const auto& [name, value] : packet)
        bytes += text::percent_encode(name) + "=" + text::percent_encode(value) + "\n";
    return bytes;
}

Packet decode_packet(std::string_view bytes) {
    Packet packet;
    for (const std::string& line : text::split(bytes, '\n')) {
        const std::size_t equals = line.find('=');
        if (equals == std::string::npos) continue;
        const auto name = text::percent_decode(line.substr(0, equals), false);
        const auto value = text::percent_decode(line.substr(equals + 1), false);
        if (name && value) packet[*name] = *value;
    }
    return packet;
}

namespace {

Error bad_plugin(const std::string& path, std::string_view what) {
    return {ErrorKind::invalid, "plugin.load", path + ": " + std::string(what)};
}

// Root runs what is in it: nobody else may have been able to put it there.
Result<void> check_owner(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0)
        return bad_plugin(path, "there is no such file (vma.hook.plugins names it)");
    if (facts.st_uid != 0 || (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return bad_plugin(path, "it must belong to root and be writable by nobody else");
    return {};
}

Result<const qvd_plugin*> load_manifest(const std::string& path, const std::string& name) {
    QVD_CHECK(check_owner(path));
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return bad_plugin(path, ::dlerror());  // NOLINT(concurrency-mt-unsafe)
    const auto entry = reinterpret_cast<const qvd_plugin* (*)()>(  // NOLINT: what dlsym() is for
        ::dlsym(library, "qvd_plugin_v1"));
    if (entry == nullptr) return bad_plugin(path, "it does not export qvd_plugin_v1");
    const qvd_plugin* const manifest = entry();
    if (manifest == nullptr || !QVD_HAS(qvd_plugin, manifest, keys))
        return bad_plugin(path, "its manifest is too short");
    if (manifest->abi_major != QVD_ABI_MAJOR || manifest->draft != QVD_ABI_DRAFT)
        return bad_plugin(path,
                          "it was built for another version of the plugin interface: rebuild it");
    if (manifest->name == nullptr || manifest->name != name)
        return bad_plugin(path, "its manifest has another name than its file");
    return manifest;
}

Result<const qvd_vma_hook*> find_hook(const std::string& path, const qvd_plugin& manifest) {
    for (std::size_t i = 0; i < manifest.interfaces.count; ++i) {
        const auto* const offered =
            static_cast<const qvd_interface*>(qvd_array_at(&manifest.interfaces, i));
        if (offered->id == nullptr || std::string_view(offered->id) != QVD_VMA_HOOK) continue;
        const auto* const hook = static_cast<const qvd_vma_hook*>(offered->table);
        if (hook == nullptr || !QVD_HAS(qvd_vma_hook, hook, destroy) || hook->create == nullptr)
            return bad_plugin(path, "its table of " QVD_VMA_HOOK " is incomplete");
        return hook;
    }
    return bad_plugin(path, "it is no VmaHook plugin: it does not offer " QVD_VMA_HOOK);
}

qvd_str as_str(const std::string& text) {
    return {text.c_str(), text.size()};
}

std::int64_t number_of(const Packet& request, std::string_view name) {
    const auto found = request.find(name);
    return found == request.end() ? 0 : text::to_integer(found->second).value_or(0);
}

// What a plugin sees of one event; borrows from the request.
class Lent {
public:
    explicit Lent(const Packet& request) {
        for (const auto& [name, value] : request)
            if (name.starts_with("p."))
                parameters_.push_back(
                    {sizeof(qvd_property), 0, {name.c_str() + 2, name.size() - 2}, as_str(value)});
        session_.size = sizeof session_;
        session_.event = of(request, "word");
        session_.vm_id = static_cast<std::uint64_t>(number_of(request, "vm"));
        session_.user_name = of(request, "user.name");
        session_.user_home = of(request, "user.home");
        session_.parameters = {parameters_.data(), parameters_.size(), sizeof(qvd_property)};
    }
    [[nodiscard]] const qvd_session* session() const { return &session_; }

private:
    static qvd_str of(const Packet& request, std::string_view name) {
        const auto found = request.find(name);
        return found == request.end() ? qvd_str{"", 0} : as_str(found->second);
    }

    std::vector<qvd_property> parameters_;
    qvd_session session_{};
};

qvd_status call_hook(const qvd_vma_hook& hook, void* self, const Packet& request, qvd_call* call) {
    const Lent lent(request);
    const auto number = static_cast<std::uint32_t>(number_of(request, "number"));
    switch (number_of(request, "kind")) {
        case 0:
            return QVD_HAS(qvd_vma_hook, &hook, on_action) && hook.on_action != nullptr
                       ? hook.on_action(self, number, lent.session(), call)
                       : QVD_DECLINED;
        case 1:
            return QVD_HAS(qvd_vma_hook, &hook, on_state) && hook.on_state != nullptr
                       ? hook.on_state(self, number, lent.session(), call)
                       : QVD_DECLINED;
        default:
            return QVD_HAS(qvd_vma_hook, &hook, on_provisioning) && hook.on_provisioning != nullptr
                       ? hook.on_provisioning(self, number, lent.session(), call)
                       : QVD_DECLINED;
    }
}

void send_packet(int socket, const Packet& packet) {
    const std::string bytes = encode_packet(packet);
    if (::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) ::_exit(1);
}

// Nothing of the agent's stays open here but this socket and the standard streams.
int leave_agent(int socket) {
    reset_signals();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setsid();
    constexpr int kept = 3;
    if (socket != kept && ::dup3(socket, kept, O_CLOEXEC) < 0) ::_exit(1);
    ::syscall(SYS_close_range, kept + 1, ~0U, 0);
    return kept;
}

Result<const qvd_vma_hook*> create(const std::string& path, const std::string& name,
                                   const config::Properties& file, HookCore& core, void** self) {
    QVD_TRY(const qvd_plugin* const manifest, load_manifest(path, name));
    QVD_TRY(const qvd_vma_hook* const hook, find_hook(path, *manifest));
    QVD_CHECK(core.configure(*manifest, file));
    HookCall call(Milliseconds{10'000});
    const qvd_status status = core.run([&] { return hook->create(core.table(), &call, self); });
    if (status != QVD_OK)
        return bad_plugin(path, "it does not start: " + (call.sentence().empty()
                                                             ? "status " + std::to_string(status)
                                                             : call.sentence()));
    return hook;
}

}  // namespace

void run_hook_host(int socket, const std::string& plugin, const Settings& settings,
                   const config::Properties& file) {
    const int agent = leave_agent(socket);
    // Never destroyed: the plugin may have threads that use it until the process ends.
    auto& core = *new HookCore(  // NOLINT(cppcoreguidelines-owning-memory)
        plugin, [agent](const Packet& packet) { send_packet(agent, packet); });
    void* self = nullptr;
    const std::string path = settings.plugin_folder + "/qvd-" + plugin + ".so";
    const auto hook = create(path, plugin, file, core, &self);
    if (!hook.ok()) {
        send_packet(agent, {{"id", "0"}, {"status", "1"}, {"sentence", hook.error().sentence()}});
        ::_exit(1);
    }
    send_packet(agent, {{"id", "0"}, {"status", "0"}});  // calls have ids from 1
    for (std::string bytes(packet_limit, '\0');;) {
        const ssize_t got = ::recv(agent, bytes.data(), bytes.size(), 0);
        if (got <= 0) ::_exit(0);
        const Packet request =
            decode_packet(std::string_view(bytes).substr(0, static_cast<std::size_t>(got)));
        HookCall call(Milliseconds{number_of(request, "limit")});
        qvd_status status = core.run([&] { return call_hook(**hook, self, request, &call); });
        if (status == QVD_PENDING) status = call.await_completion();
        Packet answer = call.take_results();
        answer["id"] = request.find("id")->second;
        answer["status"] = std::to_string(status);
        answer["sentence"] = call.sentence();
        send_packet(agent, answer);
    }
}

}  // namespace qvd::vma
