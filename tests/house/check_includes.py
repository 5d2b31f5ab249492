"""A room includes only itself and rooms that it may use; plugins and the SDK know nothing of core."""

import re
import sources
from sources import CODE, TREE, name_of

targets = sources.targets()
order = sources.room_order()
complaints = []


def room_of(folder):
    return folder.relative_to(TREE / "core").parts[0]


def closure(names):
    seen = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in targets:
            waiting += targets[name].uses
    return seen


def rooms_allowed(folder, path):
    """The rooms that `path`, a file below `folder`, may include: what its target uses, or, of a
    header, what any target of the folder uses."""
    mine = [t for t in targets.values() if t.folder == folder]
    relative = str(path.relative_to(folder))
    compiled = [t for t in mine if relative in t.sources]
    used = closure(use for t in (compiled or mine) for use in t.uses)
    return {room_of(targets[name].folder) for name in used if name in targets}


def check_order():
    for target in targets.values():
        mine = room_of(target.folder)
        for use in target.uses:
            if use not in targets:
                complaints.append(f"{name_of(target.folder)}/CMakeLists.txt: {target.name} uses "
                                  f"{use}, which is no room")
            elif order.index(room_of(targets[use].folder)) > order.index(mine):
                complaints.append(f"{name_of(target.folder)}/CMakeLists.txt: {target.name} uses "
                                  f"{use}, a room below it")


def check_core(path):
    folder = next(f for f in path.parents if (f / "CMakeLists.txt").exists())
    mine = room_of(folder)
    allowed = rooms_allowed(folder, path)
    for number, kind, name in sources.includes(path):
        where = f"{name_of(path)}:{number}"
        first = name.split("/")[0]
        if name.startswith("qvd/") and name.endswith(".hpp"):
            complaints.append(f"{where}: core includes the C++ face of the SDK: {name}")
        if name.startswith("boost/dll") and name_of(path) != "core/plugin/library.cpp":
            complaints.append(f"{where}: only core/plugin/library.cpp names Boost.DLL")
        if name == "libpq-fe.h" and "core/store/" not in name_of(path):
            complaints.append(f"{where}: only the store talks to PostgreSQL")
        if kind == "<" and first in order and (TREE / "core" / name).exists():
            complaints.append(f"{where}: a room's header is included with quotes: {name}")
        if kind != '"' or (path.parent / name).exists() or (folder / name).exists():
            continue
        if not (TREE / "core" / name).exists():
            continue  # a generated file; the compiler says if it is not there
        if first != mine and first not in allowed:
            complaints.append(f"{where}: room {mine} may not use {first}: add it to USES in "
                              f"{name_of(folder)}/CMakeLists.txt, if it is above")


def check_plugin(path):
    folder = TREE / "plugins" / path.relative_to(TREE / "plugins").parts[0]
    roots = [path.parent, folder]
    if "qvd_lxc_backend" in sources.text(folder / "CMakeLists.txt"):
        roots.append(TREE / "plugins" / "lxc")
    for number, kind, name in sources.includes(path):
        where = f"{name_of(path)}:{number}"
        if kind == '"' and not any((root / name).exists() for root in roots):
            complaints.append(f"{where}: a plugin includes <qvd/...>, the system and its own: {name}")
        if kind == "<" and (TREE / "core" / name).exists():
            complaints.append(f"{where}: a plugin knows nothing of core: {name}")
        if name.startswith("qvd/") and not (TREE / "sdk" / "include" / name).exists():
            complaints.append(f"{where}: the SDK has no {name}")


def check_sdk(path):
    for number, kind, name in sources.includes(path):
        where = f"{name_of(path)}:{number}"
        own = name.startswith("qvd/") or (path.parent / name).exists()
        if path.suffix == ".h" and own and not name.endswith(".h"):
            complaints.append(f"{where}: a C header includes C++: {name}")
        if not own and (kind == '"' or not re.fullmatch(r"[a-z_]+(\.h)?", name)):
            complaints.append(f"{where}: the SDK needs the standard library only: {name}")


check_order()
for file in sources.files("core", suffixes=CODE):
    check_core(file)
for file in sources.files("plugins", suffixes=CODE):
    check_plugin(file)
for file in sources.files("sdk/include", suffixes=CODE):
    check_sdk(file)
sources.report("includes", complaints)
