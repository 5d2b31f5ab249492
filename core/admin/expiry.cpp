// Image ageing (manual, chapter 14): limits of VMs that go on with an older image.
#include "admin/administration.hpp"
#include "admin/at_time.hpp"

namespace qvd::admin {

namespace {

// An empty text takes the limit away.
Result<std::optional<std::optional<Timestamp>>> limit_of(const char* name,
                                                         const std::optional<std::string>& text,
                                                         Timestamp now) {
    if (!text) return std::optional<std::optional<Timestamp>>{};
    if (text->empty()) return std::optional<std::optional<Timestamp>>{std::in_place};
    const auto parsed = parse_at_time(*text, now);
    if (!parsed.ok()) return parsed.error().within(name);
    return std::optional<std::optional<Timestamp>>{std::in_place, *parsed};
}

}  // namespace

Async<store::Expiry> Administration::resolved(ExpiryTexts texts) {
    store::Expiry expiry;
    if (!texts.soft && !texts.hard) co_return expiry;
    QVD_CO_TRY(const Timestamp now, co_await store_.now());
    QVD_CO_TRY(expiry.soft, limit_of("expire-soft", texts.soft, now));
    QVD_CO_TRY(expiry.hard, limit_of("expire-hard", texts.hard, now));
    co_return expiry;
}

// Also where nothing was said: VMs that run the right image again lose their limits.
Async<Expired> Administration::limit_vms(std::set<VmId> vms, store::Expiry expiry) {
    Expired expired;
    expired.asked = expiry.soft || expiry.hard;
    expired.soft = expiry.soft.value_or(std::nullopt);
    expired.hard = expiry.hard.value_or(std::nullopt);
    if (vms.empty()) co_return expired;
    QVD_CO_TRY(const auto limited, co_await store_.set_expiry(std::move(vms), expiry));
    expired.vms = static_cast<int>(limited.size());
    co_return expired;
}

Async<std::set<VmId>> Administration::vms_tagged(OsfId osf, std::set<std::string> tags) {
    QVD_CO_TRY(const auto records, co_await store_.vms());
    std::set<VmId> vms;
    for (const store::VmRecord& record : records)
        if (record.vm.osf == osf && tags.contains(record.vm.di_tag)) vms.insert(record.vm.id);
    co_return vms;
}

}  // namespace qvd::admin
