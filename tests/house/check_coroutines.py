"""No co_await expression makes a closure with captures, or an aggregate of several parts: g++ 12
destroys such temporaries twice. A named local before it does no harm."""

import re
import sources
from sources import CODE, name_of

CLOSURE = re.compile(r"(?<![\w\])])\[[^\]]+\]\s*[({]")
AGGREGATE = re.compile(r"(?:[(,]\s*|\b[A-Z]\w*)\{[^{}]*,[^{}]*\}")
complaints = []


def expression(text, begin):
    """From `begin` to the end of its statement, or of the brackets around it."""
    depth = 0
    for at in range(begin, len(text)):
        if text[at] in "({[":
            depth += 1
        elif text[at] in ")}]":
            depth -= 1
        if depth < 0 or (depth == 0 and text[at] == ";"):
            return text[begin:at]
    return text[begin:]


def check(name, text):
    for found in re.finditer(r"\bco_await\b", text):
        awaited = expression(text, found.start())
        line = text.count("\n", 0, found.start()) + 1
        if CLOSURE.search(awaited):
            complaints.append(f"{name}:{line}: a closure is made inside a co_await expression")
        if AGGREGATE.search(awaited):
            complaints.append(f"{name}:{line}: an aggregate is made inside a co_await expression")


# The check itself must see what it is for.
check("closure", "co_await run([this] { go(); });")
check("aggregate", "co_await call(peer, {a, b});")
check("typed", "co_await call(Peer{a, b});")
check("harmless", "auto f = [this] { go(); }; co_await run(f); co_await at(list[i], VmId{7});")
if len(complaints) != 3:
    complaints = [f"the check sees the wrong things: {complaints}"]
else:
    complaints = []
    for path in sources.files("core", "plugins", suffixes=CODE):
        check(name_of(path), sources.text(path))

sources.report("coroutines", complaints)
