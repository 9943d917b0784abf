"""Installs the folder `figures`, if the build made one: what draws pictures for `perturb plot`."""

import os
import pathlib
import shutil
import sys

figures = pathlib.Path(os.environ["MESON_BUILD_ROOT"]) / "figures"
if figures.is_dir():
    place = pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / sys.argv[1]
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(figures, place)
