#include "base/file.hpp"
#include "base/program.hpp"
#include "base/text.hpp"
#include "image/edit.hpp"
#include "image/script.hpp"
#include "image/terminal.hpp"

#include <unistd.h>

#include <string_view>
#include <utility>

namespace qvd::image {
namespace {

constexpr const char* qemu = "qemu-system-x86_64";
// The guest's network: QEMU's own, which leads outside and lets nobody in.
constexpr const char* card = "52:54:00:71:76:64";
constexpr const char* network =
    "mac=52:54:00:71:76:64\naddress=10.0.2.15/24\ngateway=10.0.2.2\ndns=10.0.2.3\n";

Error failure(const std::string& code, const std::string& sentence) {
    return {ErrorKind::unavailable, "image." + code, sentence};
}

class DiskEdit : public Edit {
public:
    explicit DiskEdit(EditOrder order) : order_(std::move(order)) {}

    Result<void> open() override;
    Result<int> enter() override;
    Result<void> write(const std::string& output) override;

private:
    [[nodiscard]] std::string file(const char* name) const { return order_.work + "/" + name; }
    [[nodiscard]] const char* format() const {
        return order_.image.ends_with(".qcow2") ? "qcow2" : "raw";
    }
    Result<void> qemu_img(std::vector<std::string> arguments) const;
    [[nodiscard]] std::vector<std::string> machine() const;
    Result<int> status_said() const;

    EditOrder order_;
};

Result<void> DiskEdit::qemu_img(std::vector<std::string> arguments) const {
    std::string last;
    arguments.insert(arguments.begin(), "qemu-img");
    Command command{std::move(arguments), {{"LC_ALL", "C.UTF-8"}}};
    command.stop_fd = order_.stop_fd;
    QVD_TRY(const int status, run_command(command, [&](const std::string& line) { last = line; }));
    if (status == 0) return {};
    const bool full = last.find("No space left") != std::string::npos;
    return failure(full ? "no_space" : "build", last);
}

Result<void> DiskEdit::open() {
    for (const auto& [tool, package] :
         {std::pair{qemu, "qemu-system-x86"}, std::pair{"qemu-img", "qemu-utils"}})
        if (!program::is_there(tool))
            return failure("tool",
                           std::string(tool) + " is not installed: apt-get install " + package);
    // A person gets a shell, of whichever image takes this; others ask for a login.
    std::string said = "shell\n";
    if (!order_.command.empty()) {
        said = "command\n";
        for (const std::string& word : order_.command) said += shell_word(word) + " ";
    }
    QVD_CHECK(file::write_atomic(file("edit"), said, 0600));
    QVD_CHECK(file::write_atomic(file("network"), network, 0600));
    QVD_CHECK(file::write_atomic(file("status"), "", 0600));
    return qemu_img(
        {"create", "-q", "-f", "qcow2", "-F", format(), "-b", order_.image, file("disk.qcow2")});
}

std::vector<std::string> DiskEdit::machine() const {
    const bool kvm = order_.accelerator == "kvm";
    return {qemu, "-name", "qvd-edit", "-nodefaults", "-no-user-config", "-machine", "pc", "-accel",
            kvm ? "kvm" : "tcg", "-cpu", kvm ? "host" : "max", "-smp", "2", "-m", "1024",
            "-display", "none", "-no-reboot",
            // What fails is thrown away: nothing waits for the disk.
            "-drive", "file=" + file("disk.qcow2") + ",if=virtio,format=qcow2,cache=unsafe",
            "-netdev", "user,id=outside", "-device",
            std::string("virtio-net-pci,netdev=outside,mac=") + card, "-fw_cfg",
            "name=opt/org.qvd/edit,file=" + file("edit"), "-fw_cfg",
            "name=opt/org.qvd/network,file=" + file("network"), "-chardev",
            order_.command.empty() ? "stdio,id=console,mux=on,signal=off" : "stdio,id=console",
            "-serial", "chardev:console", "-serial", "file:" + file("status")};
}

// What the guest told at its second serial line.
Result<int> DiskEdit::status_said() const {
    QVD_TRY(const std::string said, file::read(file("status")));
    const auto status = text::to_integer(text::trim(said));
    if (status) return static_cast<int>(*status);
    if (order_.command.empty()) return 0;
    return failure("edit",
                   "the virtual machine ended without a word of the command: images whose recipe "
                   "extends debian-base.yaml run one, others are edited at their console");
}

Result<int> DiskEdit::enter() {
    const bool person = order_.command.empty();
    Command guest{machine()};
    if (person) guest.arguments.insert(guest.arguments.end(), {"-mon", "chardev=console"});
    guest.stop_fd = order_.stop_fd;
    QVD_TRY(const int status, run_at_terminal(guest, person));
    if (status != 0)
        return failure("edit", "the virtual machine failed: " + std::string(qemu) +
                                   " ended with status " + std::to_string(status));
    return status_said();
}

Result<void> DiskEdit::write(const std::string& output) {
    return qemu_img({"convert", "-O", format(), file("disk.qcow2"), output});
}

}  // namespace

std::unique_ptr<Edit> edit_disk(EditOrder order) {
    return std::make_unique<DiskEdit>(std::move(order));
}

}  // namespace qvd::image
