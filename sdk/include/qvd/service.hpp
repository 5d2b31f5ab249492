// qvd/service.hpp - what the classes of the core's services share; included by them.
#pragma once

#include <qvd/plugin.hpp>
#include <qvd/services.h>

namespace qvd::sdk::detail {

// Collects what a service records, and the sentence if it fails.
template <class Each>
class Collector {
public:
    Collector(qvd_kind kind, Each each) : kind_(kind), each_(std::move(each)) {}
    Collector(const Collector&) = delete;
    Collector(Collector&&) = delete;
    Collector& operator=(const Collector&) = delete;
    Collector& operator=(Collector&&) = delete;
    ~Collector() = default;

    const qvd_sink* sink() noexcept { return &sink_; }
    // Throws unless the status is QVD_OK or `allowed`.
    qvd_status check(qvd_status status, qvd_status allowed = QVD_OK) {
        if (thrown_) std::rethrow_exception(thrown_);
        if (status == QVD_OK || status == allowed) return status;
        throw Failure(status, sentence_.empty() ? "the core refused without a reason" : sentence_);
    }

private:
    static void record(void* data, qvd_kind kind, const void* raw) noexcept {
        auto* self = static_cast<Collector*>(data);
        if (kind != self->kind_ || self->thrown_) return;
        try {
            self->each_(raw);
        } catch (...) {
            self->thrown_ = std::current_exception();
        }
    }
    static void fail(void* data, qvd_str sentence) noexcept {
        auto* self = static_cast<Collector*>(data);
        try {
            self->sentence_ = view(sentence);
        } catch (...) {
            self->thrown_ = std::current_exception();
        }
    }

    qvd_kind kind_;
    Each each_;
    std::string sentence_;
    std::exception_ptr thrown_;
    qvd_sink sink_{sizeof(qvd_sink), 0, this, &record, &fail};
};

template <class Table>
const Table* needed(const Core& core, const char* id) {
    const auto* table = core.service<Table>(id);
    if (table == nullptr)
        throw Failure(QVD_UNSUPPORTED, std::string("this core has no service ") + id);
    return table;
}

inline const qvd_call* raw_of(const Call* call) noexcept {
    return call != nullptr ? call->raw() : nullptr;
}

// Copies the one record that is expected.
template <class Raw, class Copy>
auto first_of(std::optional<Copy>& copy) {
    return [&copy](const void* raw) { copy = Copy::of(static_cast<const Raw*>(raw)); };
}

}  // namespace qvd::sdk::detail
