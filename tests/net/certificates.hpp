// Certificates made for one test.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace qvd::test {

struct Identity {
    std::string certificate;  // PEM
    std::string key;          // PEM
};

Identity self_signed(const std::string& name);

class Authority {
public:
    Authority();
    ~Authority();
    Authority(const Authority&) = delete;
    Authority& operator=(const Authority&) = delete;

    [[nodiscard]] const std::string& certificate() const { return certificate_; }
    [[nodiscard]] Identity issue(const std::string& name, long serial) const;
    // A revocation list with these serial numbers.
    [[nodiscard]] std::string revoke(const std::vector<long>& serials) const;

private:
    struct Keys;
    std::unique_ptr<Keys> keys_;
    std::string certificate_;
};

}  // namespace qvd::test
