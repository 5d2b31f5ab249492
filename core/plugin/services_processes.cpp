// The processes service: the C table over plugin::Processes.
#include "plugin/processes.hpp"
#include "plugin/service_tables.hpp"

namespace qvd::plugin {

namespace {

using EndedFunction = void (*)(void*, const qvd_process*);

qvd_process raw_process(const ProcessStatus& process) {
    qvd_process out{};
    out.size = sizeof out;
    out.state = static_cast<qvd_process_state>(process.state);
    out.label = raw(process.label);
    out.pid = process.pid;
    out.exit_code = process.exit_code;
    out.start_time = process.start_time;
    return out;
}

Processes::Ended forward(const CoreObject& object, EndedFunction ended, void* data) {
    if (ended == nullptr) return {};
    return [call = object.caller("ended()"), ended, data](const ProcessStatus& process) {
        call([ended, data, process] {
            const qvd_process record = raw_process(process);
            ended(data, &record);
        });
    };
}

std::vector<std::string> texts(const qvd_array& array) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < array.count && array.stride >= sizeof(qvd_str); ++i)
        out.push_back(text_of(*static_cast<const qvd_str*>(qvd_array_at(&array, i))));
    return out;
}

qvd_status start(const qvd_core* core, const qvd_call* /*on_behalf*/,
                 const qvd_process_order* order, const qvd_sink* sink) {
    if (order == nullptr || !QVD_HAS(qvd_process_order, order, data)) return QVD_INVALID;
    CoreObject& object = CoreObject::of(core);
    ProcessOrder wanted;
    wanted.label = text_of(order->label);
    wanted.arguments = texts(order->arguments);
    wanted.environment = texts(order->environment);
    wanted.directory = text_of(order->directory);
    wanted.input = Secret{text_of({order->input.data, order->input.length})};
    wanted.output_path = text_of(order->output_path);
    wanted.close_output = (order->flags & QVD_PROCESS_CLOSE_OUTPUT) != 0U;
    auto started = object.host().processes->start(object.manifest().name, wanted,
                                                  forward(object, order->ended, order->data));
    if (!started.ok()) return refuse(sink, started.error());
    if ((order->flags & QVD_PROCESS_END_WITH_CORE) != 0U) object.end_with_core(wanted.label);
    const qvd_process record = raw_process(*started);
    give(sink, QVD_KIND_PROCESS, &record);
    return QVD_OK;
}

qvd_status list(const qvd_core* core, const qvd_call* /*on_behalf*/, const qvd_sink* sink) {
    CoreObject& object = CoreObject::of(core);
    auto found = object.host().processes->list(object.manifest().name);
    if (!found.ok()) return refuse(sink, found.error());
    for (const ProcessStatus& process : *found) {
        const qvd_process record = raw_process(process);
        give(sink, QVD_KIND_PROCESS, &record);
    }
    return QVD_OK;
}

qvd_status adopt(const qvd_core* core, const qvd_call* /*on_behalf*/, const qvd_process* process,
                 EndedFunction ended, void* data, const qvd_sink* sink) {
    if (process == nullptr || !QVD_HAS(qvd_process, process, start_time)) return QVD_INVALID;
    CoreObject& object = CoreObject::of(core);
    ProcessStatus known;
    known.label = text_of(process->label);
    known.pid = process->pid;
    known.start_time = process->start_time;
    const auto adopted =
        object.host().processes->adopt(object.manifest().name, known, forward(object, ended, data));
    if (!adopted.ok()) return refuse(sink, adopted.error());
    const qvd_process record = raw_process(known);
    give(sink, QVD_KIND_PROCESS, &record);
    return QVD_OK;
}

qvd_status send_signal(const qvd_core* core, qvd_str label, std::int32_t signal) {
    CoreObject& object = CoreObject::of(core);
    return object.host().processes->signal(object.manifest().name, text_of(label), signal).ok()
               ? QVD_OK
               : QVD_NOT_FOUND;
}

qvd_status stop(const qvd_core* core, qvd_str label, std::int64_t grace_ms) {
    CoreObject& object = CoreObject::of(core);
    const auto stopped = object.host().processes->stop(object.manifest().name, text_of(label),
                                                       Milliseconds{grace_ms});
    return stopped.ok() ? QVD_OK : QVD_NOT_FOUND;
}

}  // namespace

const qvd_processes_service processes_service{
    sizeof(qvd_processes_service), 0, &start, &list, &adopt, &send_signal, &stop};

}  // namespace qvd::plugin
