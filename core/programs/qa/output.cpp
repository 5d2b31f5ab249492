#include "output.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace qvd::qa {

namespace {

std::string shown(const admin::Cell* cell) {
    return cell == nullptr ? "-" : cell->shown();
}

std::string padded(std::string text, std::size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

std::string trimmed_line(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string key_by_key(const Output& output) {
    std::string text;
    for (const admin::Row& row : output.rows) {
        std::size_t width = 0;
        for (const admin::Cell& cell : row.cells()) width = std::max(width, cell.key.size());
        if (!text.empty()) text += "\n";
        for (const admin::Cell& cell : row.cells())
            text += trimmed_line(padded(cell.key, width) + "  " + shown(&cell));
    }
    return text;
}

boost::json::value json_of(const admin::Cell& cell) {
    switch (cell.kind) {
        case admin::Cell::Kind::missing:
            return nullptr;
        case admin::Cell::Kind::number:
            return std::stoll(cell.value);
        case admin::Cell::Kind::boolean:
            return cell.value == "1";
        case admin::Cell::Kind::text:
            return boost::json::string(cell.value);
    }
    return nullptr;
}

boost::json::object json_of(const std::vector<admin::Cell>& cells) {
    boost::json::object object;
    // Of a key that is there more than once (the tags of a di) the joined one came first.
    for (const admin::Cell& cell : cells)
        if (!object.contains(cell.key)) object[cell.key] = json_of(cell);
    return object;
}

}  // namespace

Output said(std::string line, std::vector<admin::Cell> facts) {
    Output output;
    output.line = std::move(line);
    output.facts = std::move(facts);
    return output;
}

std::string as_table(const Output& output, bool quiet) {
    if (!output.answer.empty()) return output.answer;
    if (!output.is_list) return quiet || output.line.empty() ? "" : output.line + "\n";
    if (output.columns.empty()) return key_by_key(output);
    std::vector<std::size_t> widths;
    for (const Column& column : output.columns) {
        std::size_t width = quiet ? 0 : column.title.size();
        for (const admin::Row& row : output.rows)
            width = std::max(width, shown(row.find(column.key)).size());
        widths.push_back(width);
    }
    const auto line = [&](const auto& text_of) {
        std::string text;
        for (std::size_t i = 0; i < output.columns.size(); ++i)
            text += padded(text_of(output.columns[i]), widths[i]) + " ";
        return trimmed_line(std::move(text));
    };
    std::string table;
    if (!quiet) {
        table += line([](const Column& column) { return column.title; });
        table += std::string(table.size() - 1, '-') + "\n";
    }
    for (const admin::Row& row : output.rows)
        table += line([&row](const Column& column) { return shown(row.find(column.key)); });
    return table;
}

std::string as_json(const Output& output) {
    if (!output.is_list) return boost::json::serialize(json_of(output.facts)) + "\n";
    boost::json::array list;
    for (const admin::Row& row : output.rows) list.push_back(json_of(row.cells()));
    return boost::json::serialize(list) + "\n";
}

}  // namespace qvd::qa
