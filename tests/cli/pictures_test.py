"""Hundreds of values that are one picture are a line wherever values are listed, and programs get them all."""

import unittest

from cli_test import PretendingTest
from page_reader import Reader

POINTS = 40

CLOUD = f"""
name = "cloud"
[task]
kind = "wgan"
[model]
kind = "generator"
[data]
kind = "four-gaussians"
[train]
epochs = 2
[[variations]]
seeds.init = [0, 1]
[[metrics]]
kind = "critic-steepness"
every = "end"
[[metrics]]
kind = "point"
of = ["model", "init"]
index = {{ range = [0, {POINTS}] }}
coordinate = [0, 1]
every = "end"
"""
FOLDED = f"point.model.0.0 and {2 * 2 * POINTS - 1} more like it"


class Pictures(PretendingTest):
    def setUp(self):
        super().setUp()
        self.cloud = self.file(CLOUD, "cloud.toml")
        self.perturb("run", self.cloud)

    def test_a_check_and_a_comparison_of_two_trials_have_a_line_for_all(self):
        checked = self.perturb("check", self.cloud).stdout
        self.assertIn(f"metric: {FOLDED}, at the end", checked)
        compared = self.perturb("--store", self.folder / ".perturb", "diff", "cloud:0", "cloud:1").stdout
        lines = [line for line in compared.splitlines() if "point." in line]
        self.assertEqual(len(lines), 1, compared)
        self.assertIn(" more like it", lines[0])
        self.assertIn("critic.steep_share", compared)

        whole = self.json("--store", self.folder / ".perturb", "diff", "cloud:0", "cloud:1")["results"]
        points = {one["metric"]: abs(one["b"] - one["a"]) for one in whole
                  if one["metric"].startswith("point.")}
        self.assertEqual(len(points), 2 * 2 * POINTS)
        self.assertIn(f"at most {max(points.values()):.6g}", lines[0])

    def test_the_report_has_columns_for_the_others(self):
        self.perturb("report", self.cloud, "-o", self.folder / "cloud.html")
        page = Reader((self.folder / "cloud.html").read_text(encoding="utf-8"))
        columns = page.rows["trials"][0]
        self.assertIn("critic.steep_share", columns)
        self.assertEqual([title for title in columns if title.startswith("point.")], [])
        self.assertIn(FOLDED, [row[0] for row in page.rows["provenance"]])


if __name__ == "__main__":
    unittest.main()
