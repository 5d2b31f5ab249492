// Osfs, images and their tags on PostgreSQL.
#include "base/text.hpp"
#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"

#include <algorithm>

namespace qvd::store::postgres {

namespace {

// Changes of one osf's images and tags come one after the other.
constexpr const char* lock_osf =
    "SELECT pg_advisory_xact_lock(713001, ($1::bigint % 2147483647)::int)";
constexpr const char* lock_osf_of_di =
    "SELECT pg_advisory_xact_lock(713001, (osf_id % 2147483647)::int) FROM dis "
    "WHERE id = $1::bigint";

constexpr const char* insert_di = R"(
WITH today AS (
    SELECT to_char(now(), 'YYYY-MM-DD-') || lpad(n::text, 3, '0') AS version
    FROM generate_series(0, 999) AS n
), free AS (
    SELECT version FROM today
    WHERE NOT EXISTS (SELECT FROM dis WHERE osf_id = $1::bigint AND dis.version = today.version)
      AND NOT EXISTS (SELECT FROM di_tags WHERE osf_id = $1::bigint AND tag = today.version)
    ORDER BY version LIMIT 1
), added AS (
    INSERT INTO dis (id, osf_id, name, version, size, checksum) OVERRIDING SYSTEM VALUE
    SELECT coalesce($4::bigint, nextval(pg_get_serial_sequence('dis', 'id'))), $1::bigint, $2,
        chosen.version, $5::bigint, $6::text
    FROM (SELECT coalesce($3::text, (SELECT version FROM free)) AS version) AS chosen
    WHERE chosen.version IS NOT NULL
    RETURNING id, uuid, osf_id, path, version, size, checksum
), marked AS (
    INSERT INTO di_tags (di_id, osf_id, tag, fixed)
    SELECT id, osf_id, version, true FROM added UNION ALL SELECT id, osf_id, 'head', false FROM added
    ON CONFLICT (osf_id, tag) DO UPDATE SET di_id = excluded.di_id, fixed = excluded.fixed
    WHERE NOT di_tags.fixed
), made_default AS (
    INSERT INTO di_tags (di_id, osf_id, tag)
    SELECT id, osf_id, 'default' FROM added
    ON CONFLICT (osf_id, tag) DO NOTHING
    RETURNING tag
)
SELECT id, uuid, osf_id, path, version, size, checksum, EXISTS (SELECT FROM made_default) AS is_default FROM added)";

constexpr const char* inherit_tags = R"(
UPDATE di_tags SET di_id = heir.id
FROM (SELECT max(other.id) AS id FROM dis AS gone JOIN dis AS other USING (osf_id)
      WHERE gone.id = $1 AND other.id <> $1) AS heir
WHERE di_tags.di_id = $1 AND di_tags.tag IN ('head', 'default') AND heir.id IS NOT NULL)";

constexpr const char* take_tag = R"(
INSERT INTO di_tags (di_id, osf_id, tag) SELECT id, osf_id, $2 FROM dis WHERE id = $1
ON CONFLICT (osf_id, tag) DO UPDATE SET di_id = excluded.di_id WHERE NOT di_tags.fixed)";

constexpr const char* holder_of_tag = R"(
SELECT tagged.di_id FROM dis JOIN di_tags AS tagged USING (osf_id)
WHERE dis.id = $1 AND tagged.tag = $2)";

constexpr const char* select_dis = R"(
SELECT d.id, d.uuid, d.osf_id, d.path, d.version, d.size, d.checksum, o.name AS osf_name,
    (SELECT count(*) FROM vms JOIN di_tags AS meant USING (osf_id)
     WHERE meant.di_id = d.id AND meant.tag = vms.di_tag) AS vms,
    (SELECT count(*) FROM vm_runtimes WHERE current_di_id = d.id) AS vms_running,
    (SELECT string_agg(CASE WHEN fixed THEN '1' ELSE '0' END || tag, E'\n' ORDER BY tag COLLATE "C")
     FROM di_tags WHERE di_id = d.id) AS tags
FROM dis AS d JOIN osfs AS o ON o.id = d.osf_id ORDER BY d.id)";

std::vector<DiTag> parse_tags(const std::string& joined) {
    std::vector<DiTag> tags;
    if (joined.empty()) return tags;
    for (const std::string& one : text::split(joined, '\n'))
        tags.push_back({one.substr(1), one.front() == '1'});
    return tags;
}

Di di_of(const Row& row) {
    Di di{row.id<DiId>("id"), row.text("uuid"),    row.id<OsfId>("osf_id"),
          row.text("path"),   row.text("version"), {}};
    di.size_bytes = row.integer("size");
    di.checksum = row.text("checksum");
    return di;
}

}  // namespace

Async<OsfId> PostgresStore::add_osf(Osf osf) {
    QVD_CO_CHECK(checks::name("osf.name", osf.name));
    QVD_CO_TRY(const Rows rows,
               co_await ask("INSERT INTO osfs (name, memory, use_overlay, user_storage) "
                            "VALUES ($1, $2, $3, $4) RETURNING id",
                            osf.name, osf.memory_mib, osf.use_overlay, osf.user_storage_mib));
    const auto id = rows[0].id<OsfId>("id");
    QVD_CO_CHECK(rows.check());
    co_return id;
}

Async<void> PostgresStore::edit_osf(OsfId osf, OsfEdit edit) {
    if (edit.name) QVD_CO_CHECK(checks::name("osf.name", *edit.name));
    co_return co_await change(
        "osf", osf.value(),
        "UPDATE osfs SET name = coalesce($2, name), memory = coalesce($3::bigint, memory), "
        "use_overlay = coalesce($4::boolean, use_overlay), "
        "user_storage = coalesce($5::bigint, user_storage) WHERE id = $1",
        osf, edit.name, edit.memory_mib, edit.use_overlay, edit.user_storage_mib);
}

Async<void> PostgresStore::delete_osf(OsfId osf) {
    // In this order the answer to "has VMs and images" is the same everywhere.
    QVD_CO_TRY(const Rows vms, co_await ask("SELECT FROM vms WHERE osf_id = $1 LIMIT 1", osf));
    if (!vms.empty()) co_return answers::violated("vms_osf_fkey", true);
    Statement statement("DELETE FROM osfs WHERE id = $1", osf);
    statement.deleting = true;
    co_return co_await change_one(pool_, "osf", osf.value(), std::move(statement));
}

Async<std::vector<OsfRecord>> PostgresStore::osfs() {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT id, name, memory, use_overlay, user_storage, "
                            "(SELECT count(*) FROM vms WHERE osf_id = osfs.id) AS vms, "
                            "(SELECT count(*) FROM dis WHERE osf_id = osfs.id) AS dis "
                            "FROM osfs ORDER BY id"));
    std::vector<OsfRecord> all;
    for (int i = 0; i < rows.size(); ++i) {
        const Row row = rows[i];
        OsfRecord record;
        record.osf = {row.id<OsfId>("id"), row.text("name"), row.integer("memory"),
                      row.flag("use_overlay"), row.integer("user_storage")};
        record.vms = row.small("vms");
        record.dis = row.small("dis");
        all.push_back(std::move(record));
    }
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<DiId> PostgresStore::reserve_di() {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT nextval(pg_get_serial_sequence('dis', 'id')) AS id"));
    const auto id = rows[0].id<DiId>("id");
    QVD_CO_CHECK(rows.check());
    co_return id;
}

Async<Di> PostgresStore::add_di(NewDi di) {
    QVD_CO_CHECK(checks::image_name(di.name));
    std::optional<std::string> version;
    if (!di.version.empty()) {
        QVD_CO_CHECK(checks::version(di.version));
        version = di.version;
    }
    std::vector<Statement> batch;
    batch.emplace_back(lock_osf, di.osf);
    std::optional<DiId> id;
    if (di.id.value() > 0) id = di.id;
    batch.emplace_back(insert_di, di.osf, di.name, version, id, di.size_bytes, di.checksum);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[1].empty())
        co_return answers::conflict("di.versions_used_up",
                                    "the osf has 1000 images of today; give the version yourself");
    Di added = di_of(rows[1][0]);
    added.tags.push_back({added.version, true});
    if (rows[1][0].flag("is_default")) added.tags.push_back({"default", false});
    added.tags.push_back({"head", false});
    std::ranges::sort(added.tags, {}, &DiTag::tag);
    QVD_CO_CHECK(rows[1].check());
    co_return added;
}

Async<void> PostgresStore::delete_di(DiId di) {
    std::vector<Statement> batch;
    batch.emplace_back(lock_osf_of_di, di);
    batch.emplace_back(inherit_tags, di);
    batch.emplace_back("DELETE FROM dis WHERE id = $1", di);
    batch.back().deleting = true;
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[2].changed() == 0) co_return answers::missing("di", di.value());
    co_return Result<void>{};
}

Async<std::vector<DiRecord>> PostgresStore::dis() {
    QVD_CO_TRY(const Rows rows, co_await ask(select_dis));
    std::vector<DiRecord> all;
    for (int i = 0; i < rows.size(); ++i) {
        DiRecord record;
        record.di = di_of(rows[i]);
        record.osf_name = rows[i].text("osf_name");
        record.vms = rows[i].small("vms");
        record.vms_running = rows[i].small("vms_running");
        record.di.tags = parse_tags(rows[i].text("tags"));
        all.push_back(std::move(record));
    }
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<void> PostgresStore::tag_di(DiId di, std::string tag) {
    QVD_CO_CHECK(checks::tag(tag));
    std::vector<Statement> batch;
    batch.emplace_back(lock_osf_of_di, di);
    batch.emplace_back(take_tag, di, tag);
    batch.emplace_back(holder_of_tag, di, tag);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].empty()) co_return answers::missing("di", di.value());
    const auto holder = rows[2][0].id<DiId>("di_id");
    QVD_CO_CHECK(rows[2].check());
    if (holder != di)
        co_return answers::conflict("tag.fixed",
                                    "\"" + tag + "\" is the version of another image of the osf");
    co_return Result<void>{};
}

Async<void> PostgresStore::untag_di(DiId di, std::string tag) {
    std::vector<Statement> batch;
    batch.emplace_back(lock_osf_of_di, di);
    batch.emplace_back("SELECT fixed FROM di_tags WHERE di_id = $1 AND tag = $2", di, tag);
    batch.emplace_back(
        "DELETE FROM di_tags WHERE di_id = $1 AND tag = $2 AND NOT fixed AND tag <> 'head'", di,
        tag);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].empty()) co_return answers::missing("di", di.value());
    if (rows[1].empty())
        co_return Error{ErrorKind::not_found, "tag.not_found",
                        "image " + di.text() + " has no tag \"" + tag + "\""};
    if (rows[2].changed() == 1) co_return Result<void>{};
    if (tag == "head")
        co_return answers::conflict("tag.head", "\"head\" can only move to another image");
    co_return answers::conflict("tag.fixed",
                                "\"" + tag + "\" is the version of the image and stays");
}

}  // namespace qvd::store::postgres
