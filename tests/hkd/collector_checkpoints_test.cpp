// What the collector makes of checkpoints.
#include "tests/hkd/storehouse.hpp"

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

TEST_CASE("a checkpoint that nobody remembers goes, and the one that the VM goes back to stays") {
    Storehouse house;
    house.file("suspended/{vm}.memory");
    house.folder("snapshots/{vm}/monday");
    house.file("overlays/{di}-{vm}-overlay.qcow2");
    // By another name of the same folder.
    house.remember_checkpoint("/mnt/old/suspended/{vm}-checkpoint-77/");
    for (const char* const name : {"76", "78", "79"})
        house.checkpoint("suspended/{vm}-checkpoint-" + std::string(name), 2);
    house.checkpoint("suspended/{vm}-checkpoint-77", 100);
    // It is being made just now: its folder is old, and its memory still grows.
    house.file("suspended/{vm}-checkpoint-79/memory");
    house.age("suspended/{vm}-checkpoint-79", 2);
    CHECK(house.entry("suspended/{vm}-checkpoint-78").verdict.by ==
          house.words("not the checkpoint of VM {vm}"));
    CHECK(names_of(house.collect()).empty());  // not for long enough
    CHECK(names_of(house.collect(at_once())) ==
          std::vector<std::string>{house.words("{vm}-checkpoint-76"),
                                   house.words("{vm}-checkpoint-78")});
    for (const char* const kept :
         {"suspended/{vm}-checkpoint-77", "suspended/{vm}-checkpoint-79", "suspended/{vm}.memory",
          "snapshots/{vm}/monday", "overlays/{di}-{vm}-overlay.qcow2"})
        CHECK_MESSAGE(house.has(kept), kept);
    CHECK(house.backend.calls.empty());  // the VM is there: nothing else of it goes
}
