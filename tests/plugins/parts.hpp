// What the tests of the backends share, whichever runs their VMs.
#pragma once

#include <qvd/hypervisor.h>

#include <chrono>
#include <functional>
#include <string>

namespace qvd::test {

// Asks until it is true; false after the patience.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds patience = std::chrono::seconds(30));

// With the folders that it lies in.
void write_file(const std::string& path, const std::string& content, unsigned mode = 0644);
std::string read_file(const std::string& path);
bool exists(const std::string& path);

// Ends the process: nothing of this executable can be tried here.
[[noreturn]] void skip_all(const std::string& reason);

// The table of the plugin in that file; throws if there is none.
const qvd_hypervisor* hypervisor_in(const char* file);

}  // namespace qvd::test
