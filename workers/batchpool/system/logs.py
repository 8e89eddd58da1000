"""The log of a process: one format for all of them."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Log to stderr from `level` (debug, info, warning, error) on."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=FORMAT)
