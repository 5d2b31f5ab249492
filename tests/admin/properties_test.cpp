// propset, propget and propdel of each kind of thing.
#include "tests/admin/farm.hpp"

using namespace qvd;
using namespace qvd::admin::test;
using store::Owner;

namespace {

std::string properties_of(Farm& farm, Owner owner, const std::string& filter = {},
                          std::vector<std::string> keys = {}) {
    const auto rows = farm.run(farm.admin.properties(owner, Farm::filter(filter), std::move(keys)));
    REQUIRE(rows.ok());
    std::string text;
    for (const admin::Row& row : *rows)
        text +=
            value_of(row, "name") + ":" + value_of(row, "key") + "=" + value_of(row, "value") + " ";
    return text;
}

}  // namespace

TEST_CASE("properties are set on what the filter means, shown by its name, and deleted") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.run(farm.admin.add_host("n1", "10.3.15.1")).ok());
    const std::string path = value_of(farm.run(farm.admin.dis(Farm::filter()))->front(), "path");
    struct Kind {
        Owner owner;
        std::string name;
        std::string word;
    };
    for (const Kind& kind : {Kind{Owner::user, "bob", "user"}, Kind{Owner::vm, "desk", "vm"},
                             Kind{Owner::osf, "office", "osf"}, Kind{Owner::di, path, "di"},
                             Kind{Owner::node, "n1", "host"}}) {
        CAPTURE(kind.word);
        const admin::Parameters values{{"beverage", "beer=ale"}, {"room", ""}};
        CHECK(farm.run(farm.admin.set_properties(kind.owner, Farm::filter(), values)).value() == 1);
        CHECK(properties_of(farm, kind.owner) ==
              kind.name + ":beverage=beer=ale " + kind.name + ":room= ");
        CHECK(properties_of(farm, kind.owner, "", {"room"}) == kind.name + ":room= ");
        CHECK(audited(farm, "tester " + kind.word + " propset " + kind.name + " beverage,room"));
        CHECK(
            farm.run(farm.admin.delete_properties(kind.owner, Farm::filter(), {"room"})).value() ==
            1);
        CHECK(
            farm.run(farm.admin.delete_properties(kind.owner, Farm::filter(), {"room"})).value() ==
            0);
        CHECK(properties_of(farm, kind.owner) == kind.name + ":beverage=beer=ale ");
        CHECK(farm.run(farm.admin.delete_properties(kind.owner, Farm::filter(), {})).value() == 1);
        CHECK(properties_of(farm, kind.owner).empty());
    }
}

TEST_CASE("only what the filter means gets a property, and a filter may be about one") {
    Farm farm;
    farm.populate();
    REQUIRE(farm.add_vm("desk2", "bob", "office").ok());
    const auto set = [&farm](const std::string& filter, const admin::Parameters& values) {
        return farm.admin.set_properties(Owner::vm, Farm::filter(filter), values);
    };

    CHECK(farm.run(set("name=desk2", {{"floor", "3"}})).value() == 1);
    CHECK(properties_of(farm, Owner::vm) == "desk2:floor=3 ");
    CHECK(farm.run(set("property.floor=3", {{"floor", "4"}})).value() == 1);
    CHECK(properties_of(farm, Owner::vm, "property.floor=?") == "desk2:floor=4 ");
    CHECK(farm.code(set("name=none", {{"floor", "4"}})) == "vm.not_found");
    CHECK(farm.code(set("", {})) == "usage");
    CHECK(farm.code(set("", {{std::string(1, '\n'), "x"}})) == "property.key");
    CHECK(farm.code(set("colour=red", {{"floor", "4"}})) == "filter.key");
}

TEST_CASE("a property that stands in for a key is warned of if the key could not be that") {
    Farm farm;
    farm.populate();
    const auto set = [&farm](const admin::Parameters& values) {
        return farm.run(farm.admin.set_properties(Owner::osf, Farm::filter(), values)).value();
    };
    CHECK(set({{"hkd.vm.starting.max", "4"}, {"colour", "red"}}) == 1);
    CHECK(farm.admin.warnings().empty());
    CHECK(set({{"hkd.vm.starting.max", "many"}}) == 1);
    REQUIRE(farm.admin.warnings().size() == 1);
    CHECK(farm.admin.warnings().front().find("hkd.vm.starting.max") != std::string::npos);
}
