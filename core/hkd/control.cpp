#include "hkd/control.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "hkd/kept_logs.hpp"
#include "hkd/spawn.hpp"
#include "hkd/stream_pair.hpp"
#include "net/reply.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace qvd::hkd {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using Protocol = asio::local::stream_protocol;

namespace {

constexpr std::size_t most_head_bytes = 8192;
constexpr std::size_t log_tail_bytes = std::size_t{64} * 1024;
constexpr auto patience = std::chrono::seconds(10);
constexpr auto as_pair = asio::as_tuple(asio::use_awaitable);
using Stream = beast::basic_stream<Protocol>;
using Response = http::response<http::string_body>;

ino_t inode_of(const std::string& path) {
    struct stat there {};
    return ::lstat(path.c_str(), &there) == 0 ? there.st_ino : 0;
}

Response answer(http::status status, std::string_view type, std::string body) {
    Response response(status, 11);
    response.set(http::field::content_type, type);
    response.keep_alive(false);
    response.body() = std::move(body);
    response.prepare_payload();
    return response;
}

Response refusal(http::status status, const Error& error) {
    json::object body{{"code", error.code()}, {"message", error.sentence()}};
    Response response = answer(status, "application/json", json::serialize(body) + "\n");
    response.set("X-QVD-Error", error.code());
    return response;
}

http::status status_of(const Error& error) {
    if (error.code() == "control.method") return http::status::method_not_allowed;
    switch (error.kind()) {
        case ErrorKind::invalid:
            return http::status::bad_request;
        case ErrorKind::not_found:
            return http::status::not_found;
        case ErrorKind::conflict:
            return http::status::conflict;
        case ErrorKind::denied:
            return http::status::forbidden;
        case ErrorKind::unsupported:
            return http::status::not_implemented;
        case ErrorKind::timeout:
            return http::status::gateway_timeout;
        default:
            return http::status::service_unavailable;
    }
}

Response refusal(const Error& error) {
    return refusal(status_of(error), error);
}

// As a frame to the broker, which passes it on.
net::Reply reply_of(const Response& response, std::uint64_t call) {
    net::Reply reply;
    reply.request = call;
    reply.status = static_cast<std::uint16_t>(response.result_int());
    for (const auto& field : response) {
        const std::string name(field.name_string());
        if (name == "Content-Type" || name == "X-QVD-Error")
            reply.headers.emplace_back(name, std::string(field.value()));
    }
    reply.body = response.body();
    return reply;
}

bool asks_upgrade(const http::request<http::empty_body>& request) {
    const auto upgrade = request[http::field::upgrade];
    return text::equals_ignoring_case({upgrade.data(), upgrade.size()}, net::control_protocol);
}

Response document(const json::value& value) {
    return answer(http::status::ok, "application/json", json::serialize(value) + "\n");
}

}  // namespace

struct Control::Server : std::enable_shared_from_this<Control::Server> {
    Server(asio::any_io_executor loop, ControlSource its_source)
        : executor(std::move(loop)), source(std::move(its_source)), acceptor(executor) {}

    asio::awaitable<void> accept();
    asio::awaitable<void> serve(Protocol::socket socket) const;
    asio::awaitable<void> serve_stream(Stream stream, net::ControlRequest wanted) const;
    asio::awaitable<void> answer_call(net::ControlCall call,
                                      std::shared_ptr<net::FrameChannel> broker) const;
    static Result<net::ControlRequest> request_of(const http::request<http::empty_body>& request);
    asio::awaitable<Response> respond_in_time(net::ControlRequest request) const;
    [[nodiscard]] Response respond(const net::ControlRequest& request) const;
    [[nodiscard]] Response plugins() const;
    [[nodiscard]] Response status() const;
    [[nodiscard]] Response vms() const;
    [[nodiscard]] Response console(std::string_view id) const;
    [[nodiscard]] Response failure(VmId vm) const;

    asio::any_io_executor executor;
    ControlSource source;
    Protocol::acceptor acceptor;
    std::string path;
    // Of the socket at `path`; 0: none has been bound.
    ino_t inode = 0;
    long group = -1;
};

asio::awaitable<void> Control::Server::accept() {
    while (acceptor.is_open()) {
        auto [problem, socket] = co_await acceptor.async_accept(as_pair);
        if (problem == asio::error::operation_aborted) co_return;
        if (problem) {
            // Out of descriptors or memory: that passes.
            log::warn("control.accept", {}, problem.message());
            asio::steady_timer pause(executor, std::chrono::seconds(1));
            (void)co_await pause.async_wait(as_pair);
            continue;
        }
        if (!is_allowed(socket.native_handle(), group)) {
            log::warn("control.refused", {}, "only root and the group qvd-admin may ask");
            continue;
        }
        spawn(executor, serve(std::move(socket)), shared_from_this());
    }
}

asio::awaitable<void> Control::Server::serve(Protocol::socket socket) const {
    Stream stream(std::move(socket));
    stream.expires_after(patience);
    beast::flat_buffer buffer(most_head_bytes);
    http::request_parser<http::empty_body> parser;
    parser.header_limit(most_head_bytes);
    const auto [broken, got] = co_await http::async_read(stream, buffer, parser, as_pair);
    if (broken) co_return;
    const auto wanted = request_of(parser.get());
    if (wanted.ok() && net::is_stream(wanted->verb)) {
        co_await serve_stream(std::move(stream), *wanted);
        co_return;
    }
    Response response;
    if (wanted.ok()) {
        stream.expires_never();
        response = co_await respond_in_time(*wanted);
        stream.expires_after(patience);
    } else {
        response = refusal(wanted.error());
    }
    // Whoever left without his answer does not need it.
    (void)co_await http::async_write(stream, response, as_pair);
}

asio::awaitable<void> Control::Server::serve_stream(Stream stream,
                                                    net::ControlRequest wanted) const {
    stream.expires_never();
    auto opened = co_await source.open(wanted.verb, wanted.vm);
    stream.expires_after(patience);
    if (!opened.ok()) {
        const Response response = refusal(opened.error());
        (void)co_await http::async_write(stream, response, as_pair);
        co_return;
    }
    log::info("control.stream", {{"verb", to_string(wanted.verb)}, {"vm", wanted.vm}}, "");
    const std::string head = net::switch_head(Secret{}, net::control_protocol);
    const auto [broken, put] = co_await asio::async_write(stream, asio::buffer(head), as_pair);
    if (broken) co_return;
    stream.expires_never();
    AnySocket client(stream.release_socket());
    carry_between(executor, std::move(client), std::move(*opened));
}

asio::awaitable<void> Control::Server::answer_call(
    net::ControlCall call, std::shared_ptr<net::FrameChannel> broker) const {
    const auto verb = net::control_verb(call.verb);
    if (!verb) {
        const Error unknown{ErrorKind::unsupported, "control.verb", "this node does not know that"};
        broker->send(reply_of(refusal(unknown), call.call));
        co_return;
    }
    log::info("control.call",
              {{"operator", call.caller}, {"verb", to_string(*verb)}, {"vm", VmId{call.vm}}}, "");
    if (!net::is_stream(*verb)) {
        net::ControlRequest wanted{*verb, VmId{call.vm}, std::move(call.parameters)};
        const Response response = co_await respond_in_time(std::move(wanted));
        broker->send(reply_of(response, call.call));
        co_return;
    }
    auto opened = co_await source.open(*verb, VmId{call.vm});
    if (!opened.ok()) {
        broker->send(reply_of(refusal(opened.error()), call.call));
        co_return;
    }
    const net::Attach attach{call.call, std::make_shared<UniqueFd>(std::move(*opened))};
    broker->send(attach);
}

Result<net::ControlRequest> Control::Server::request_of(
    const http::request<http::empty_body>& request) {
    if (request.method() != http::verb::get)
        return Error{ErrorKind::unsupported, "control.method", "only GET is understood here"};
    const std::string_view target(request.target().data(), request.target().size());
    QVD_TRY(net::ControlRequest wanted, net::parse_control_target(target));
    if (net::is_stream(wanted.verb) && !asks_upgrade(request))
        return Error{
            ErrorKind::invalid, "control.upgrade",
            "this is a stream: ask for an upgrade to " + std::string(net::control_protocol)};
    return wanted;
}

asio::awaitable<Response> Control::Server::respond_in_time(net::ControlRequest request) const {
    const bool collect = request.verb == net::ControlVerb::collect;
    if (!collect && request.verb != net::ControlVerb::storage) co_return respond(request);
    auto asked = collect ? source.collect(std::move(request.parameters)) : source.storage();
    Result<std::string> text = co_await std::move(asked);
    if (!text.ok()) co_return refusal(text.error());
    co_return answer(http::status::ok, "application/json", std::move(text).value());
}

Response Control::Server::respond(const net::ControlRequest& request) const {
    switch (request.verb) {
        case net::ControlVerb::status:
            return status();
        case net::ControlVerb::vms:
            return vms();
        case net::ControlVerb::plugins:
            return plugins();
        case net::ControlVerb::metrics:
            return answer(http::status::ok, "text/plain; version=0.0.4; charset=utf-8",
                          source.metrics());
        case net::ControlVerb::log:
            return console(request.vm.text());
        case net::ControlVerb::failure:
            return failure(request.vm);
        default:
            return refusal({ErrorKind::unsupported, "control.verb",
                            "this node does not know that yet; a newer release does"});
    }
}

Response Control::Server::plugins() const {
    json::array names;
    for (const std::string& name : source.plugins()) names.emplace_back(name);
    return document(json::object{{"hypervisors", std::move(names)}});
}

Response Control::Server::status() const {
    const ControlSource::Status now = source.status();
    return document(json::object{{"node", now.node},
                                 {"state", now.state},
                                 {"reason", now.reason},
                                 {"broker", now.broker},
                                 {"starting", now.starting},
                                 {"waiting_to_start", now.waiting}});
}

Response Control::Server::vms() const {
    json::array all;
    for (const VmFacts& vm : source.vms())
        all.push_back(json::object{{"id", vm.vm.value()},
                                   {"name", vm.name},
                                   {"incarnation", vm.incarnation},
                                   {"state", to_string(vm.stage)},
                                   {"seconds", vm.in_stage.count()},
                                   {"reason", vm.reason},
                                   {"reason_code", vm.reason_code},
                                   {"doing", vm.doing},
                                   {"pid", vm.pid}});
    return document(json::object{{"vms", std::move(all)}});
}

Response Control::Server::console(std::string_view id) const {
    const auto number = text::to_integer(id);
    const std::string file = number ? source.console_log(VmId{*number}) : std::string();
    if (file.empty())
        return refusal(http::status::not_found, {ErrorKind::not_found, "control.vm",
                                                 "vm " + std::string(id) + " is not here"});
    if (::access(file.c_str(), R_OK) != 0)
        return refusal(http::status::not_found, errno_error("control.log", "cannot read " + file));
    return answer(http::status::ok, "text/plain; charset=utf-8", tail_of(file, log_tail_bytes));
}

Response Control::Server::failure(VmId vm) const {
    const auto kept = source.failure(vm);
    if (!kept)
        return refusal({ErrorKind::not_found, "control.no_failure",
                        "vm " + vm.text() + " has not failed here, or runs again"});
    return document(
        json::object{{"why", kept->why}, {"console", kept->console}, {"agent", kept->agent}});
}

Control::Control(asio::any_io_executor executor, ControlSource source)
    : server_(std::make_shared<Server>(std::move(executor), std::move(source))) {
}

Control::~Control() {
    boost::system::error_code ignored;
    server_->acceptor.close(ignored);
    // Another hkd may have put its own there since.
    if (server_->inode != 0 && inode_of(server_->path) == server_->inode)
        ::unlink(server_->path.c_str());
}

void Control::serve(net::ControlCall call, std::shared_ptr<net::FrameChannel> broker) {
    spawn(server_->executor, server_->answer_call(std::move(call), std::move(broker)), server_);
}

Result<void> Control::open(const std::string& path, const std::string& group) {
    const auto failed = [&path](const boost::system::error_code& problem) {
        return Error{ErrorKind::unavailable, "control.socket",
                     "cannot listen at " + path + ": " + problem.message()};
    };
    server_->group = group_id(group);
    server_->path = path;
    ::unlink(path.c_str());
    boost::system::error_code problem;
    server_->acceptor.open(Protocol(), problem);
    if (problem) return failed(problem);
    // Nobody may connect before its owner and mode are right.
    const mode_t before = ::umask(0177);
    server_->acceptor.bind(Protocol::endpoint(path), problem);
    ::umask(before);
    if (problem) return failed(problem);
    server_->inode = inode_of(path);
    if (server_->group >= 0 && ::chown(path.c_str(), 0, static_cast<gid_t>(server_->group)) != 0)
        return errno_error("control.socket", "cannot give " + path + " to the group " + group);
    if (::chmod(path.c_str(), 0660) != 0)
        return errno_error("control.socket", "cannot set the mode of " + path);
    server_->acceptor.listen(64, problem);
    if (problem) return failed(problem);
    spawn(server_->executor, server_->accept(), server_);
    return {};
}

}  // namespace qvd::hkd
