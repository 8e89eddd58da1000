"""Random generators that modules make at import: reseeded in each child.

A child that is forked inherits the state of every generator of its parent, so that all children
would draw the same numbers. Python reseeds the functions of `random`, and nothing else.
"""

import gc
import logging
import random
import sys
from typing import Any

log = logging.getLogger("batchpool.runner")
_found: list[Any] | None = None


def find_generators() -> None:
    """Note all generators that exist now: once, where tasks are loaded before children fork."""
    global _found
    numpy = sys.modules.get("numpy.random")
    kinds: tuple[type, ...] = (random.Random,)
    if numpy is not None:
        kinds += (numpy.Generator, numpy.RandomState)
    # By type(): asking a framework's lazy object for its class may create it or fail.
    _found = [
        each
        for each in gc.get_objects()
        if issubclass(kind := type(each), kinds) and not issubclass(kind, random.SystemRandom)
    ]


def reseed_generators() -> None:
    """Give each generator a state of its own from the system.

    A child that was not forked finds them first: one that a module seeds with a constant is the
    same in all children as well.
    """
    if _found is None:
        find_generators()
    for generator in _found or ():
        try:
            _reseed(generator)
        # A class of the user's may want arguments, or refuse.
        except Exception as error:
            log.debug("a generator keeps the state it has in all children: %r", error)


def _reseed(generator: Any) -> None:
    if isinstance(generator, random.Random):
        generator.seed()
    else:
        bits = getattr(generator, "bit_generator", None) or generator._bit_generator
        bits.state = type(bits)().state
