"""The log of a process: one format for all of them."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(level: str | int, handler: logging.Handler | None = None) -> None:
    """Log to stderr, or by a handler, from `level` (debug, info, warning, error) on."""
    level = level.upper() if isinstance(level, str) else level
    handlers = [handler or logging.StreamHandler(sys.stderr)]
    logging.basicConfig(handlers=handlers, level=level, format=FORMAT)
