"""A key is declared once, in the keys.hpp of a room or the manifest of a plugin, and what is read by
name, or named in a sentence for people, is declared."""

import re
import sources
from sources import CODE, TREE, name_of

complaints = []
declared = {}
for path in sources.files("core", suffixes={".hpp"}):
    if path.name != "keys.hpp":
        continue
    for name in re.findall(r'Key<[\w:<> ]+>\s+\w+\{\s*"([^"]+)"', sources.text(path)):
        declared.setdefault(name, []).append(path)

# The agent and the client are programs of their own, which may know keys of the node's, too.
for name, places in declared.items():
    node = [p for p in places if p.parent.name not in ("vma", "client")]
    if len(node) > 1:
        complaints.append(f"{name}: declared by " + ", ".join(name_of(p) for p in node))

for path in sources.files("core", suffixes=CODE):
    plain = sources.text(path)
    if path.name == "keys.hpp":
        body = plain[plain.find("declare(") :] if "declare(" in plain else None
        if body is not None:
            for word, name in re.findall(r'Key<[\w:<> ]+>\s+(\w+)\{\s*"([^"]+)"', plain):
                if not re.search(rf"\b{word}\b", body):
                    complaints.append(f"{name_of(path)}: {name} is not in declare()")
    elif re.search(r"^[^/\n]*config::Key<[^>]+>\s+\w+\{", plain, re.MULTILINE):
        complaints.append(f"{name_of(path)}: keys are declared in keys.hpp")
    # view.text("..."), view.setting("..."), view.family("...") read a key by its name.
    for name in re.findall(r'(?i)view(?:_|\(\))?\s*(?:\.|->)\s*(?:text|setting|family)\("([^"]+)"', plain):
        if name not in declared and name + ".*" not in declared:
            complaints.append(f"{name_of(path)}: reads {name}, which nobody declares")

# A plugin reads only what its own manifest, or the core, declares.
for folder in sorted(p for p in (TREE / "plugins").iterdir() if p.is_dir()):
    group = sources.files(f"plugins/{folder.name}", suffixes=CODE)
    plain = "\n".join(sources.text(path) for path in group)
    if "qvd_lxc_backend" in sources.text(folder / "CMakeLists.txt") and folder.name != "lxc":
        plain += "\n".join(sources.text(p) for p in sources.files("plugins/lxc", suffixes=CODE))
    owned = set(re.findall(r'\bkey\(\s*"([a-z][\w.-]+)"', plain))
    read = re.findall(r'\(\s*core,\s*"([a-z][\w-]*\.[\w.-]+)"', plain)
    read += re.findall(r'config\w*(?:\(\))?(?:\.|->)\w+\("([a-z][\w-]*\.[\w.-]+)"', plain)
    for name in read:
        if name not in owned:
            complaints.append(f"plugins/{folder.name}: reads {name}, which its manifest lacks")
# What a sentence names, somebody will try to set. Known without a declaration: what upstream had, the
# certificate's own keys in the database, and a name of the log's own.
known = set(declared)
for folder in ("core", "plugins"):
    for path in sources.files(folder, suffixes=CODE):
        known |= set(re.findall(r'\bkey\(\s*"([a-z][\w.-]+)"', sources.text(path)))
known |= {"l7r.ssl.key", "l7r.ssl.cert", "l7r.ssl.ca", "l7r.ssl.crl", "log.lost"}
roots = "|".join(sorted({name.split(".")[0] for name in known if "." in name}))
literal = re.compile(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+')
key_in_words = re.compile(rf"(?<![\w./*-])(?:{roots})(?:\.[a-z0-9_]+)+(?![\w/*-]|\.\w)")


def is_known(name):
    """A key, or one of a family ("vma.on_action.*")."""
    families = [key[:-1] for key in known if key.endswith(".*")]
    return name in known or any(name.startswith(family) for family in families)


for path in sources.files("core", "plugins", suffixes=CODE):
    if path.name in ("keys.hpp", "upstream_keys.cpp"):
        continue
    for words in literal.findall(sources.text(path)):
        sentence = re.sub(r'"\s*"', "", words)
        if " " not in sentence.strip():
            continue
        for name in key_in_words.findall(sentence):
            if not name.endswith((".conf", "_")) and not is_known(name):
                complaints.append(f"{name_of(path)}: a sentence names {name}, which nobody declares")
sources.report("keys", complaints)
