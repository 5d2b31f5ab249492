// One VM on this node: what happens to it becomes events of model/vm_life, in their order, and each
// state it enters is written to the database and sets the state's work going.
#pragma once

#include "hkd/agent_calls.hpp"
#include "hkd/backend.hpp"
#include "hkd/images.hpp"
#include "hkd/kept_logs.hpp"
#include "hkd/limits.hpp"
#include "hkd/neighbours.hpp"
#include "hkd/schedule.hpp"
#include "hkd/slots.hpp"
#include "hkd/why.hpp"
#include "model/vm_life.hpp"
#include "store/store.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <deque>
#include <functional>
#include <memory>

namespace qvd::hkd {

// What the handlers of a node share; belongs to its event loop and outlives it.
struct Workshop {
    Workshop(boost::asio::any_io_executor loop, store::Store& its_store, Backend& its_backend,
             AgentCalls& its_agents, Schedule& its_schedule, const Limits& its_limits)
        : executor(std::move(loop)),
          store(its_store),
          backend(its_backend),
          agents(its_agents),
          schedule(its_schedule),
          limits(std::make_shared<const Limits>(its_limits)),
          slots(its_schedule, its_limits.starting_max),
          images(its_backend, its_schedule) {}

    boost::asio::any_io_executor executor;
    store::Store& store;
    Backend& backend;
    AgentCalls& agents;
    Schedule& schedule;
    std::shared_ptr<const Limits> limits;  // replaced when configuration changes
    Slots slots;
    Images images;
    KeptLogs logs{""};           // replaced when configuration changes
    bool database_away = false;  // its last answer to whoever looks for orders was an error
    std::function<Neighbour(const std::string& address)> neighbour = &hkd::neighbour;
};

// What `qa` and the control socket show beyond the database's row.
struct VmFacts {
    VmId vm;
    std::string name;
    std::int64_t incarnation = 0;
    VmStage stage;
    std::chrono::seconds in_stage{0};
    std::string reason;
    std::string reason_code;
    std::string doing;  // "unpacking the image: 40 %"
    int pid = 0;        // of what keeps it running; 0: not known
};

class VmHandler : public std::enable_shared_from_this<VmHandler> {
public:
    // How a VM ended: what the node needs to decide whether to start it again.
    struct End {
        VmId vm;
        VmStage stage;         // stopped or failed
        int attempt = 0;       // failures in a row, before this one
        bool culpable = true;  // false: not the VM's fault
        // It is to be started again after this long, and the database knows.
        std::optional<Milliseconds> retry_in = {};
    };
    using Over = std::function<void(const End&)>;

    // Of an order just taken: the row says starting_1.
    VmHandler(Workshop& workshop, VmPlan plan, ImagePlan image, int attempt);
    // Of a VM that an earlier hkd left: its stage is the row's.
    VmHandler(Workshop& workshop, VmPlan plan, const VmRuntime& runtime);

    // Each exactly one, and once: begins the work. `over` is called last, from the event loop.
    void start(Over over);
    // As start(), and first removes what an earlier attempt may have left.
    void start_again(Over over);
    // No fault of the VM's: it is neither blocked nor counted as a failure.
    void refuse(const Error& why, Over over);
    void fail_at_once(const Error& why, Over over);  // what was ordered cannot even be planned
    void adopt(const FoundVm& found, Over over);
    void give_up(Why why, Over over);  // it is not there any more
    // Of a suspended VM: what is ordered next wakes it, or ends it.
    void wake(Over over);
    // It was suspended when an earlier hkd did not come to write that down.
    void finish_suspending(Over over);

    void order_stop(Why why);
    // Whatever becomes of it, the order is answered.
    void obey(store::VmOrder order);
    // Of an evacuation that takes too long, whatever the VM thinks of it.
    void order_kill();
    // Tells the agent, which tells the user; at most once an hour, answers are not waited for.
    void tell_expiry(std::optional<Timestamp> soft, std::optional<Timestamp> hard);
    // A survey found it alive; whether it stands still is the hypervisor's to say.
    void seen(const FoundVm& found);
    // The backend reports that it stands still by itself.
    void stands_still(const FoundVm& found);
    // The backend reports that it ended by itself; of an older incarnation it is ignored.
    void ended(const FoundVm& found);
    // A survey did not find it: before it counts as ended, its hypervisor is asked what is left.
    void missing(const FoundVm& end);

    [[nodiscard]] const VmPlan& plan() const { return plan_; }
    [[nodiscard]] VmStage stage() const { return stage_; }
    [[nodiscard]] VmFacts facts() const;

private:
    template <class T>
    using Awaitable = boost::asio::awaitable<T>;

    // `generation` 0: a fact, whatever the stage; otherwise the news is of that stay in a stage.
    struct Occurrence {
        VmEvent event{};
        Why why;
        std::uint64_t generation = 0;
        std::int64_t order = 0;  // that has led to it; 0: none
    };

    void remember(const VmRuntime& runtime);
    void begin(Over over);
    void post(VmEvent event, Why why, std::uint64_t generation);
    void post(VmEvent event, std::uint64_t generation) { post(event, Why(), generation); }
    void post_gone();
    void spawn(Awaitable<void> work);

    // vm_handler.cpp: the life
    Awaitable<void> run();
    Awaitable<std::optional<Occurrence>> next_occurrence();
    Awaitable<void> apply(Occurrence occurrence);
    Awaitable<bool> record(VmStage next, VmEvent event, Why why);
    void judge_failure(store::VmTransition& change);
    Awaitable<bool> until_written(std::function<Async<void>()> write);
    Awaitable<void> destroy_disowned();
    void leave_stage();
    void ignore(const Occurrence& impossible);
    void enter(VmStage before);
    void begin_stage(VmStage before);
    [[nodiscard]] Clock::time_point time_limit() const;
    [[nodiscard]] VmEvent event_of_end() const;
    [[nodiscard]] VmEvent event_of_silence(VmEvent otherwise) const;

    // vm_news.cpp: what becomes of it without an order
    [[nodiscard]] Why why_ended(const std::string& sentence) const;
    void clean_up_after(const FoundVm& found);
    static Why why_paused(const FoundVm& found);
    Awaitable<void> look_what_is_left(std::optional<FoundVm> missed);
    Awaitable<void> look_how_it_is();

    // vm_work.cpp: what is done in each stage; each ends by itself once `generation` is over
    class Silence;
    Awaitable<void> launch(std::uint64_t generation);
    Awaitable<Result<void>> announce();
    Awaitable<Result<void>> start_backend(std::uint64_t generation);
    Awaitable<Result<void>> go_back();
    Awaitable<void> count_as_sound();
    Awaitable<void> await_agent(std::uint64_t generation);
    Awaitable<void> watch_agent(std::uint64_t generation, bool just_answered);
    Awaitable<void> note(const Result<void>& answer, Silence& silence);
    Awaitable<bool> tells(Error unanswered);
    Awaitable<void> watch_for_recovery(std::uint64_t generation);
    Awaitable<void> shut_down(std::uint64_t generation);
    Awaitable<void> terminate(std::uint64_t generation);
    Awaitable<void> tidy();

    // vm_orders.cpp: what is ordered of a VM that runs, stands still or is suspended
    Awaitable<void> carry_out(store::VmOrder order, std::uint64_t generation);
    Awaitable<Result<std::string>> ask_backend(store::VmOrder order);
    Awaitable<Result<VmPlan>> plan_for(VmCommand command);
    void answer_by_stage(const store::VmOrder& order);
    void carried_out(const store::VmOrder& order, const std::string& path);
    Awaitable<void> keep_checkpoint(std::int64_t number, std::string path);
    Awaitable<void> suspended_too_late();
    void answer(std::int64_t order, std::string code, std::string text);
    Awaitable<void> write_answer(std::int64_t order, store::OrderAnswer said);
    Awaitable<void> shut_down_paused(std::uint64_t generation);
    // A suspended VM needs no handler, unless something is done with it.
    [[nodiscard]] bool rests() const {
        return is_over(stage_) || (stage_ == vm_stage::suspended && !waking_);
    }

    Awaitable<void> keep_last_words();
    [[nodiscard]] bool is_failing() const;
    [[nodiscard]] Why why_silent(const std::string& silence, const Error& last) const;
    Awaitable<Result<void>> ping();
    Awaitable<Result<std::string>> call_agent(std::string method, AgentParameters parameters);
    Awaitable<void> call_expire(AgentParameters parameters);
    Awaitable<Result<void>> stop_by_backend();
    Awaitable<void> pause(Milliseconds time);
    [[nodiscard]] bool is_past(std::uint64_t generation) const { return generation != generation_; }

    Workshop* workshop_;
    VmPlan plan_;
    ImagePlan image_;
    VmStage stage_ = vm_stage::starting_1;
    std::uint64_t generation_ = 1;
    Why reason_;
    std::string doing_;
    int pid_ = 0;
    int attempt_ = 0;
    Clock::time_point entered_;
    std::optional<Clock::time_point> up_since_;  // its agent answered first, or we adopted it
    Clock::time_point limit_ = Alarm::never;
    std::optional<Clock::time_point> expiry_told_;
    std::optional<Timestamp> expiry_told_of_;  // a limit that was changed is told at once
    std::deque<Occurrence> news_;
    std::unique_ptr<Alarm> alarm_;              // rung with news
    std::vector<std::weak_ptr<Alarm>> pauses_;  // of works; rung when the stage is left
    Slots turn_;                                // one backend call at a time
    Slots::Slot slot_;                          // while it is starting
    std::string saved_path_;                    // of a suspended VM
    bool waking_ = false;                       // suspended, and something has been ordered
    bool away_ = false;              // what was ordered makes it stand still, or go, for a while
    bool stood_still_ = false;       // it was away since its agent was asked last
    bool looking_ = false;           // what is left of it
    std::optional<FoundVm> missed_;  // its end, as it was told while it was away
    bool stop_wanted_ = false;
    bool kill_wanted_ = false;
    bool ended_ = false;          // its process is gone
    bool ended_cleanly_ = false;  // ... because the guest shut itself down
    bool tidying_ = false;
    bool left_overs_ = false;  // of an earlier attempt, perhaps
    bool gone_ = false;        // nothing of it is left on the node
    bool came_up_ = false;     // its agent has answered
    bool culpable_ = true;
    std::optional<Error> disowned_;  // why the database no longer gives it to us
    Why end_reason_;
    bool words_kept_ = false;  // its last ones, for `qa vm log`
    std::optional<Milliseconds> retry_in_;
    Over over_;
};

}  // namespace qvd::hkd
