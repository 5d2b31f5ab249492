// propset, propget and propdel: the same for hosts, users, VMs, OSFs and images.
#include "commands.hpp"

#include <algorithm>
#include <array>

namespace qvd::qa {

namespace {

using store::Owner;

struct Kind {
    std::string_view object;
    Owner owner;
    std::string_view noun;

    std::string_view set;
    std::string_view get;
    std::string_view del;
};

constexpr std::array kinds{
    Kind{"host", Owner::node, "host", "Sets properties of nodes.", "Shows properties of nodes.",
         "Deletes properties of nodes; without KEY all of them."},
    Kind{"osf", Owner::osf, "OSF", "Sets properties of OSFs; all of its VMs have them.",
         "Shows properties of OSFs.", "Deletes properties of OSFs; without KEY all of them."},
    Kind{"di", Owner::di, "image", "Sets properties of images; over the OSF's.",
         "Shows properties of images.", "Deletes properties of images; without KEY all of them."},
    Kind{"user", Owner::user, "user", "Sets properties of users; over the image's.",
         "Shows properties of users.", "Deletes properties of users; without KEY all of them."},
    Kind{"vm", Owner::vm, "VM", "Sets properties of VMs; over the user's.",
         "Shows properties of VMs.", "Deletes properties of VMs; without KEY all of them."},
};

admin::Async<Output> set(Farm& farm, CommandLine line, Kind kind) {
    QVD_CO_TRY(const int count, co_await farm.administration().set_properties(
                                    kind.owner, line.filter, line.parameters));
    co_return counted(count, kind.noun, "given properties");
}

// "rowan<TAB>beverage=beer": what stands before the tab is the name, whatever is in the value.
admin::Async<Output> get(Farm& farm, CommandLine line, Kind kind) {
    QVD_CO_TRY(auto rows,
               co_await farm.administration().properties(kind.owner, line.filter, line.words));
    std::string text;
    for (const admin::Row& row : rows)
        text += row.find("name")->value + "\t" + row.find("key")->value + "=" +
                row.find("value")->value + "\n";
    co_return answered(std::move(text), std::move(rows));
}

admin::Async<Output> del(Farm& farm, CommandLine line, Kind kind) {
    QVD_CO_TRY(const int count, co_await farm.administration().delete_properties(
                                    kind.owner, line.filter, line.words));
    co_return counted(count, kind.noun, "without them now");
}

}  // namespace

std::vector<Command> property_commands(std::string_view object) {
    const Kind kind = *std::ranges::find(kinds, object, &Kind::object);
    const auto bound = [kind](auto* what) {
        return [what, kind](Farm& farm, CommandLine line) {
            return what(farm, std::move(line), kind);
        };
    };
    return {
        {kind.object,
         "propset",
         kind.set,
         {},
         filters | any_parameters | confirmation,
         bound(&set)},
        {kind.object, "propget", kind.get, {}, filters | words, bound(&get)},
        {kind.object, "propdel", kind.del, {}, filters | words | confirmation, bound(&del)},
    };
}

}  // namespace qvd::qa
