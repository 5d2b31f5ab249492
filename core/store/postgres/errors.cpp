#include "store/postgres/errors.hpp"

#include "base/text.hpp"
#include "store/answers.hpp"

#include <string>
#include <string_view>

namespace qvd::store::postgres {

namespace {

std::string_view field(const PGresult* result, int code) {
    const char* const text = PQresultErrorField(result, code);
    return text == nullptr ? std::string_view{} : std::string_view(text);
}

// libpq's messages end in a newline and may have several lines.
std::string one_line(std::string_view message) {
    std::string line(text::trim(message));
    for (char& c : line)
        if (c == '\n' || c == '\t') c = ' ';
    return line;
}

bool is_constraint(std::string_view state) {
    return state == "23505" || state == "23503" || state == "23514" || state == "23502";
}

}  // namespace

Error error_of(const PGresult* result, bool deleting) {
    const std::string_view state = field(result, PG_DIAG_SQLSTATE);
    const std::string said = one_line(field(result, PG_DIAG_MESSAGE_PRIMARY));
    if (is_constraint(state))
        return answers::violated(field(result, PG_DIAG_CONSTRAINT_NAME),
                                 deleting && state == "23503");
    if (state == "57014" || state == "55P03")
        return {ErrorKind::timeout, "store.timeout", "the database took too long: " + said};
    if (state == "40001" || state == "40P01")
        return {ErrorKind::unavailable, "store.again", "others were faster: " + said};
    if (state == "42501")
        return {ErrorKind::denied, "store.denied", "the database refuses it: " + said};
    if (state == "42P01" || state == "3F000")
        return {ErrorKind::unavailable, "store.no_schema",
                "the database has no QVD schema; qvd-deploy-db makes it"};
    const std::string_view group = state.substr(0, 2);
    if (group == "08" || group == "57" || group == "53" || group == "58" || state.empty())
        return answers::down(said.empty() ? "the connection broke" : said);
    return {ErrorKind::internal, "store.query",
            "the database does not understand (" + std::string(state) + "): " + said};
}

Error error_of(const PGconn* connection) {
    const std::string said = one_line(PQerrorMessage(connection));
    const bool refused = said.find("authentication failed") != std::string::npos ||
                         said.find("no pg_hba.conf entry") != std::string::npos ||
                         said.find("pg_hba.conf rejects") != std::string::npos;
    if (refused) return {ErrorKind::denied, "store.denied", "the database refuses: " + said};
    return answers::down(said.empty() ? "the connection broke" : said);
}

}  // namespace qvd::store::postgres
