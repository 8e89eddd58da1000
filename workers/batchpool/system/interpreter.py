"""The version and GIL of this interpreter, as records, classes and reports show them."""

import sys

from batchpool.system.cpython_internals import is_gil_enabled


def python_minor() -> str:
    """`3.14`: what decides whether a batch can run here."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def gil_enabled() -> bool:
    """Whether this interpreter runs Python code in one thread at a time."""
    return is_gil_enabled()
