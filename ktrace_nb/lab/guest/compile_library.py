"""Compile what most programs import, with the guest's own Python, when its image is built.

Usage: compile_library.py ROOT, where ROOT is the guest's file tree.
"""

import argparse  # noqa: F401  (all of these are imported to be found below)
import ctypes.util  # noqa: F401
import dataclasses  # noqa: F401
import json  # noqa: F401
import logging  # noqa: F401
import mmap  # noqa: F401
import pathlib  # noqa: F401
import platform  # noqa: F401
import pty  # noqa: F401
import py_compile
import queue  # noqa: F401
import random  # noqa: F401
import resource  # noqa: F401
import selectors  # noqa: F401
import shutil  # noqa: F401
import socket  # noqa: F401
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import threading  # noqa: F401
import traceback  # noqa: F401
import typing  # noqa: F401
import zipfile  # noqa: F401

# Found by their names, at run time: codecs of the terminal and of zip files,
# what runs a zip file, what a plain python3 starts with.
for name in ("encodings.ascii", "encodings.cp437", "encodings.latin_1", "runpy", "site", "zipimport"):
    __import__(name)

root = sys.argv[1]
for module in list(sys.modules.values()):
    source = getattr(module, "__file__", None) or ""
    if source.startswith(root) and source.endswith(".py") and module.__name__ != "__main__":
        py_compile.compile(
            source,
            dfile=source[len(root) :],
            doraise=True,
            # The guest's clock may stand anywhere: never compare times.
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
