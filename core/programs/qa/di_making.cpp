// qa di build and qa di edit: images made on this machine, then added as qa di add does.
#include "admin/image_kind.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "client/wait.hpp"
#include "commands.hpp"
#include "image/build.hpp"
#include "image/edit.hpp"
#include "image/places.hpp"
#include "image/terminal.hpp"
#include "image/work_folder.hpp"
#include "step_line.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <iostream>

namespace qvd::qa {

namespace {

using admin::Administration;

Error usage(const std::string& sentence) {
    return {ErrorKind::invalid, "usage", sentence};
}

Administration::NewDi new_di(const CommandLine& line) {
    Administration::NewDi di;
    di.osf = parameter(line, "osf");
    di.osf_id = parameter(line, "osf_id");
    di.version = parameter(line, "version");
    di.whatever_it_is = line.force;
    di.expiry = expiry_of(line);
    return di;
}

// Registering takes seconds, and is not torn apart.
Result<void> check_not_stopped(const client::StopSignal& stop) {
    pollfd watched{stop.fd(), POLLIN, 0};
    if (::poll(&watched, 1, 0) <= 0) return {};
    return Error{ErrorKind::cancelled, "stopped", "stopped by a signal; nothing was made"};
}

// ---- build ----

Result<std::string> recipe_of(const CommandLine& line) {
    const bool named = line.parameters.contains("recipe");
    if (line.words.size() + (named ? 1 : 0) != 1)
        return usage("one recipe, please: a file, or the name of one that comes with QVD");
    return image::find_recipe(named ? parameter(line, "recipe") : line.words.front());
}

// What the hypervisor of the OSF uses, unless something else is asked for.
Result<std::string> ending_for(const CommandLine& line, const std::string& hypervisor) {
    std::string format = parameter(line, "format");
    if (format.empty() && hypervisor.starts_with("lxc")) format = "tar.zst";
    if (format.empty() && hypervisor == "kvm") format = "qcow2";
    if (format.empty())
        return usage("VMs of this OSF run on " + hypervisor +
                     ", of which it is not known what it needs: format= says it");
    const std::string name = "image." + format;
    QVD_CHECK(image::image_ending(name));
    if (!line.force) QVD_CHECK(admin::check_image_fits(name, hypervisor));
    return "." + format;
}

struct Order {
    image::Recipe recipe;
    image::BuildSettings settings;
};

Result<image::BuiltImage> build_with_bar(const Order& order, bool quiet) {
    StepLine bar(quiet);
    return image::build(order.recipe, order.settings,
                        [&bar](const image::BuildStep& step) { bar.show(step); });
}

Result<image::Recipe> read_recipe(const CommandLine& line) {
    QVD_TRY(const std::string file, recipe_of(line));
    QVD_TRY(image::Recipe recipe, image::read_recipe(file));
    if (line.parameters.contains("mirror")) recipe.mirrors = {parameter(line, "mirror")};
    return recipe;
}

admin::Async<Output> build(Farm& farm, CommandLine line) {
    Order order;
    QVD_CO_TRY(order.recipe, read_recipe(line));
    Administration::NewDi di = new_di(line);
    QVD_CO_TRY(const auto place, co_await farm.administration().place_for_image(di));
    QVD_CO_TRY(const std::string ending, ending_for(line, place.hypervisor));
    QVD_CO_TRY(const image::WorkFolder work, image::WorkFolder::make(place.folder));
    QVD_CO_TRY(const auto stop, client::StopSignal::install());
    order.settings.output = work.file(order.recipe.name + ending);
    order.settings.parts = {parameter(line, "agent"), parameter(line, "init")};
    order.settings.stop_fd = stop.fd();
    image::find_parts(order.settings.parts);
    QVD_CO_TRY(const auto built, build_with_bar(order, line.quiet || line.json));
    QVD_CO_CHECK(check_not_stopped(stop));
    di.path = built.file;
    QVD_CO_TRY(const auto done,
               co_await farm.administration().add_di(std::move(di), progress_line(line)));
    Output output = added(done.id.value());
    tell_expired(output, done.expired);
    co_return output;
}

// ---- edit ----

// One at a time: of two new versions of one image the second would lack what the first changed.
Result<UniqueFd> hold(const Administration::EditableDi& di) {
    UniqueFd image{::open(di.file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!image) return errno_error("image.missing", di.file);
    if (::flock(image.get(), LOCK_EX | LOCK_NB) != 0)
        return Error{ErrorKind::conflict, "image.busy",
                     "the image " + di.record.di.id.text() + " is being edited already"};
    return image;
}

// Of a key that the plugin kvm declares, if it is installed here.
std::string plugin_key(const config::View& view, const char* name, const char* otherwise) {
    if (view.setting(name) == nullptr) return otherwise;
    return view.text(name).value_or(otherwise);
}

// "kvm" where somebody says so, or the plugin has found out that it works.
std::string accelerator_of(const config::View& view) {
    std::string wanted = plugin_key(view, "vm.kvm.accel", "auto");
    if (wanted != "auto") return wanted;
    const std::string state = plugin_key(view, "path.kvm.state", "/var/lib/qvd/kvm");
    const auto known = file::read(state + "/accel");
    const bool works = known.ok() && known->find("\naccel=kvm\n") != std::string::npos;
    return works ? "kvm" : "tcg";
}

Result<bool> wants_new_version(int status) {
    std::cerr << "The shell ended"
              << (status == 0 ? std::string(".") : " with status " + std::to_string(status) + ".")
              << " Make a new version of the image of what is there now? [y/N] " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    return !answer.empty() && (answer.front() == 'y' || answer.front() == 'Y');
}

// What a person or a command makes of the image; false: they gave it up.
Result<bool> change(image::Edit& edit, const CommandLine& line) {
    constexpr int steps = 3;
    const bool quiet = line.quiet || line.json;
    {
        StepLine bar(quiet);
        bar.show({1, steps, "making a copy", std::nullopt});
        QVD_CHECK(edit.open());
        bar.show(
            {2, steps, line.words.empty() ? "it is yours" : "running the command", std::nullopt});
    }
    QVD_TRY(const int status, edit.enter());
    if (line.words.empty()) return line.force ? Result<bool>(true) : wants_new_version(status);
    if (status == 0) return true;
    return Error{
        ErrorKind::internal, "image.edit",
        "the command ended with status " + std::to_string(status) + "; no new version was made"};
}

Result<bool> change_and_write(image::Edit& edit, const CommandLine& line,
                              const std::string& output) {
    QVD_TRY(const bool wanted, change(edit, line));
    if (!wanted) return false;
    StepLine bar(line.quiet || line.json);
    bar.show({3, 3, "writing the image", std::nullopt});
    QVD_CHECK(edit.write(output));
    return true;
}

Result<void> check_edit(const CommandLine& line) {
    if (::geteuid() != 0)
        return Error{ErrorKind::denied, "image.root",
                     "an image is edited by root: its files have owners"};
    if (!line.words.empty() || image::person_is_there()) return {};
    return usage("nobody is at a terminal here: give the command that changes the image behind --");
}

admin::Async<Output> add_edited(Farm& farm, CommandLine line, Administration::EditableDi from,
                                std::string file) {
    Administration::NewDi di = new_di(line);
    di.osf_id = from.record.di.osf.text();
    di.path = std::move(file);
    const std::string tag = parameter(line, "tag");
    auto done = co_await farm.administration().add_di(std::move(di), progress_line(line));
    if (!done.ok()) co_return done.error();
    Output output = added(done->id.value());
    if (!tag.empty()) {
        QVD_CO_TRY(done->expired,
                   co_await farm.administration().tag_di(done->id.text(), tag, expiry_of(line)));
    }
    tell_expired(output, done->expired);
    co_return output;
}

admin::Async<Output> edit(Farm& farm, CommandLine line) {
    QVD_CO_CHECK(check_edit(line));
    const std::string id = parameter(line, "di_id");
    QVD_CO_TRY(const auto from, co_await farm.administration().di_to_edit(id));
    QVD_CO_TRY(const UniqueFd held, hold(from));
    Administration::NewDi wanted = new_di(line);
    wanted.osf_id = from.record.di.osf.text();
    QVD_CO_TRY(const auto place, co_await farm.administration().place_for_image(std::move(wanted)));
    QVD_CO_TRY(const image::WorkFolder work, image::WorkFolder::make(place.folder));
    QVD_CO_TRY(const auto stop, client::StopSignal::install());
    image::EditOrder order;
    order.image = from.file;
    order.work = work.path();
    order.command = line.words;
    order.stop_fd = stop.fd();
    order.unpacker = image::find_unpacker();
    order.accelerator = accelerator_of(farm.administration().view());
    const auto copy = image::edit(std::move(order));
    const std::string file = work.file(from.name);
    QVD_CO_TRY(const bool changed, change_and_write(*copy, line, file));
    if (!changed) co_return said("nothing was made", {});
    QVD_CO_CHECK(check_not_stopped(stop));
    QVD_CO_TRY(const auto now, co_await farm.administration().di_to_edit(id));
    QVD_CO_TRY(Output output, co_await add_edited(farm, line, from, file));
    if (now.head != from.head)
        output.line += "\nmeanwhile the image " + now.head.text() +
                       " became the newest of its OSF; what it has new is not in this one";
    co_return output;
}

}  // namespace

std::vector<Command> di_making_commands() {
    const std::vector<Parameter> limits = expiry_parameters();
    return {
        {"di",
         "build",
         "Builds an image from a RECIPE and adds it; for containers or virtual machines as its OSF "
         "is.",
         {{"osf", Need::either, "name of its OSF"},
          {"osf_id", Need::either, "id of its OSF, in place of its name"},
          {"recipe", Need::optional,
           "in place of RECIPE: a file, or debian-minimal or debian-lxde"},
          {"format", Need::optional, "tar.zst, tar.gz, tar.xz, tar, qcow2 or raw"},
          {"mirror", Need::optional, "where packages are fetched from, in place of the recipe's"},
          {"agent", Need::optional, "the agent for the image (the installed qvd-vma)"},
          {"init", Need::optional, "the init for the image (the installed qvd-image-init)"},
          {"version", Need::optional, "default YYYY-MM-DD-NNN"},
          limits[0],
          limits[1]},
         forcing | words,
         build},
        {"di",
         "edit",
         "Makes a new version of an image: by a command behind --, or by you in a shell.",
         {{"di_id", Need::required, "which image; it stays as it is"},
          {"tag", Need::optional, "a tag that the new one takes, e.g. default"},
          {"version", Need::optional, "default YYYY-MM-DD-NNN"},
          limits[0],
          limits[1]},
         forcing | words,
         edit},
    };
}

}  // namespace qvd::qa
