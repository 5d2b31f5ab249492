// Removing one thing from the storage, in the way that is right for it.
#pragma once

#include "hkd/backend.hpp"
#include "hkd/collector/aside.hpp"
#include "hkd/collector/stock.hpp"
#include "hkd/images.hpp"

namespace qvd::hkd {

class Remover {
public:
    // All outlive it. `is_used_here`: a VM of this node has it, whatever the database says.
    Remover(Backend& backend, Images& images, const Clock& clock, Aside& aside,
            std::function<bool(const Item&)> is_used_here)
        : backend_(backend),
          images_(images),
          clock_(clock),
          aside_(aside),
          is_used_here_(std::move(is_used_here)) {}

    // Of a deleted VM: with all that its hypervisor has of it, but never a home unless the item is
    // one. Gone from its place when it returns; large trees lose their space a little later.
    // Errors: conflict "storage.in_use" while somebody works at it, storage.not_removed, and the
    // hypervisor's.
    Async<void> remove(Item item, bool vm_is_deleted);

private:
    Async<void> remove_of_vm(Item item);
    Async<void> remove_tree(Item item);
    Async<void> remove_plain(Item item);

    Backend& backend_;
    Images& images_;
    const Clock& clock_;
    Aside& aside_;
    std::function<bool(const Item&)> is_used_here_;
};

}  // namespace qvd::hkd
