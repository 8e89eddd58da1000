"""The backends; `facts` describes them without importing one of them."""

import importlib
import sys
from typing import TYPE_CHECKING

from batchpool.backends.facts import facts_of
from batchpool.errors import UnsupportedBackend

if TYPE_CHECKING:
    from batchpool.backends.base import Backend


def load_backend(name: str) -> "type[Backend]":
    """The class of a backend.

    Raises:
        UnknownBackend: there is none of that name.
        UnsupportedBackend: this Python is too old for it.
    """
    facts = facts_of(name)
    if not facts.is_supported:
        needed = ".".join(map(str, facts.min_python))
        here = ".".join(map(str, sys.version_info[:2]))
        raise UnsupportedBackend("backend", f"{name!r} needs Python {needed}; this one is {here}")
    module, _, attribute = facts.where.partition(":")
    loaded: type[Backend] = getattr(importlib.import_module(module), attribute)
    return loaded
