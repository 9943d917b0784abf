#!/usr/bin/env python3
"""Holds the sources to the module table of docs/architecture.md.

usage: layers.py [ROOT]

The table says which modules a module may include and whether it may see LibTorch. Besides,
a header in include/ may not bring toml++, SQLite or LibTorch (but ATen/core/Tensor.h) to
whoever includes it, and a header in src/<module> belongs to that module alone. Tests may
include anything.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ROW = re.compile(r"^\|(.+)\|\s*$")
COLUMNS = ["module", "what lives there", "may include", "torch"]
TORCH = {"torch", "ATen", "c10", "caffe2"}
HEAVY = TORCH | {"toml++", "sqlite3.h", "sqlite3ext.h"}
TENSOR = "ATen/core/Tensor.h"


def read_table(page):
    """{module: (modules it may include, whether it may see LibTorch)}."""
    table, inside = {}, False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        match = ROW.match(line)
        cells = [cell.strip() for cell in match[1].split("|")] if match else []
        if cells == COLUMNS:
            inside = True
        elif not match:
            inside = False
        elif inside and not set(line) <= set("|-: "):
            if len(cells) != 4 or cells[3] not in ("yes", "no"):
                raise SystemExit(f"{page}:{number}: not a row of {' | '.join(COLUMNS)}")
            table[cells[0]] = (cells[2].split(), cells[3] == "yes")
    if not table:
        raise SystemExit(f"{page}: no table with the columns {' | '.join(COLUMNS)}")
    for module, (allowed, _) in table.items():
        for name in allowed:
            if name not in table:
                raise SystemExit(f"{page}: {module} may include {name}, which is no module")
    return table


def includes(file):
    """(line, header) of every include in a file."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1]


def libtorch_behind(root, name):
    """The header of LibTorch that including `name` brings in, through any of ours, or None."""
    queue, seen = [name], set()
    while queue:
        header = queue.pop()
        if header.split("/")[0] in TORCH:
            return header
        file = root / "include" / header
        if header not in seen and file.is_file():
            queue += [found for _, found in includes(file)]
        seen.add(header)
    return None


def private_owner(root, file, name, table):
    """The module in whose src/ folder the included header lies, if in any."""
    for base in (file.parent, root / "src"):
        found = base / name
        if found.is_file() and (root / "src").resolve() in found.resolve().parents:
            return found.resolve().relative_to((root / "src").resolve()).parts[0]
    first = name.split("/")[0]
    return first if "/" in name and first in table else None  # generated, in the build folder


def complaint(root, file, module, public, name, table):
    """Why this include is not allowed, or None."""
    allowed, torch = table[module]
    parts = name.split("/")
    behind = None if torch else libtorch_behind(root, name)
    if behind:
        return f"{module} may not see LibTorch" + (f" ({behind})" if behind != name else "")
    if public and parts[0] in HEAVY and name != TENSOR:
        return "too heavy for a public header: it belongs in a .cpp file"
    if parts[0] == "perturb":
        other = parts[1] if len(parts) > 2 else None
        if other not in table:
            return "names no module of the table"
        if other != module and other not in allowed:
            return f"{module} may not include {other}"
        return None
    owner = private_owner(root, file, name, table)
    if owner and (public or owner != module):
        return f"it is private to {owner}"
    return None


def check(root):
    """Every offence as 'file:line: <header>: reason', in a stable order."""
    table = read_table(root / "docs/architecture.md")
    offences = []
    for base in ("include/perturb", "src"):
        for folder in sorted(path for path in (root / base).glob("*") if path.is_dir()):
            module, public = folder.name, base != "src"
            if module not in table:
                offences.append(f"{base}/{module}:1: {module} is not in docs/architecture.md")
                continue
            for file in sorted(p for p in folder.rglob("*") if p.suffix in (".h", ".cpp")):
                for number, name in includes(file):
                    if why := complaint(root, file, module, public, name, table):
                        offences.append(f"{file.relative_to(root)}:{number}: {name}: {why}")
    return offences


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parents[2]
    found = check(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here)
    print("\n".join(found) or "every include is allowed")
    sys.exit(1 if found else 0)
