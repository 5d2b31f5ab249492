// What is changed past the store, by hand or in bulk, is announced like what it does itself.
#include "cluster.hpp"
#include "heard.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::Heard;
using test::shared_view;
using test::sql;
using What = Announcement::What;

TEST_CASE("any number of VMs changed at one stroke outdates inventories once") {
    Bench bench;
    bench.farm();
    Heard heard(bench);
    const auto by_hand = [&heard](const std::string& statement) {
        CHECK(sql(shared_view(), "qvd_owner", statement) == "ok");
        return heard.count(What::vms);
    };
    CHECK(by_hand("INSERT INTO vms (name, user_id, osf_id, address) "
                  "SELECT 'bulk-' || n, (SELECT id FROM users), (SELECT id FROM osfs), "
                  "'10.9.0.0'::inet + n FROM generate_series(1, 500) AS n") == 1);
    CHECK(by_hand("UPDATE vms SET di_tag = 'head'") == 1);
    CHECK(by_hand("UPDATE vms SET di_tag = 'head'") == 0);
    CHECK(by_hand("UPDATE vm_runtimes SET blocked = true") == 1);
    CHECK(by_hand("UPDATE users SET login = login") == 0);
    CHECK(by_hand("UPDATE users SET login = 'renamed'") == 1);
    CHECK(by_hand("UPDATE di_tags SET tag = 'newest' WHERE tag = 'head'") == 1);
    CHECK(by_hand("INSERT INTO sessions (vm_id, user_id, node_id, worker, state) SELECT v.id, "
                  "v.user_id, n.id, 'w', 'connected' FROM vms AS v, nodes AS n") == 1);
    CHECK(by_hand("DELETE FROM sessions") == 1);
    CHECK(by_hand("DELETE FROM vms WHERE name LIKE 'bulk-%'") == 1);
    CHECK(by_hand("TRUNCATE sessions") == 1);
}
