"""Every program that is installed, and every file of settings, has its manual page; the pages are
good roff; the completion of qa knows every command; the README names only what exists."""

import re
import shutil
import subprocess
import sys
import sources
from sources import TREE, name_of

PAGES = TREE / "etc" / "man"
# Run by other programs, never by people.
UNSEEN = {"qvd-image-init", "qvd-lxc-keeper", "qvd-lxc-container", "qvd-unpack"}
complaints = []


def programs():
    found = set()
    for path in (TREE / "core" / "programs").rglob("CMakeLists.txt"):
        plain = re.sub(r"#.*", "", sources.text(path))
        found |= set(re.findall(r"qvd_program\(\s*([\w-]+)", plain))
        found |= set(re.findall(r"add_executable\(\s*([\w-]+)", plain))
    return found - UNSEEN


def check_pages():
    pages = {path.stem: path for path in PAGES.glob("*.[158]")}
    for program in programs():
        if program not in pages:
            complaints.append(f"etc/man: the program {program} has no page")
    for file in (TREE / "etc").glob("*.conf"):
        if file.name not in pages:
            complaints.append(f"etc/man: the file {file.name} has no page")
    for page in pages.values():
        check_page(page)


def check_page(page):
    plain = sources.text(page)
    for heading in ("NAME", "DESCRIPTION", "SEE ALSO"):
        if not re.search(rf'^\.(SH|Sh) "?{heading}', plain, re.MULTILINE):
            complaints.append(f"{name_of(page)}: the section {heading} is missing")
    title = re.search(r"^\.(?:TH|Dt) (\S+) (\d)", plain, re.MULTILINE)
    if not title or (title.group(1).lower(), "." + title.group(2)) != (page.stem.lower(), page.suffix):
        complaints.append(f"{name_of(page)}: .TH does not say the page's name and section")
    for name, section in re.findall(r"^\.BR ([\w.-]+) \((\d)\)", plain, re.MULTILINE):
        if name.startswith(("qvd", "qa", "node.", "vma.", "client.")) and \
                not (PAGES / f"{name}.{section}").exists():
            complaints.append(f"{name_of(page)}: there is no {name}({section})")
    if shutil.which("groff"):
        said = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-Wbreak", "-z", page], capture_output=True,
                              text=True, check=False)
        complaints.extend(f"{name_of(page)}: {line}" for line in said.stderr.splitlines())


def check_qa():
    """Every command of qa stands in its page and in its completion."""
    page = sources.text(PAGES / "qa.8").replace("\\-", "-")
    completion = sources.text(TREE / "etc" / "completion" / "qa")
    for path in (TREE / "core" / "programs" / "qa").glob("*_commands.cpp"):
        for item, command in re.findall(r'\{\s*"([a-z]+)",\s*"([a-z_]+)",\s*"', sources.text(path)):
            if f"qa {item} {command}" not in page:
                complaints.append(f"etc/man/qa.8: says nothing of \"qa {item} {command}\"")
            if not re.search(rf"\[{item}\]=\"[^\"]*\b{command}\b", completion):
                complaints.append(f"etc/completion/qa: does not know \"qa {item} {command}\"")


def check_advice():
    """Whatever tells people to run "qa OBJECT COMMAND", page, guide or program, names one that the
    completion knows."""
    completion = sources.text(TREE / "etc" / "completion" / "qa")
    known = {f"{item} {command}" for item, commands in re.findall(r'\[(\w+)\]="([^"]*)"', completion)
             for command in commands.split()}
    objects = "|".join(sorted({command.split()[0] for command in known}))
    named = re.compile(rf"\bqa ({objects})\s+([a-z][a-z_]*)")
    texts = [TREE / "README.md", *PAGES.glob("*.[158]"), *(TREE / "etc").glob("*.conf"),
             *(TREE / "sdk" / "guide").glob("*.md"), *(TREE / "examples").rglob("*.md"),
             *(TREE / "core").rglob("*.[ch]pp"), *(TREE / "plugins").rglob("*.[ch]pp")]
    for path in texts:
        # A string that goes on in the next line, and an escaped hyphen.
        plain = re.sub(r'"\n\s*"', "", sources.text(path)).replace("\\-", "-")
        if path.suffix in sources.CODE:
            plain = re.sub(r"//.*", "", plain)
        for item, command in named.findall(plain):
            if f"{item} {command}" not in known:
                complaints.append(f"{name_of(path)}: there is no command \"qa {item} {command}\"")


def check_readme():
    """What looks like a path of the tree is one; the table of a login names them from core/ on."""
    for named in re.findall(r"`((?:\.\./)?[\w-]+/[\w./-]*\w/?)`", sources.text(TREE / "README.md")):
        if not (TREE / named).exists() and not (TREE / "core" / named).exists():
            complaints.append(f"README.md: there is no {named}")


check_pages()
check_qa()
check_advice()
check_readme()
if not complaints and not shutil.which("groff"):
    print("skipped: without groff nobody knows whether the pages are good roff; the rest is good")
    sys.exit(77)
sources.report("pages", complaints)
