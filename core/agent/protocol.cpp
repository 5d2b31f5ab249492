#include "agent/protocol.hpp"

#include "agent/json.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace qvd::agent {

namespace {

constexpr std::array<std::pair<XState, std::string_view>, 8> x_states{{
    {XState::stopped, "stopped"},
    {XState::starting, "starting"},
    {XState::provisioning, "provisioning"},
    {XState::listening, "listening"},
    {XState::connected, "connected"},
    {XState::suspending, "suspending"},
    {XState::suspended, "suspended"},
    {XState::stopping, "stopping"},
}};

Error no_answer(std::string_view body) {
    return {ErrorKind::unavailable, "agent.answer",
            "the agent's answer is no SimpleRPC answer: " + text::quoted(body, 80)};
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Value scalar(std::string_view raw) {
    if (raw == "null") return {Value::Kind::null, "null"};
    if (raw == "true" || raw == "false") return {Value::Kind::boolean, std::string(raw)};
    if (raw.front() == '"')
        return {Value::Kind::text, JsonReader(raw).string().value_or(std::string{})};
    if (raw.front() == '-' || (raw.front() >= '0' && raw.front() <= '9'))
        return {Value::Kind::number, std::string(raw)};
    return {Value::Kind::other, std::string(raw)};
}

}  // namespace

std::string_view to_string(XState state) {
    for (const auto& [known, word] : x_states)
        if (known == state) return word;
    return "stopped";
}

Result<XState> parse_x_state(std::string_view word) {
    for (const auto& [state, known] : x_states)
        if (known == word) return state;
    return Error{ErrorKind::unavailable, "agent.answer",
                 "the agent reports an unknown session state " + text::quoted(word, 40)};
}

std::string request_target(std::string_view method, const Parameters& parameters) {
    std::string target = "/vma/" + std::string(method);
    char separator = '?';
    for (const auto& [name, value] : parameters) {
        target += separator;
        target += text::percent_encode(name) + '=' + text::percent_encode(value);
        separator = '&';
    }
    return target;
}

Result<Request> parse_target(std::string_view target) {
    const Error wrong{ErrorKind::invalid, "agent.request", "the request's address is malformed"};
    const std::size_t mark = target.find('?');
    const std::string_view path = target.substr(0, mark);
    if (!path.starts_with("/vma/")) return wrong;
    Request request;
    request.method = path.substr(5);
    if (request.method.empty() || !std::ranges::all_of(request.method, is_word)) return wrong;
    if (mark == std::string_view::npos) return request;
    for (const std::string& piece : text::split(target.substr(mark + 1), '&')) {
        if (piece.empty()) continue;
        const std::size_t equals = piece.find('=');
        const auto name = text::percent_decode(piece.substr(0, equals), true);
        const auto value = equals == std::string::npos
                               ? std::string{}
                               : text::percent_decode(piece.substr(equals + 1), true);
        if (!name || name->empty() || !value) return wrong;
        // A zero byte would cut the value short wherever it ends up as a C string.
        if (name->find('\0') != std::string::npos || value->find('\0') != std::string::npos)
            return wrong;
        request.parameters[*name] = *value;
    }
    return request;
}

std::string encode_text(std::string_view text) {
    return text::json_string(text) + "\r\n";
}

std::string encode_number(std::int64_t number) {
    return std::to_string(number) + "\r\n";
}

std::string encode_null() {
    return "null\r\n";
}

std::string encode_failure(std::string_view sentence) {
    return "\"\"," + text::json_string(sentence) + "\r\n";
}

Result<Value> decode_body(std::string_view body) {
    JsonReader reader(body);
    const auto first = reader.raw();
    if (!first) return no_answer(body);
    if (reader.at_end()) return scalar(*first);
    if (!reader.take(',')) return no_answer(body);
    const auto sentence = reader.raw();
    if (!sentence) return no_answer(body);
    const std::string said = scalar(*sentence).text;
    const bool busy = said == busy_sentence || said.starts_with(passing_sentence);
    return Error{ErrorKind::conflict, busy ? "agent.session_busy" : "agent.refused",
                 said.empty() ? "the agent refuses without saying why" : said};
}

bool Hello::has(std::string_view feature) const {
    return std::ranges::find(features, feature) != features.end();
}

std::string encode_hello(const Hello& hello) {
    std::string list;
    for (const std::string& feature : hello.features)
        list += (list.empty() ? "" : ",") + text::json_string(feature);
    return R"({"protocol":)" + std::to_string(hello.protocol) + R"(,"features":[)" + list +
           "]}\r\n";
}

namespace {

void read_features(std::string_view list, std::vector<std::string>& features) {
    JsonReader reader(list);
    while (const auto feature = reader.string()) {
        features.push_back(*feature);
        if (!reader.take(',')) break;
    }
}

// {"protocol": 1, "features": ["a"], ...}: members that this version does not know are passed over.
bool read_hello(JsonReader& reader, Hello& hello) {
    do {
        const auto name = reader.string();
        if (!name || !reader.take(':')) return false;
        const auto value = reader.raw();
        if (!value) return false;
        if (*name == "protocol") {
            hello.protocol = static_cast<int>(text::to_integer(*value).value_or(0));
        } else if (*name == "features") {
            if (!value->starts_with('[')) return false;
            read_features(value->substr(1), hello.features);
        }
    } while (reader.take(','));
    return reader.take('}') && reader.at_end() && hello.protocol >= 1;
}

}  // namespace

Result<Hello> decode_hello(std::string_view body) {
    JsonReader reader(body);
    Hello hello;
    if (!reader.take('{') || !read_hello(reader, hello)) return no_answer(body);
    return hello;
}

}  // namespace qvd::agent
