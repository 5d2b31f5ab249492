// The one place where this room compiles Boost.JSON.
#include <boost/json/src.hpp>
