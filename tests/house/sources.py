"""What the checks of the house read: the tree, its CMake files, its include lines."""

import os
import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
CODE = {".c", ".cpp", ".h", ".hpp"}


def files(*folders, suffixes=None):
    """Every file below the folders of the tree, sorted; with suffixes only those."""
    found = []
    for folder in folders:
        for place, inner, names in os.walk(TREE / folder):
            inner[:] = [name for name in inner if name not in (".git", "build", "__pycache__")]
            found += [Path(place) / name for name in names]
    return sorted(f for f in found if suffixes is None or f.suffix in suffixes)


def text(path):
    return path.read_text(encoding="utf-8")


def includes(path):
    """(line number, quote or angle, name) of each include line."""
    for number, line in enumerate(text(path).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


class Target:
    """A room or program as its CMakeLists.txt declares it."""

    def __init__(self, name, folder, sources, uses):
        self.name, self.folder, self.sources, self.uses = name, folder, sources, uses


def targets():
    """Every room and program of core, by name."""
    found = {}
    words = {"SOURCES", "USES", "LIBRARIES", "DESTINATION"}
    for path in sorted((TREE / "core").rglob("CMakeLists.txt")):
        plain = re.sub(r"#.*", "", text(path))
        for call in re.finditer(r"qvd_(?:room|program)\(([^)]*)\)", plain):
            parts = call.group(1).split()
            lists = {"": []}
            current = ""
            for part in parts[1:]:
                if part in words:
                    current = part
                    lists[current] = []
                else:
                    lists[current].append(part)
            found[parts[0]] = Target(parts[0], path.parent, lists.get("SOURCES", []),
                                     lists.get("USES", []))
        for call in re.finditer(r"add_executable\(([^)]*)\)", plain):
            name, *compiled = call.group(1).split()
            linked = re.search(rf"target_link_libraries\({re.escape(name)}\s([^)]*)\)", plain)
            uses = re.findall(r"qvd::(\w+)", linked.group(1)) if linked else []
            found[name] = Target(name, path.parent, compiled, uses)
    return found


def room_order():
    """The folders of core as core/CMakeLists.txt lists them, the deepest first."""
    return re.findall(r"add_subdirectory\((\w+)\)", text(TREE / "core" / "CMakeLists.txt"))


def name_of(path):
    return str(path.relative_to(TREE))


def report(title, complaints):
    """Prints what is wrong and ends the program."""
    for complaint in complaints:
        print(complaint)
    print(f"{title}: " + (f"{len(complaints)} wrong" if complaints else "good"))
    sys.exit(1 if complaints else 0)
