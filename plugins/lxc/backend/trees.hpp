// How trees of files are made and removed; on a file system that knows more than folders there are
// better ways than the plain ones.
#pragma once

#include <atomic>
#include <string>

namespace qvd::lxc {

// Plain folders. Used by several threads at once.
class Trees {
public:
    Trees() = default;
    Trees(const Trees&) = delete;
    Trees& operator=(const Trees&) = delete;
    virtual ~Trees() = default;

    // Makes an empty tree; throws sdk::Failure if it cannot, or there is one.
    virtual void make(const std::string& path) const;
    // From now on nobody changes what is in it, where the file system can see to that. False with
    // errno.
    [[nodiscard]] virtual bool seal(const std::string& path) const;
    // Removes it with everything below; stops early if `stop` becomes true. True once it is gone.
    virtual bool remove(const std::string& path, const std::atomic<bool>* stop) const;
};

}  // namespace qvd::lxc
