"""Each long option that a program's --help names is in its manual page, and the other way round.
check_help.py PAGES PROGRAM...  (PROGRAM: the file to run)"""

import pathlib
import re
import subprocess
import sys

pages = pathlib.Path(sys.argv[1])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
complaints = []


def in_help(program):
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=False, timeout=20)
    if said.returncode != 0:
        complaints.append(f"{program} --help ends with {said.returncode}")
    return set(OPTION.findall(said.stdout))


def in_page(page):
    """Those of the examples may be other programs'."""
    plain = re.split(r"^\.SH EXAMPLES?$", page.read_text(), flags=re.MULTILINE)
    rest = re.sub(r"\A.*?(?=^\.SH )", "", plain[1], count=1, flags=re.S | re.M) if len(plain) > 1 else ""
    return set(OPTION.findall((plain[0] + rest).replace("\\-", "-")))


for program in map(pathlib.Path, sys.argv[2:]):
    page = next(pages.glob(f"{program.name}.[18]"), None)
    if page is None:
        complaints.append(f"{program.name} has no manual page")
        continue
    spoken, written = in_help(program), in_page(page)
    if not spoken:
        complaints.append(f"{program.name} --help names no option")
    complaints += [f"{page.name} says nothing of {one}" for one in sorted(spoken - written)]
    complaints += [f"{program.name} --help says nothing of {one}, which {page.name} has"
                   for one in sorted(written - spoken)]
for line in complaints:
    print(line, file=sys.stderr)
sys.exit(bool(complaints))
