"""Gathers what draws figures: Vega as one script, for pages; the folder `figures`, for Node.

    gather.py NPM VEGA_JS FIGURES

NPM installs what package-lock.json pins, beside VEGA_JS. Without it, or without a network, VEGA_JS
is empty: reports then have tables alone, which is said here and in them.
"""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PAGE = ["vega/build/vega.min.js", "vega-lite/build/vega-lite.min.js",
        "vega-embed/build/vega-embed.min.js"]
RASTER = "@resvg"


def install(npm, folder):
    """node_modules in `folder`; empty if all is well, else what is wrong."""
    if not npm:
        return "npm was not found"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, folder / name)
    # No script of a package runs on this machine.
    done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = done.stdout.strip().splitlines()
    return "\n  ".join(["npm could not install them:", *said[-5:]])


def licences(modules):
    """Every licence text once, with the packages that it is of."""
    texts = collections.defaultdict(list)
    for package in sorted(modules.glob("**/package.json")):
        if package.parent.parent.name != "node_modules" and \
                not package.parent.parent.name.startswith("@"):
            continue
        facts = json.loads(package.read_text("utf-8"))
        found = sorted(p for p in package.parent.iterdir()
                       if p.name.lower().startswith(("license", "licence", "copying", "notice")))
        text = "\n".join(p.read_text("utf-8").strip() for p in found) or facts.get("license", "")
        texts["\n".join(line.rstrip() for line in text.splitlines())].append(
            f"{facts['name']} {facts['version']}")
    return "\n\n".join(", ".join(names) + ":\n\n" + text for text, names in texts.items())


def main():
    npm, vega, figures = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    folder = vega.parent.absolute() / "vega-packages"
    shutil.rmtree(figures, ignore_errors=True)
    wrong = install(npm, folder)
    if wrong:
        print(f"warning: reports will have tables but no plots: {wrong}\n"
              f"  install npm, see to a network, remove {os.path.relpath(vega)} and build again",
              file=sys.stderr)
        vega.write_text("")
        return
    modules = folder / "node_modules"
    texts = licences(modules)
    scripts = [(modules / path).read_text("utf-8") for path in PAGE]
    comment = texts.replace("*/", "* /")
    # Without its map, which is not there, a browser's console would complain.
    lines = [line for script in scripts for line in script.splitlines()
             if not line.startswith("//# sourceMappingURL")]
    figures.mkdir()
    shutil.copyfile(HERE / "render.mjs", figures / "render.mjs")
    (figures / "licences.txt").write_text(texts + "\n", "utf-8")
    if (modules / RASTER).is_dir():
        shutil.copytree(modules / RASTER, figures / "node_modules" / RASTER)
    text = f"/*!\n{comment}\n*/\n" + "\n".join(lines) + "\n"
    (figures / "vega.js").write_text(text, "utf-8")
    vega.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
