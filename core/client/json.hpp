// Boost.JSON for this room's sources.
#pragma once

#include <boost/json.hpp>
