#include "broker/takeover.hpp"

#include "broker/keys.hpp"
#include "broker/vm_watch.hpp"

namespace qvd::broker {

Async<Session> take_over(Context& context, std::shared_ptr<Conversation> client,
                         store::NewSession wanted) {
    const VmWatch::Interest interest(context.vms, wanted.vm, client);
    const Deadline deadline = Deadline::in(context.clock, context.view.get(takeover_timeout));
    SessionId asked;  // whom we asked to let go
    for (;;) {
        if (client->interruption()) co_return *client->interruption();
        QVD_CO_TRY(const store::Acquired acquired, co_await context.store.acquire_session(wanted));
        if (acquired.session) {
            client->progress("Session acquired for VM_ID: " + wanted.vm.text());
            co_return *acquired.session;
        }
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "session.held",
                            "Unable to acquire VM, close other clients"};
        const SessionId holder = acquired.holder->id;
        if (asked.value() == 0)
            client->progress("Aborting contending session for VM_ID: " + wanted.vm.text());
        if (asked != holder) {
            QVD_CO_CHECK(co_await context.store.request_abort(wanted.vm));
        }
        asked = holder;
        QVD_CO_CHECK(co_await client->pause(deadline.remaining()));
    }
}

}  // namespace qvd::broker
