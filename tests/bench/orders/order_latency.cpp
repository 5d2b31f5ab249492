// How long it takes from an order in the database to the backend's call, on a node that runs:
//
//   order_latency NODE_CONF VM ROUNDS
//
// The node's backend is the plugin noting. Prints the median, p99 and the maximum in milliseconds.
#include "base/text.hpp"
#include "config/keys.hpp"
#include "programs/qvd-node/configuration.hpp"
#include "store/postgres.hpp"
#include "tests/store/await.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace qvd;
using Nanoseconds = std::chrono::nanoseconds;

constexpr std::chrono::seconds patience{30};
constexpr std::chrono::milliseconds look{2};

template <class T>
T need(Result<T> result) {
    if (!result.ok()) throw std::runtime_error(result.error().sentence());
    return std::move(result).value();
}

Nanoseconds now() {
    return std::chrono::steady_clock::now().time_since_epoch();
}

class Rounds {
public:
    Rounds(const config::View& view, VmId vm)
        : notes_(view.get(config::path_run) + "/noted"),
          store_(need(store::open_postgres(loop_.get_executor(), view, store::Role::owner))),
          vm_(vm),
          node_(need(ask(store_->nodes())).at(0).node.id) {}

    double one() {
        const auto before = need(ask(store_->vm(vm_)));
        const std::int64_t incarnation = before->runtime.incarnation + 1;
        const Nanoseconds begin = now();
        const auto ordered = ask(store_->order_start(vm_, node_));
        if (!ordered.ok()) throw std::runtime_error(ordered.error().sentence());
        const Nanoseconds end = noted(incarnation);
        until_it_rests();
        return std::chrono::duration<double, std::milli>(end - begin).count();
    }

private:
    template <class T>
    Result<T> ask(store::Async<T> call) {
        return store::test::run_on(loop_, std::move(call));
    }
    // When the backend was called for this start.
    Nanoseconds noted(std::int64_t incarnation) {
        const auto limit = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < limit) {
            std::ifstream notes(notes_);
            std::int64_t which = 0;
            std::int64_t at = 0;
            while (notes >> which >> at)
                if (which == incarnation && notes.peek() == '\n') return Nanoseconds{at};
            std::this_thread::sleep_for(look);
        }
        throw std::runtime_error("the backend was not called for start " +
                                 std::to_string(incarnation));
    }
    void until_it_rests() {
        const auto limit = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < limit) {
            if (need(ask(store_->vm(vm_)))->runtime.state == VmState::failed) return;
            std::this_thread::sleep_for(look);
        }
        throw std::runtime_error("the VM did not come to rest");
    }

    boost::asio::io_context loop_;
    std::string notes_;
    std::unique_ptr<store::Store> store_;
    VmId vm_;
    NodeId node_;
};

int measure(const std::string& file, const std::string& vm, const std::string& count) {
    const auto id = text::to_integer(vm);
    const auto rounds = text::to_integer(count);
    if (!id || !rounds || *rounds < 1) throw std::runtime_error("order_latency FILE VM ROUNDS");
    plugin::Catalogue plugins;
    const config::View view =
        node::view_with_plugins(need(config::Properties::read(file)), plugins);
    Rounds bench(view, VmId{*id});
    std::vector<double> times;
    for (std::int64_t i = 0; i < *rounds; ++i) times.push_back(bench.one());
    std::ranges::sort(times);
    const auto share = [&times](std::size_t percent) {
        return times[std::min(times.size() - 1, times.size() * percent / 100)];
    };
    std::printf("%.1f %.1f %.1f\n", share(50), share(99), times.back());
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    try {
        const std::vector<std::string> words(arguments + 1, arguments + count);
        if (words.size() != 3) throw std::runtime_error("order_latency NODE_CONF VM ROUNDS");
        return measure(words[0], words[1], words[2]);
    } catch (const std::exception& why) {
        std::fprintf(stderr, "%s\n", why.what());
        return 1;
    }
}
