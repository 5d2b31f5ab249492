// Writing XML: elements with attributes, and either children or a text.
#pragma once

#include <string>
#include <string_view>

namespace qvd::kvm {

class Xml {
public:
    explicit Xml(std::string_view name) : name_(name) {}

    // Throws sdk::Failure(QVD_INVALID) on a value with a control character: XML has no way to say
    // it.
    Xml& with(std::string_view attribute, std::string_view value);
    Xml& says(std::string_view text);
    Xml& add(const Xml& child);
    // The same, for an element that is nothing but its text.
    Xml& add(std::string_view name, std::string_view text) { return add(Xml(name).says(text)); }

    [[nodiscard]] std::string text() const;

private:
    std::string name_;
    std::string attributes_;
    std::string content_;
};

}  // namespace qvd::kvm
