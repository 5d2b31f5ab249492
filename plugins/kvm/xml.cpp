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

Xml& Xml::add(Xml child) {
    children_.push_back(std::move(child));
    return *this;
}

std::string Xml::text() const {
    std::string out;
    write(out);
    return out;
}

void Xml::write(std::string& to) const {
    to += '<' + name_ + attributes_;
    if (children_.empty() && content_.empty()) {
        to += "/>";
        return;
    }
    to += '>' + content_;
    for (const Xml& child : children_) child.write(to);
    to += "</" + name_ + '>';
}

}  // namespace qvd::kvm
