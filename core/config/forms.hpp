// Forms of values that more than one room declares keys for.
#pragma once

#include "config/key.hpp"

namespace qvd::config::form {

extern const Form ipv4;         // 10.3.15.1
extern const Form netmask;      // 24, or 255.255.255.0; from 8 to 30 ones
extern const Form mac_prefix;   // 54:52:00
extern const Form host;         // a name or an address, IPv4 or IPv6
extern const Form server;       // the same, or the folder of a socket
extern const Form listener;     // * or an address or name of this machine
extern const Form device;       // of a network interface, 1 to 15 characters
extern const Form device_stem;  // the beginning of such a name, with room for a number
extern const Form node_name;    // one word
extern const Form plugin_name;  // a-z, 0-9 and -
extern const Form root_logger;  // LEVEL, or LEVEL, APPENDER...

}  // namespace qvd::config::form
