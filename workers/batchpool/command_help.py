"""`--help` of the processes that are started with `python -m` and configured by the environment."""

import argparse
import sys
import textwrap
from collections.abc import Sequence

from batchpool.settings import (
    TASK_SETTINGS,
    Setting,
    StackSettings,
    WorkerSettings,
    declared_settings,
)

_WIDTH = 80


def answer_arguments(
    module: str, about: str, settings: type[StackSettings], arguments: Sequence[str]
) -> None:
    """Return if there are no arguments, for all else is in the environment.

    Raises:
        SystemExit: 0 after `-h` or `--help` was answered, 2 if there are other arguments.
    """
    shown = tuple(declared_settings(settings).values())
    if issubclass(settings, WorkerSettings):
        shown += TASK_SETTINGS
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=textwrap.fill(about, _WIDTH),
        epilog="\n".join(["environment variables:", *map(_describe, shown)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _, unknown = parser.parse_known_args(arguments)
    if unknown:
        sys.stderr.write(f"unknown argument {unknown[0]!r}; known: -h, --help\n")
        raise SystemExit(2)


def _describe(setting: Setting) -> str:
    default = setting.default_text or setting.default
    text = f"{setting.text}; {setting.allowed}; default: {default}".replace("`", "")
    lines = textwrap.fill(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {setting.variable}\n{lines}"
