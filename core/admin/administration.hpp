// Everything that an administrator can do, once: used by `qa`, and later by the web tool. Each
// operation checks what it is given, does it, and leaves a line in the audit table.
#pragma once

#include "admin/filter.hpp"
#include "admin/images.hpp"
#include "config/view.hpp"
#include "plugin/balancer.hpp"
#include "plugin/catalogue.hpp"
#include "store/store.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qvd::admin {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

using Parameters = std::map<std::string, std::string>;

// How far an operation on several things came: what was left alone is named, with the reason.
struct Done {
    int count = 0;
    std::vector<std::string> skipped;  // "vm desk-7: it is running"
    std::set<VmId> vms;                // of orders: whom they were given to
    std::vector<DiId> dis = {};        // of deleted images: which
};

// When the runs of VMs that use an older image are to end, as an administrator says it: a time as
// the command `at` takes it (admin/at_time.hpp), or an empty text for no limit.
struct ExpiryTexts {
    std::optional<std::string> soft;
    std::optional<std::string> hard;
};

// What became of that. `asked`: something was said at all.
struct Expired {
    bool asked = false;
    int vms = 0;  // whose runs were limited
    std::optional<Timestamp> soft;
    std::optional<Timestamp> hard;
};

// A VM on its way, as it comes to each state.
using StepSeen =
    std::function<void(const std::string& vm, const std::string& state, const std::string& reason)>;

class Administration {
public:
    // `file_view`: the node's file with the keys of every room. `who` is named in the audit.
    Administration(store::Store& store, config::View file_view, std::string who);

    // Must succeed before anything else: reads the configuration that the database holds.
    Async<void> load();
    [[nodiscard]] const config::View& view() const { return view_; }
    // What is installed here; none: this is no node, and names of plugins cannot be checked.
    void know_plugins(plugin::Catalogue installed) { installed_ = std::move(installed); }
    // What somebody should know of what was done so far, one sentence each.
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

    // ---- configuration ----
    // Those that the database holds and nobody declares are settings, too. Internal keys are only
    // given if asked for by name or with `internals`.
    // The values of `keys`; without keys those of all that have one.
    Result<std::vector<Row>> configuration(const std::vector<std::string>& keys,
                                           bool internals) const;
    // Every key, with a value or without.
    [[nodiscard]] std::vector<Row> every_setting(bool internals) const;
    // A value that names a plugin which is not among those told of by know_plugins() is refused
    // (invalid "config.plugin"), or with `force` set with a warning.
    Async<void> set_configuration(Parameters values, bool force = false);
    // Returns how many keys were there.
    Async<int> delete_configuration(std::vector<std::string> keys);
    // Paths of PEM files; ca and crl may be empty.
    Async<void> set_certificate(std::string key_file, std::string certificate_file,
                                std::string ca_file, std::string crl_file);

    // ---- properties ----
    // Of everything that the filter means; not_found "user.not_found" and so on if that is nothing.
    // Returns on how many things it set them.
    Async<int> set_properties(store::Owner owner, Filter filter, Parameters values);
    // Rows of id, name, key and value, by id; of `keys` only, if there are any.
    Async<std::vector<Row>> properties(store::Owner owner, Filter filter,
                                       std::vector<std::string> keys);
    // Without keys all of them. Returns from how many things it took something.
    Async<int> delete_properties(store::Owner owner, Filter filter, std::vector<std::string> keys);

    // ---- hosts ----
    Async<NodeId> add_host(std::string name, std::string address);
    Async<Done> delete_hosts(Filter filter);
    Async<std::vector<Row>> hosts(Filter filter);
    Async<int> block_hosts(Filter filter, bool blocked);

    // ---- osfs and dis ----
    struct NewOsf {
        std::string name;
        std::string memory;             // MiB, or with a suffix K, M, G; empty: osf.default.memory
        std::string use_overlay;        // empty: osf.default.overlay
        std::string user_storage_size;  // MiB, or with a suffix; empty: no home
    };
    Async<OsfId> add_osf(NewOsf osf);
    // name, memory, use_overlay, user_storage_size; running VMs notice at their next start.
    Async<int> edit_osfs(Filter filter, Parameters changes);
    Async<Done> delete_osfs(Filter filter);
    Async<std::vector<Row>> osfs(Filter filter);

    struct NewDi {
        std::string path;
        std::string osf;     // name, or
        std::string osf_id;  // id
        std::string version;
        std::string sha256;           // what its checksum must be; empty: whatever it is
        bool whatever_it_is = false;  // also what is no image, or none for the osf's hypervisor
        ExpiryTexts expiry;           // of VMs that go on with an older one
    };
    struct AddedDi {
        DiId id;
        Expired expired;
    };
    Async<AddedDi> add_di(NewDi di, CopyProgress progress);
    // Where an image for an OSF is made, checked before the minutes that it takes: the OSF, the
    // version and the expiry of `di`, whose path does not matter yet.
    struct ImagePlace {
        std::string hypervisor;  // that VMs of the OSF are started with
        std::string folder;      // path.storage.staging, made if it was missing
    };
    Async<ImagePlace> place_for_image(NewDi di);
    // A DI and what a new version of it is made from.
    struct EditableDi {
        store::DiRecord record;
        std::string file;  // its image; image.missing if it is not on this machine
        std::string name;  // without the id
        DiId head;         // the newest one of its OSF
    };
    Async<EditableDi> di_to_edit(std::string di_id);
    // With `purge` the files, too; otherwise they stay.
    Async<Done> delete_dis(Filter filter, bool purge = false);
    // Their files are looked at in path.storage.images of this machine.
    Async<std::vector<Row>> dis(Filter filter);
    Async<Expired> tag_di(std::string di_id, std::string tag, ExpiryTexts expiry = {});
    Async<void> untag_di(std::string di_id, std::string tag);

    // ---- users ----
    Async<UserId> add_user(std::string login, Secret password);
    Async<Done> delete_users(Filter filter);
    Async<std::vector<Row>> users(Filter filter);
    Async<void> set_password(std::string login, Secret password);

    // ---- operators ----
    // `role` as OperatorRole says them.
    Async<OperatorId> add_operator(std::string name, std::string role, Secret password);
    Async<Done> delete_operators(Filter filter);
    Async<std::vector<Row>> operators(Filter filter);
    // Changes `role` and `blocked` (yes or no), what is given.
    Async<int> edit_operators(Filter filter, Parameters changes);
    Async<void> set_operator_password(std::string name, Secret password);

    // ---- vms ----
    struct NewVm {
        std::string name;
        std::string user, user_id;
        std::string osf, osf_id;
        std::string ip;
        std::string di_tag = "default";
    };
    Async<VmId> add_vm(NewVm vm);
    Async<Done> delete_vms(Filter filter);
    Async<std::vector<Row>> vms(Filter filter);
    struct EditedVms {
        int count = 0;
        Expired expired;
    };
    // name, ip, di_tag, user, osf, expire-soft, expire-hard.
    Async<EditedVms> edit_vms(Filter filter, Parameters changes);
    // Orders only; the nodes do the rest.
    Async<Done> start_vms(Filter filter, std::shared_ptr<plugin::Balancer> balancer);
    Async<Done> stop_vms(Filter filter);
    // Stopped ones go back to their checkpoints, on the nodes that have them.
    Async<Done> restore_vms(Filter filter);
    // Until each of them is `running`, or `stopped` (failed will do), or has failed to become it;
    // `seen` is told every step. Returns those that failed with the reason ("vm desk: ...").
    // ErrorKind::timeout "vm.wait_timeout"; patience 0 has no end.
    Async<std::vector<std::string>> await_vms(std::set<VmId> vms, VmState wanted,
                                              std::chrono::seconds patience, StepSeen seen);
    // What nodes made of orders: `made` names the files, "vm desk: /path", of those that have any.
    struct Ordered {
        Done done;
        std::vector<std::string> made;
    };
    // Pause, unpause, suspend, resume, checkpoint, snapshot (`argument`: its name) or reset;
    // returns when the nodes have answered, or have not within five minutes.
    Async<Ordered> order_vms(Filter filter, VmCommand command, std::string argument);
    Async<int> block_vms(Filter filter, bool blocked);
    Async<Done> disconnect_users(Filter filter);

    // ---- audit ----
    // What was done, oldest first: the last so many that the filter means.
    Async<std::vector<Row>> audit_lines(Filter filter, int last);

private:
    template <class Record>
    struct Selected {
        Record record;
        Row row;
    };
    template <class Record>
    Async<std::vector<Selected<Record>>> select(Filter filter, std::vector<Record> records);
    Async<std::vector<Selected<store::VmRecord>>> select_vms(Filter filter);
    Async<std::vector<Selected<store::NodeRecord>>> select_hosts(Filter filter);
    Async<std::vector<Selected<store::OsfRecord>>> select_osfs(Filter filter);
    Async<std::vector<Selected<store::DiRecord>>> select_dis(Filter filter);
    Async<std::vector<Selected<User>>> select_users(Filter filter);
    Async<std::vector<Selected<Operator>>> select_operators(Filter filter);

    Async<store::Expiry> resolved(ExpiryTexts texts);
    Async<Expired> limit_vms(std::set<VmId> vms, store::Expiry expiry);
    // VMs of the osf with one of these tags.
    Async<std::set<VmId>> vms_tagged(OsfId osf, std::set<std::string> tags);
    Async<void> check_new_version(std::string version, OsfId osf);
    Async<void> check_new_di(const NewDi& di, const std::string& source, OsfId osf);
    Async<store::Store::VmEdit> checked_edit(Parameters changes);
    void add_file_facts(const Di& di, Row& row) const;
    template <class Record>
    [[nodiscard]] Row row_for(const Record& record) const;

    // What has properties: its id, and what people call it.
    struct Owned {
        std::int64_t id = 0;
        std::string label;
    };
    template <class Entry>
    static std::vector<Owned> owned_by(const std::vector<Entry>& selected);
    Async<std::vector<Owned>> select_owners(store::Owner owner, Filter filter);
    void warn_of_value(const std::string& key, const std::string& value);
    [[nodiscard]] Result<void> check_plugins(const std::string& key,
                                             const std::string& value) const;

    Async<OsfId> find_osf(std::string name, std::string id);
    Async<UserId> find_user(std::string login, std::string id);
    Async<DiId> find_di(std::string id);
    Async<void> warn_without_di(OsfId osf, std::string tag);
    boost::asio::awaitable<void> audit(std::string operation, std::string subject);

    store::Store& store_;
    config::View file_view_;
    config::View view_;
    config::View::Values database_values_;
    std::string who_;
    plugin::Catalogue installed_;
    std::vector<std::string> warnings_;
};

}  // namespace qvd::admin
