// What a hypervisor backend is tried with: an image, a bridge, a folder; from a file.
#pragma once

#include "base/result.hpp"
#include "plugin/vm_spec.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace qvd::check {

// The file is `key = value`, as node.conf; print_trial_help() lists the keys.
struct TrialPlan {
    std::string folder;  // absolute; made if it is missing
    std::string image;
    plugin::ImageFormat format = plugin::ImageFormat::tar;
    std::string unpacked;  // where a backend that unpacks puts the image
    std::string overlays;  // folder and ending of what a VM changes
    std::string overlay_ending;
    bool read_only = false;  // no overlay
    std::string bridge;
    std::string address;  // of the first VM; the others' follow
    std::uint32_t prefix = 24;
    std::string gateway;
    std::string mac_prefix;
    std::string device_prefix;
    int answer_port = 0;  // TCP; 0: whether a VM is up only its state tells
    bool heeds_stop = true;
    std::chrono::seconds patience{30};       // until it answers
    std::chrono::seconds stop_patience{30};  // until it has stopped
    int vms = 3;                             // at once
    std::uint64_t memory_mib = 128;
    std::uint64_t home_mib = 0;
    plugin::ImageFormat home_format = plugin::ImageFormat::directory;
    Properties properties;                        // property.KEY
    std::map<std::string, std::string> settings;  // set.KEY: values of configuration keys

    // Errors: invalid trial.*, config.syntax, file.*.
    static Result<TrialPlan> read(const std::string& path);

    // The VM of this number, 1 and up, at its nth start.
    [[nodiscard]] plugin::VmSpec vm(int number, std::int64_t incarnation) const;
    [[nodiscard]] plugin::NicSpec nic(int number) const;
    [[nodiscard]] plugin::ImageSpec os_image() const;
    [[nodiscard]] std::string address_of(int number) const;
};

// One line for each key.
std::string trial_help();

}  // namespace qvd::check
