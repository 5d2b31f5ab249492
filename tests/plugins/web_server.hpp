// The web server of the tiny systems that tests start as VMs, at port 8080.
#pragma once

#include <chrono>
#include <string>

namespace qvd::test {

// What it answers for /NAME, tried once; empty if that is not 200, or nothing came in time.
std::string fetch_once(const std::string& address, const std::string& name);
// The same until something comes, or the patience is over.
std::string fetch(const std::string& address, const std::string& name,
                  std::chrono::milliseconds patience = std::chrono::seconds(40));

}  // namespace qvd::test
