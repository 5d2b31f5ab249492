// A fuzz target defines qvd_fuzz_one(); fuzzer_entry.cpp feeds it from libFuzzer, replay_main.cpp
// from the files of a corpus. It aborts when something is not as it must be.
#pragma once

#include <string_view>

int qvd_fuzz_one(std::string_view bytes);
