// The one place where Boost.JSON is compiled; apart from asio.cpp, so that a program which needs no
// event loop does not carry one.
#include <boost/json/src.hpp>
