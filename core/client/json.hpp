// Boost.JSON for this room's sources; compiled once, in json.cpp.
#pragma once

#include <boost/json.hpp>
