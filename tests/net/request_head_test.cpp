#include "net/request_head.hpp"

#include <doctest/doctest.h>
#include <http_parser.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

using qvd::net::Headers;
using qvd::net::HeadReader;
using qvd::net::RequestHead;

namespace {

struct Outcome {
    std::optional<RequestHead> head;
    int status = 0;
    std::string_view rest;
};

Outcome read(std::string_view bytes, std::size_t limit = 16384) {
    HeadReader reader(limit);
    Outcome outcome;
    const auto result = reader.consume(bytes);
    if (result == HeadReader::Outcome::complete) outcome.head = reader.take();
    if (result == HeadReader::Outcome::refused) outcome.status = reader.status();
    outcome.rest = bytes;
    return outcome;
}

// The same head as libhttp-parser reads it.
struct Theirs {
    RequestHead head;
    bool in_value = false;
    bool complete = false;
};

int on_url(http_parser* parser, const char* at, size_t length) {
    static_cast<Theirs*>(parser->data)->head.target.append(at, length);
    return 0;
}
int on_field(http_parser* parser, const char* at, size_t length) {
    auto& theirs = *static_cast<Theirs*>(parser->data);
    if (theirs.head.headers.empty() || theirs.in_value) theirs.head.headers.emplace_back();
    theirs.in_value = false;
    theirs.head.headers.back().first.append(at, length);
    return 0;
}
int on_value(http_parser* parser, const char* at, size_t length) {
    auto& theirs = *static_cast<Theirs*>(parser->data);
    theirs.in_value = true;
    theirs.head.headers.back().second.append(at, length);
    return 0;
}
int on_complete(http_parser* parser) {
    auto& theirs = *static_cast<Theirs*>(parser->data);
    theirs.head.method = http_method_str(static_cast<http_method>(parser->method));
    theirs.complete = true;
    return 0;
}

std::optional<RequestHead> read_by_them(const std::string& bytes) {
    Theirs theirs;
    http_parser parser;
    http_parser_settings settings;
    http_parser_init(&parser, HTTP_REQUEST);
    http_parser_settings_init(&settings);
    parser.data = &theirs;
    settings.on_url = on_url;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_complete;
    http_parser_execute(&parser, &settings, bytes.data(), bytes.size());
    if (!theirs.complete || parser.http_major != 1 || parser.http_minor != 1) return {};
    return theirs.head;
}

std::string one_space(const std::string& value) {
    std::string squeezed;
    for (const char c : value) {
        const bool blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (!blank) squeezed += c;
        if (blank && !squeezed.empty() && squeezed.back() != ' ') squeezed += ' ';
    }
    while (!squeezed.empty() && squeezed.back() == ' ') squeezed.pop_back();
    return squeezed;
}

const std::vector<std::string>& real_heads() {
    static const std::vector<std::string> heads = {
        "GET /qvd/ping HTTP/1.1\r\nHost: node:8443\r\n\r\n",
        "GET /qvd/list_of_vm? HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n",
        std::string("GET /qvd/connect_to_vm?id=1&qvd.client.keyboard=pc105/us HTTP/1.1\n") +
            "Authorization: Basic dTpw\nConnection: Upgrade\nUpgrade: QVD/1.0\n\n",
        "\r\n\r\nGET /qvd/stop_vm?id=3 HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
        "\nGET / HTTP/1.1\nAuth-4c414e4754455354: aGVsbG8tZW52\n\n",
        "GET /a HTTP/1.1\r\nX-Long: one\r\n two\r\n\tthree\r\nNext: 1\r\n\r\n",
        "GET /a HTTP/1.1\r\nX-Empty:\r\nX-Blank: \t\r\nLast: x\r\n\r\n",
        "POST /shares/a%20b HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "GET /%C3%A4?x=%00&y=a+b HTTP/1.1\r\nUser-Agent: QVD client (linux; 4.2)\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nA:b:c\r\na:  d  \r\n\r\n",
    };
    return heads;
}

}  // namespace

TEST_CASE("a head is read with its names as sent, and found by any case of them") {
    const Outcome outcome = read("GET /x?y HTTP/1.1\nauthorization: Basic abc\nHost:h\n\nrest");
    REQUIRE(outcome.head);
    CHECK(outcome.head->method == "GET");
    CHECK(outcome.head->target == "/x?y");
    CHECK(outcome.head->headers == Headers{{"authorization", "Basic abc"}, {"Host", "h"}});
    CHECK(*qvd::net::find_header(outcome.head->headers, "Authorization") == "Basic abc");
    CHECK(qvd::net::find_header(outcome.head->headers, "Auth") == nullptr);
    CHECK(outcome.rest == "rest");
}

TEST_CASE("a list header is searched word by word over all its lines") {
    const Headers headers{{"Connection", "keep-alive, Upgrade"}, {"connection", "x"}};
    CHECK(qvd::net::header_lists(headers, "CONNECTION", "upgrade"));
    CHECK(qvd::net::header_lists(headers, "Connection", "X"));
    CHECK_FALSE(qvd::net::header_lists(headers, "Connection", "close"));
    CHECK_FALSE(qvd::net::header_lists(headers, "Upgrade", "upgrade"));
}

TEST_CASE("every cut of the bytes gives the same outcome") {
    std::vector<std::string> inputs = real_heads();
    inputs.insert(inputs.end(), {"GET / HTTP/1.0\r\n\r\n", "GET /\r\n\r\n", "x\x01y\r\n",
                                 "GET / HTTP/1.1\r\n fold\r\n\r\n", "GET / HTTP/1.1\rX"});
    std::mt19937 generator(7);
    for (const std::string& input : inputs) {
        CAPTURE(input);
        const std::string bytes = input + "GET /next";
        const Outcome whole = read(bytes);
        for (int round = 0; round < 200; ++round) {
            HeadReader reader(16384);
            HeadReader::Outcome outcome = HeadReader::Outcome::incomplete;
            std::size_t used = 0;
            while (used < bytes.size() && outcome == HeadReader::Outcome::incomplete) {
                std::string_view piece =
                    std::string_view(bytes).substr(used, 1 + generator() % (1U << round % 6));
                const std::size_t offered = piece.size();
                outcome = reader.consume(piece);
                used += offered - piece.size();
            }
            CHECK(bytes.substr(used) == whole.rest);
            CHECK(reader.status() == whole.status);
            if (!whole.head) continue;
            REQUIRE(outcome == HeadReader::Outcome::complete);
            const RequestHead head = reader.take();
            CHECK(head.target == whole.head->target);
            CHECK(head.headers == whole.head->headers);
        }
    }
}

TEST_CASE("what both this reader and libhttp-parser accept, they read alike") {
    std::vector<std::string> corpus = real_heads();
    std::mt19937 generator(11);
    for (int i = 0; i < 20'000; ++i) {
        std::string head = real_heads()[generator() % real_heads().size()];
        constexpr std::string_view spice = " \t\r\n:;,/?%&=HTP/1.1xX-_\x80\x01";
        for (unsigned change = 0; change < 1 + generator() % 3; ++change)
            head[generator() % head.size()] = spice[generator() % spice.size()];
        corpus.push_back(head);
    }
    int compared = 0;
    int only_theirs = 0;
    for (const std::string& head : corpus) {
        const Outcome ours = read(head);
        std::optional<RequestHead> theirs = read_by_them(head);
        if (!ours.head || !theirs) {
            only_theirs += theirs && !ours.head ? 1 : 0;
            continue;
        }
        CAPTURE(head);
        ++compared;
        CHECK(ours.head->method == theirs->method);
        CHECK(ours.head->target == theirs->target);
        REQUIRE(ours.head->headers.size() == theirs->headers.size());
        for (std::size_t i = 0; i < theirs->headers.size(); ++i) {
            CHECK(ours.head->headers[i].first == theirs->headers[i].first);
            CHECK(one_space(ours.head->headers[i].second) == one_space(theirs->headers[i].second));
        }
    }
    CHECK(compared > 2000);
    MESSAGE(compared << " heads compared; " << only_theirs << " accepted only by libhttp-parser");
}

TEST_CASE("every head of a real client is accepted by both") {
    for (const std::string& head : real_heads()) {
        CAPTURE(head);
        CHECK(read(head).head);
        CHECK(read_by_them(head));
    }
}

TEST_CASE("a wrong request line is 400, another version 505") {
    for (const char* line :
         {"GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET / http/1.1",
          "GET / HTTP/1", "GET / HTTP/.1", "GET / HTTP/1.", "G\"T / HTTP/1.1", "GET /a b HTTP/1.1",
          "GET /\t HTTP/1.1"}) {
        CAPTURE(line);
        CHECK(read(std::string(line) + "\r\n\r\n").status == 400);
    }
    for (const char* version : {"HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/11.1", "HTTP/1.10"}) {
        CAPTURE(version);
        CHECK(read("GET / " + std::string(version) + "\r\n\r\n").status == 505);
    }
}

TEST_CASE("the limit counts every byte of a head, blank lines before it too") {
    const std::string head = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
    CHECK(read(head, head.size()).head);
    CHECK(read(head, head.size() - 1).status == 431);
    CHECK(read(std::string(100, '\n'), 99).status == 431);
    CHECK(read(std::string(100, '\n'), 100).status == 0);
}

TEST_CASE("a reader knows whether a request has begun") {
    HeadReader reader(100);
    std::string_view bytes = "\r\n\n";
    reader.consume(bytes);
    CHECK_FALSE(reader.begun());
    bytes = "G";
    reader.consume(bytes);
    CHECK(reader.begun());
}
