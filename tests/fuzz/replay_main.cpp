// Runs a fuzz target over the files of the named folders, and over thousands of reproducible
// variations of each: so the targets run in every build, not only where libFuzzer is.
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr int variations = 2000;

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string vary(std::string bytes, const std::string& other, std::mt19937& generator) {
    const unsigned changes = 1 + generator() % 4;
    for (unsigned i = 0; i < changes; ++i) {
        const std::size_t at = bytes.empty() ? 0 : generator() % bytes.size();
        switch (generator() % 5) {
            case 0:
                bytes.insert(at, 1, static_cast<char>(generator()));
                break;
            case 1:
                bytes.erase(at, 1 + generator() % 4);
                break;
            case 2:
                bytes.resize(at);
                break;
            case 3:
                bytes.insert(at, other.substr(other.empty() ? 0 : generator() % other.size()));
                break;
            default:
                if (!bytes.empty())
                    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^
                                                  (1U << generator() % 8));
        }
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> corpus;
    for (int i = 1; i < argc; ++i) {
        std::vector<std::filesystem::path> paths;
        for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
            paths.push_back(entry.path());
        std::sort(paths.begin(), paths.end());
        for (const auto& path : paths) corpus.push_back(read(path));
    }
    if (corpus.empty()) {
        std::fputs("no corpus: name at least one folder with files\n", stderr);
        return 1;
    }
    std::mt19937 generator(1);
    qvd_fuzz_one({});
    for (const std::string& bytes : corpus) {
        qvd_fuzz_one(bytes);
        for (int i = 0; i < variations; ++i)
            qvd_fuzz_one(vary(bytes, corpus[generator() % corpus.size()], generator));
    }
    std::printf("%zu inputs and %d variations of each\n", corpus.size(), variations);
    return 0;
}
