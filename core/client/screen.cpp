#include "client/screen.hpp"

#include "base/text.hpp"

#include <xcb/xcb.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <vector>

namespace qvd::client {
namespace {

struct XDeleter {
    void operator()(xcb_connection_t* connection) const { xcb_disconnect(connection); }
    // NOLINTNEXTLINE(cppcoreguidelines-no-malloc): xcb's replies come from malloc
    void operator()(void* reply) const { std::free(reply); }
};
using XConnection = std::unique_ptr<xcb_connection_t, XDeleter>;
template <class T>
using XReply = std::unique_ptr<T, XDeleter>;

const xcb_screen_t* screen_number(xcb_connection_t* connection, int number) {
    auto screens = xcb_setup_roots_iterator(xcb_get_setup(connection));
    for (; screens.rem > 1 && number > 0; --number) xcb_screen_next(&screens);
    return screens.data;
}

std::string keyboard_rules(xcb_connection_t* connection, xcb_window_t root) {
    constexpr std::string_view name = "_XKB_RULES_NAMES";
    const auto asked = xcb_intern_atom(connection, 1, name.size(), name.data());
    const XReply<xcb_intern_atom_reply_t> atom{xcb_intern_atom_reply(connection, asked, nullptr)};
    if (!atom || atom->atom == XCB_ATOM_NONE) return {};
    constexpr std::uint32_t longest = 256;  // in units of four bytes
    const auto read =
        xcb_get_property(connection, 0, root, atom->atom, XCB_ATOM_STRING, 0, longest);
    const XReply<xcb_get_property_reply_t> property{
        xcb_get_property_reply(connection, read, nullptr)};
    if (!property) return {};
    const auto length = static_cast<std::size_t>(xcb_get_property_value_length(property.get()));
    return {static_cast<const char*>(xcb_get_property_value(property.get())), length};
}

bool is_plain(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '+' || c == '-';
    });
}

}  // namespace

Result<Screen> examine_screen(const std::string& display) {
    if (display.empty())
        return Error{ErrorKind::invalid, "display.missing",
                     "DISPLAY is not set: run it in a graphical session, or set DISPLAY"};
    int number = 0;
    const XConnection connection{xcb_connect(display.c_str(), &number)};
    if (!connection || xcb_connection_has_error(connection.get()) != 0)
        return Error{ErrorKind::unavailable, "display.unreachable",
                     "cannot use the X display " + display +
                         ": it does not run, or does not let you in (try: xhost "
                         "+si:localuser:$LOGNAME)"};
    const xcb_screen_t* screen = screen_number(connection.get(), number);
    return Screen{
        std::to_string(screen->width_in_pixels) + "x" + std::to_string(screen->height_in_pixels),
        keyboard_of_rules(keyboard_rules(connection.get(), screen->root))};
}

std::string keyboard_of_rules(std::string_view property) {
    const std::vector<std::string> parts = text::split(property, '\0');
    if (parts.size() < 3) return {};
    const std::string layout = parts[2].substr(0, parts[2].find(','));
    return is_plain(parts[1]) && is_plain(layout) ? parts[1] + "/" + layout : std::string{};
}

}  // namespace qvd::client
