"""The top level is fixed; no file is too long, unfinished, or knows the machine it was written on."""

import re
import sources
from sources import CODE, TREE, name_of

TOP_LEVEL = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "core", "plugins", "sdk",
             "examples", "tests", "etc"}
LONGEST = 400  # lines
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".cmake", ".in", ".json", ".yaml", ".conf", ".sql", ".map",
               ".service", ".1", ".5", ".8", ""}
# Put together so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
# tests/skip.hpp is how a case says that it cannot be tried here.
UNTRIED = re.compile(r"\bMESS" + r"AGE\(\s*\"skipped")
MACHINE = re.compile("|".join([
    r"(?<![\w.$}])/wo" + r"rk/", r"(?<![\w.$}])/ho" + r"me/(?!USER|user|alice|bob|qvd|LOGIN)[a-z]\w*/\w"]))
REGISTRIES = re.compile(r"\b(?:" + "|".join([
    "deb" + r"\.debian\.org", "security" + r"\.debian\.org", "archive" + r"\.ubuntu\.com",
    "snapshot" + r"\.debian\.org", "pypi" + r"\.org", "files" + r"\.pythonhosted\.org",
    "registry" + r"\.npmjs\.org", "crates" + r"\.io", "proxy" + r"\.golang\.org",
    "conan" + r"\.io", "docker" + r"\.io", "quay" + r"\.io", "ghcr" + r"\.io",
    "art" + "ifactory", "jf" + "rog"]) + r")\b", re.IGNORECASE)

complaints = []
for entry in TREE.iterdir():
    if not entry.name.startswith(".") and entry.name not in TOP_LEVEL | {"build"}:
        complaints.append(f"{entry.name}: does not belong at the top level")
for name in TOP_LEVEL:
    if not (TREE / name).exists():
        complaints.append(f"{name}: is missing from the top level")

for path in sources.files("core", "plugins", "sdk", "examples", "tests", "etc", ".ci"):
    if path.suffix not in TEXT:
        continue
    try:
        lines = sources.text(path).splitlines()
    except UnicodeDecodeError:
        continue  # a seed of the fuzzers
    if path.suffix in CODE | {".py", ".sh", ".cmake"} and len(lines) > LONGEST:
        complaints.append(f"{name_of(path)}: {len(lines)} lines; {LONGEST} is the most")
    for number, line in enumerate(lines, 1):
        for what, pattern in (("unfinished", UNFINISHED), ("a test that passes by not being tried", UNTRIED),
                              ("a path of somebody's machine", MACHINE),
                              ("the host of a package registry", REGISTRIES)):
            found = pattern.search(line)
            if found:
                complaints.append(f"{name_of(path)}:{number}: {what}: {found.group(0)}")
sources.report("tree", complaints)
