"""What the checks with clang's tools share: the translation units of the tree, and a pool to run
one command for each, two at a time."""

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BUILD = TREE / "build" / "clang"
SOURCES = ("core", "plugins", "sdk", "examples", "tests")


class Unit:
    """One way in which one file is compiled; `words` is the compiler's command without output."""

    def __init__(self, file, directory, words):
        self.file, self.directory, self.words = Path(file), directory, words
        self.definitions = frozenset(
            word.split("=")[0] for word in words
            if word.startswith("-D") and not word.endswith("_EXPORTS"))

    @property
    def name(self):
        return os.path.relpath(self.file, TREE)


def _words(command):
    words = [word for word in shlex.split(command) if not word.endswith("ccache")]
    for pair in ("-o", "-MT", "-MF"):
        if pair in words:
            at = words.index(pair)
            del words[at:at + 2]
    return [word for word in words if word not in ("-c", "-MD")]


def units():
    """Configures the preset clang, makes the sources that are generated, and lists every unit
    once: the same file with the same definitions is one unit, whichever target it is in."""
    (TREE / "build").mkdir(exist_ok=True)
    subprocess.run(["cmake", "--preset", "clang"], cwd=TREE, check=True, stdout=subprocess.DEVNULL)
    entries = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    generated = sorted({e["file"] for e in entries if e["file"].startswith(str(BUILD))})
    subprocess.run(["ninja", "-C", BUILD, *generated], check=True, stdout=subprocess.DEVNULL)
    found = {}
    for entry in entries:
        unit = Unit(entry["file"], entry["directory"], _words(entry["command"]))
        found.setdefault((unit.file, unit.definitions), unit)
    return [*found.values(), *_compiled_elsewhere({unit.file for unit in found.values()})]


def _compiled_elsewhere(known):
    """Units of the files that only other builds compile: the examples that are projects of their
    own, the plugins that other compilers make, the beginning of the fuzzers."""
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    compilers = {".c": ["clang", "-std=gnu11"], ".cpp": ["clang++", "-std=c++17"]}
    return [Unit(file, TREE, [*compilers[file.suffix], *warnings, f"-I{TREE}",
                              f"-I{TREE / 'sdk' / 'include'}", str(file)])
            for folder in SOURCES for file in sorted((TREE / folder).rglob("*.c*"))
            if file.suffix in compilers and file not in known]


def run_each(things, command, jobs=2):
    """Runs command(thing) for each and prints what the failing ones say; command returns the
    output of a failure, or None. The result is how many failed."""
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        for output in pool.map(command, things):
            if output is not None:
                failed += 1
                print(output, end="", flush=True)
    return failed


def output_of_failure(words, **options):
    """None if the command ends well, otherwise what it printed."""
    options.setdefault("stderr", subprocess.STDOUT)
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode == 0:
        return None
    return done.stdout or f"{shlex.join(map(str, words))} ended with {done.returncode}\n"


def end(failed, all_of_them, what):
    """Ends the check with a sentence and its exit code."""
    print(f"{what}: {all_of_them - failed} of {all_of_them} pass", file=sys.stderr)
    sys.exit(1 if failed else 0)
