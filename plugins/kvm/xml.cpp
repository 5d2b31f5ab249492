#include "xml.hpp"

#include <qvd/plugin.hpp>

namespace qvd::kvm {

namespace {

std::string escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
            throw sdk::Failure(QVD_INVALID,
                               "a control character in \"" + out + "\" cannot be told to libvirt");
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&apos;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace

Xml& Xml::with(std::string_view attribute, std::string_view value) {
    attributes_ += ' ';
    attributes_ += attribute;
    attributes_ += "=\"" + escaped(value) + '"';
    return *this;
}

Xml& Xml::says(std::string_view text) {
    content_ = escaped(text);
    return *this;
}

Xml& Xml::add(const Xml& child) {
    content_ += child.text();
    return *this;
}

std::string Xml::text() const {
    const std::string begin = '<' + name_ + attributes_;
    return content_.empty() ? begin + "/>" : begin + '>' + content_ + "</" + name_ + '>';
}

}  // namespace qvd::kvm
