// The container's console: a terminal of the keeper's whose other end liblxc connects to
// /dev/console of the container. What comes out of it goes to a bounded log and to whoever is
// connected to the console socket (a raw stream); what they type goes in.
#pragma once

#include "common/unique_fd.hpp"

#include <poll.h>

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::lxc {

class Console {
public:
    // The log is kept below twice `limit_bytes`: FILE and FILE.1.
    Console(std::string socket_path, std::string log_path, std::int64_t limit_bytes);

    // Makes terminal, socket and log; false with errno.
    bool open();
    [[nodiscard]] const std::string& terminal() const { return terminal_; }
    void remove_socket();

    void add_to(std::vector<pollfd>& polled) const;
    // Serves one descriptor that add_to() gave and poll() found ready; others are not touched.
    void serve(const pollfd& ready);
    // Takes what the container wrote last.
    void drain();

private:
    void accept_one();
    bool from_terminal();
    void from_client(int fd);
    void log(const char* bytes, std::size_t count);

    std::string socket_path_;
    std::string log_path_;
    std::int64_t limit_bytes_;
    std::int64_t logged_bytes_ = 0;
    std::string terminal_;
    UniqueFd master_;
    UniqueFd slave_;  // held open, so that the terminal lives through a reboot of the container
    UniqueFd listener_;
    UniqueFd log_;
    std::vector<UniqueFd> clients_;
};

}  // namespace qvd::lxc
