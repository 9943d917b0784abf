#!/usr/bin/env python3
"""The include check goes red on every kind of bad include, and on nothing else."""

import pathlib
import tempfile
import unittest

import layers

TABLE = """
| module | what lives there | may include | torch |
|---|---|---|---|
| core | errors | | no |
| store | results | core | no |
| train | sessions | core store | yes |
| cli | commands | core train | no |
"""


class Layers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("docs/architecture.md", TABLE)
        self.write("src/store/database.h", "#pragma once\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def offences(self, name, *includes):
        """What the check says of one file whose includes start on its second line."""
        self.write(name, "// a file\n" + "".join(f"#include {i}\n" for i in includes))
        return layers.check(self.root)

    def test_what_the_table_allows_passes(self):
        self.assertEqual([], self.offences("include/perturb/core/error.h", "<string>"))
        self.assertEqual([], self.offences(
            "src/store/database.cpp", '"database.h"', '"store/database.h"', '"store/schema_sql.h"',
            '"perturb/store/store.h"', '"perturb/core/error.h"', "<sqlite3.h>"))
        self.assertEqual([], self.offences("src/train/session.cpp", "<torch/torch.h>"))
        self.assertEqual([], self.offences(
            "include/perturb/train/session.h", "<ATen/core/Tensor.h>"))

    def test_a_module_outside_the_row(self):
        self.assertEqual(
            ["src/core/error.cpp:3: perturb/store/store.h: core may not include store"],
            self.offences("src/core/error.cpp", "<string>", '"perturb/store/store.h"'))

    def test_spelling_does_not_matter(self):
        for include in ("<perturb/store/store.h>", '"perturb/store/deep/er.h"', "<perturb/nowhere/x.h>"):
            self.assertEqual(1, len(self.offences("include/perturb/core/error.h", include)), include)
        self.write("src/core/a.cpp", '  #  include "perturb/store/store.h"\n')
        self.assertEqual(2, len(layers.check(self.root)))

    def test_libtorch_where_the_row_says_no(self):
        for include in ("<torch/torch.h>", "<ATen/core/Tensor.h>", "<c10/util/Half.h>"):
            self.assertIn("may not see LibTorch", *self.offences("src/store/database.cpp", include))

    def test_libtorch_behind_a_header_of_ours(self):
        self.write("include/perturb/train/tensor.h", "#include <ATen/core/Tensor.h>\n")
        self.write("include/perturb/train/session.h", '#include "perturb/train/tensor.h"\n')
        self.write("include/perturb/train/engine.h", '#include "perturb/train/engine.h"\n')
        self.assertEqual([], self.offences("src/cli/run.cpp", '"perturb/train/engine.h"'))
        self.assertIn("LibTorch (ATen/core/Tensor.h)", *self.offences(
            "src/cli/run.cpp", '"perturb/train/session.h"'))

    def test_heavy_headers_in_public_ones(self):
        for include in ("<torch/torch.h>", "<toml++/toml.h>", "<sqlite3.h>"):
            self.assertIn("too heavy", *self.offences("include/perturb/train/session.h", include))

    def test_a_private_header_of_another_module(self):
        for include in ('"../store/database.h"', '"store/database.h"', '"store/schema_sql.h"'):
            self.assertIn("private to store", *self.offences("src/train/session.cpp", include))

    def test_a_private_header_in_a_public_one(self):
        self.assertIn("private to store", *self.offences(
            "include/perturb/store/store.h", '"store/database.h"'))

    def test_a_folder_that_is_not_in_the_table(self):
        self.assertIn("not in docs/architecture.md", *self.offences("src/utils/x.cpp", "<string>"))

    def test_a_page_without_a_readable_table(self):
        for page in ("no table", TABLE + "| plan | main | core |\n", TABLE.replace("core store", "cor")):
            self.write("docs/architecture.md", page)
            with self.assertRaises(SystemExit):
                layers.check(self.root)


if __name__ == "__main__":
    unittest.main()
