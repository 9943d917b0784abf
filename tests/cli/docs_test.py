#!/usr/bin/env python3
"""The generated parts of docs/experiment-file.md are what the program says now, and every local link leads somewhere.
PERTURB_ACCEPT=1 renews the generated parts."""
import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERTURB = os.environ.get("PERTURB", str(ROOT / "build" / "perturb"))
PART = re.compile(r"<!-- begin: perturb ([^\n]*) -->\n.*?<!-- end -->", re.DOTALL)


def renewed(match):
    out = subprocess.run([PERTURB, *match[1].split()], check=True, capture_output=True, text=True).stdout
    return f"<!-- begin: perturb {match[1]} -->\n{out.rstrip()}\n<!-- end -->"


class Docs(unittest.TestCase):
    def test_generated_parts_are_current(self):
        page = ROOT / "docs" / "experiment-file.md"
        text = page.read_text(encoding="utf-8")
        now, count = PART.subn(renewed, text)
        self.assertEqual(count, 10)
        if os.environ.get("PERTURB_ACCEPT"):
            page.write_text(now, encoding="utf-8")
        else:
            self.assertEqual(text, now, "PERTURB_ACCEPT=1 renews it")

    def test_local_links_lead_somewhere(self):
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
            for target in re.findall(r"\]\(([^)#: ]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_first_example_of_the_page_is_valid(self):
        text = (ROOT / "docs" / "experiment-file.md").read_text(encoding="utf-8")
        example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1]
        file = Path(os.environ.get("TMPDIR", "/tmp")) / f"perturb-docs-{os.getpid()}.toml"
        file.write_text(example, encoding="utf-8")
        try:
            plan = subprocess.run([PERTURB, "plan", str(file), "--json"], capture_output=True, text=True, check=True)
        finally:
            file.unlink()
        self.assertIn('"trials": 150', plan.stdout.replace('":150', '": 150'))


if __name__ == "__main__":
    unittest.main()
