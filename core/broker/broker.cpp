#include "broker/broker.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "broker/agent_calls.hpp"
#include "broker/keys.hpp"
#include "broker/spawn.hpp"
#include "config/keys.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

// What an incomplete configuration or a missing database is looked at again after.
constexpr Milliseconds try_again{2000};
// How often the age of the tickets' secret is looked at.
constexpr Milliseconds secret_check{60'000};
// A draining broker that had nothing to do for so long is not needed any more.
constexpr Milliseconds drain_quiet{1000};

std::string node_name_of(const config::View& view) {
    if (const auto name = view.find(config::nodename); name && !name->empty()) return *name;
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return host.data();
}

constexpr std::chrono::hours ticket_secret_age{24};

// How often the workers hear of each other's connections.
constexpr Milliseconds crowd_pause{200};
constexpr Milliseconds crowd_check{60'000};
// Making a user's home says nothing while it lasts.
constexpr std::chrono::seconds longest_provisioning{600};

std::uint32_t ms(Milliseconds time) {
    return static_cast<std::uint32_t>(time.count());
}

}  // namespace

Broker::Broker(EventLoop& loop, net::RoleLink& link, config::View file_view,
               std::unique_ptr<store::Store> store, const Clock& clock, plugin::Catalogue installed,
               SessionRows::Runs runs, Milliseconds inventory_age)
    : loop_(loop),
      link_(link),
      file_view_(std::move(file_view)),
      store_(std::move(store)),
      installed_(std::move(installed)),
      clock_(clock),
      ends_(loop.get_executor()),
      host_(loop, file_view_, store_.get()),
      registry_(host_, installed_),
      context_{file_view_,
               *store_,
               clock_,
               agent::Client(loop.get_executor()),
               nullptr,
               nullptr,
               FailedLogins(clock_),
               vms_,
               sessions_,
               ends_,
               node_name_of(file_view_)},
      rows_(
          context_, [this] { return linked_workers(); }, std::move(runs)),
      inventories_(*store_),
      inventory_age_(inventory_age) {
}

Broker::~Broker() = default;

asio::awaitable<void> Broker::run() {
    listening_ = store_->listen([this](const store::Announcement& what) { hear(what); });
    spawn_contained(loop_.get_executor(), keep_crowd());
    spawn_contained(loop_.get_executor(), rows_.keep_looking());
    co_await refresh();
    if (stopping_) co_return;
    spawn_contained(loop_.get_executor(), keep_inventory());
    spawn_contained(loop_.get_executor(), rows_.keep_comparing());
    spawn_contained(loop_.get_executor(), stranded_.keep_looking());
    while (!stopping_) {
        if (outdated_) {
            co_await refresh();
            continue;
        }
        co_await changed_.wait(secret_check);
        share_configuration();  // the secret of the tickets grows old
    }
}

// Loads until it succeeds; a node that was configured goes on with what it had.
asio::awaitable<void> Broker::refresh() {
    while (!stopping_) {
        outdated_ = false;
        const auto loaded = co_await load_configuration();
        if (loaded.ok()) {
            report_status("");
            report_supervisor_settings();
            (void)link_.send(net::report::Ready{});
            co_return;
        }
        const bool refused = loaded.error().code().starts_with("plugin.");
        report_status((configuration_ ? "the new configuration is not used: " : "unconfigured: ") +
                          loaded.error().sentence(),
                      refused ? "plugin.refused" : "broker.status");
        co_await changed_.wait(try_again);
        if (configuration_ && !outdated_) outdated_ = true;
    }
}

Async<void> Broker::load_configuration() {
    QVD_CO_TRY(const auto values, co_await store_->configuration());
    if (configuration_ && values == loaded_) {
        // A new certificate is announced the same way.
        QVD_CO_TRY(configuration_, co_await worker_configuration(context_.view));
        share_configuration();
        co_return Result<void>{};
    }
    const config::View::Values database(values.begin(), values.end());
    QVD_CO_TRY(config::View view, with_plugin_keys(registry_, file_view_.with_database(database)));
    log_findings(view);
    // Plugins are made with the new values; should one not come up, the old ones stay in force.
    const config::View before = host_.view();
    host_.set_view(view);
    const auto used = co_await use_configuration(std::move(view));
    if (!used.ok()) {
        host_.set_view(before);
        co_return used.error();
    }
    loaded_ = values;
    context_.configured.notify();
    share_configuration();
    log::info("broker.configured", {{"node", context_.node_name}}, "");
    co_return Result<void>{};
}

// All of it, or nothing.
Async<void> Broker::use_configuration(config::View view) {
    // A balancer's init() shows it the farm as it is.
    if (!inventory_taken_) QVD_CO_CHECK(co_await take_inventory());
    QVD_CO_TRY(LoginPlugins plugins, co_await make_plugins(registry_, host_));
    QVD_CO_TRY(configuration_, co_await worker_configuration(view));
    context_.view = std::move(view);
    context_.authenticators = std::move(plugins.authenticators);
    context_.balancer = std::move(plugins.balancer);
    co_return Result<void>{};
}

// A key of a plugin that this role does not load is no mistake.
void Broker::log_findings(const config::View& view) {
    std::set<std::string> texts;
    for (const config::Finding& finding : view.findings()) {
        if (view.keys().find(finding.key) == nullptr && plugin::declares(installed_, finding.key))
            continue;
        texts.insert(finding.text());
        // Said once, however often it is read.
        if (!findings_.contains(finding.text()))
            log::warn("config.finding", {{"key", finding.key}}, finding.text());
    }
    findings_ = std::move(texts);
}

Async<net::Configure> Broker::worker_configuration(config::View view) {
    net::Configure configure;
    configure.use_tls = view.get(use_ssl);
    configure.require_client_certificate = view.get(client_certificate_required);
    configure.ciphers = view.get(ciphers);
    configure.max_head_bytes = static_cast<std::uint32_t>(view.get(head_limit));
    configure.first_byte_ms = ms(view.get(first_byte_timeout));
    configure.head_ms = ms(view.get(head_timeout));
    configure.idle_ms = ms(view.get(idle_timeout));
    configure.question_ms = ms(view.get(question_timeout));
    configure.half_close_ms = ms(view.get(half_close_timeout));
    configure.connect_ms = ms(view.get(screen_timeout));
    // Beyond everything that a story waits for: this one is for stories that have got lost.
    configure.answer_ms =
        ms(view.get(takeover_timeout) + view.get(vm_stop_timeout) + view.get(vm_start_timeout) +
           view.get(x_start_timeout) + longest_provisioning);
    configure.connections = static_cast<std::uint32_t>(view.get(connection_limit));
    configure.connections_per_address =
        static_cast<std::uint32_t>(view.get(connection_limit_per_address));
    if (!configure.use_tls) co_return configure;
    QVD_CO_TRY(auto material, co_await store_->certificate());
    if (!material)
        co_return Error{ErrorKind::not_found, "certificate.missing",
                        "there is no certificate; set one with `qa config ssl key=FILE cert=FILE`"};
    configure.certificate = material->certificate;
    configure.key = material->key;
    configure.client_ca = material->ca;
    configure.client_crl = material->crl;
    // `qa` takes no longer one; whoever writes the database himself hears of it here.
    if (net::tls_material_bytes(configure) > net::max_tls_material_bytes)
        co_return Error{ErrorKind::invalid, "certificate.too_long",
                        "certificate, key, authorities and revocation list are longer than " +
                            std::to_string(net::max_tls_material_bytes) + " bytes together"};
    co_return configure;
}

// To each linked worker what it does not have yet.
void Broker::share_configuration() {
    std::erase_if(workers_, [](const Linked& known) { return known.worker.expired(); });
    if (!configuration_ || stopping_) return;
    renew_ticket_secret();
    net::Configure whole = *configuration_;
    whole.ticket_secret = ticket_secret_;
    whole.workers = static_cast<std::uint32_t>(workers_.size());
    const auto packet = net::encode(whole);
    for (Linked& known : workers_) {
        const auto worker = known.worker.lock();
        if (!worker || (packet.ok() && known.configured.equals(*packet))) continue;
        worker->configure(whole);
        if (packet.ok()) known.configured = Secret{*packet};
    }
}

// A ticket that was stolen with the secret is worth nothing a day later.
void Broker::renew_ticket_secret() {
    if (!ticket_secret_.empty() && clock_.now() - ticket_secret_made_ < ticket_secret_age) return;
    ticket_secret_ = random_token(32);
    ticket_secret_made_ = clock_.now();
}

void Broker::hear(const store::Announcement& what) {
    using What = store::Announcement::What;
    switch (what.what) {
        case What::vm_state:
        case What::session_end:
            vms_.announce(what.vm);
            break;
        case What::session_abort:
            rows_.look_soon();
            break;
        case What::vm_command:
            break;
        case What::vms:
            inventories_.outdate_vms();
            break;
        case What::operators:
            check_operators();
            break;
        case What::configuration:
            outdated_ = true;
            changed_.notify();
            break;
        case What::everything:
            vms_.announce_everything();
            inventories_.outdate_vms();
            ends_.try_again();
            rows_.look_soon();
            check_operators();
            outdated_ = true;
            changed_.notify();
            break;
    }
}

void Broker::check_operators() {
    if (!context_.operator_streams.empty())
        spawn_contained(loop_.get_executor(), context_.operator_streams.check(*store_));
}

asio::awaitable<void> Broker::keep_inventory() {
    for (;;) {
        co_await stopped_.wait(inventory_age_);
        if (stopping_) co_return;
        check_operators();
        // Without the database the plugins keep what they saw last.
        (void)co_await take_inventory();
        report_metrics();
    }
}

Async<void> Broker::take_inventory() {
    QVD_CO_TRY(auto inventory, co_await inventories_.take());
    host_.set_inventory(std::move(inventory));
    inventory_taken_ = true;
    co_return Result<void>{};
}

// The broker has no socket of its own: what its plugins count goes to the log when it has changed.
void Broker::report_metrics() {
    log::Fields changed;
    for (const auto& metric : host_.metrics()) {
        const std::int64_t value = metric->value;
        const auto [known, first] = metrics_.try_emplace(metric->name, 0);
        if (std::exchange(known->second, value) != value || first)
            changed.emplace_back(metric->name, value);
    }
    if (!changed.empty()) log::info("plugin.metrics", changed, "");
}

asio::awaitable<void> Broker::keep_crowd() {
    while (!stopping_) {
        for (const Linked& known : workers_) {
            const auto worker = known.worker.lock();
            if (!worker) continue;
            for (const net::Connections& news : crowd_.news_for(worker.get())) worker->tell(news);
        }
        co_await stopped_.wait(crowd_pause);
        if (!crowd_.has_news()) co_await crowd_changed_.wait(crowd_check);
    }
}

std::vector<std::shared_ptr<WorkerLink>> Broker::linked_workers() const {
    std::vector<std::shared_ptr<WorkerLink>> links;
    for (const Linked& known : workers_)
        if (auto worker = known.worker.lock()) links.push_back(std::move(worker));
    return links;
}

std::size_t Broker::stories() const {
    std::size_t sum = ends_.size();
    for (const auto& worker : linked_workers()) sum += worker->stories();
    return sum;
}

std::uint64_t Broker::requests_begun() const {
    std::uint64_t sum = 0;
    for (const auto& worker : linked_workers()) sum += worker->begun();
    return sum;
}

asio::awaitable<void> Broker::drain() {
    rows_.leave_comparing();
    log::info("broker.draining", {{"stories", stories()}, {"sessions", sessions_.size()}}, "");
    for (;;) {
        const std::uint64_t begun = requests_begun();
        const bool idle = stories() == 0;
        co_await stopped_.wait(drain_quiet);
        if (stopping_ || (idle && stories() == 0 && requests_begun() <= begun)) co_return;
    }
}

void Broker::add_worker(UniqueFd socket) {
    auto channel = std::make_shared<net::FrameChannel>(loop_.get_executor(), std::move(socket));
    auto worker = std::make_shared<WorkerLink>(
        context_, std::move(channel), [this] { rows_.compare_soon(); },
        [this](const WorkerLink& teller, const net::Connections& held) {
            crowd_.set(&teller, held);
            crowd_changed_.notify();
        });
    workers_.push_back({worker, {}});
    crowd_.add(worker.get());
    share_configuration();
    spawn_contained(loop_.get_executor(), keep_worker(std::move(worker)));
}

asio::awaitable<void> Broker::keep_worker(std::shared_ptr<WorkerLink> worker) {
    co_await worker->run();
    crowd_.remove(worker.get());
    crowd_changed_.notify();
    worker.reset();
    share_configuration();
    rows_.compare_soon();
}

void Broker::add_hkd(UniqueFd socket) {
    auto channel = std::make_shared<net::FrameChannel>(loop_.get_executor(), std::move(socket));
    spawn_contained(loop_.get_executor(), serve_hkd(context_, std::move(channel)));
}

void Broker::report_status(const std::string& text, std::string_view event) {
    if (text == status_) return;
    status_ = text;
    if (!text.empty()) log::warn(event, {}, text);
    (void)link_.send(net::report::Status{text});
}

// The supervisor has no database; its own keys reach it through here.
void Broker::report_supervisor_settings() {
    for (const char* key : {"l7r.address", "l7r.port", "l7r.workers", "l7r.drain.timeout"}) {
        const config::Setting* setting = context_.view.setting(key);
        if (setting == nullptr) continue;
        std::optional<std::string> value;
        if (setting->origin == config::Origin::database) value = setting->value;
        (void)link_.send(net::report::Setting{key, value});
    }
}

void Broker::stop() {
    stopping_ = true;
    changed_.notify();
    stopped_.notify();
    crowd_changed_.notify();
    ends_.close();
    rows_.stop();
    stranded_.stop();
    for (const Linked& known : workers_)
        if (const auto worker = known.worker.lock()) worker->close();
}

}  // namespace qvd::broker
