"""The command `batchpool`, run inside the test process: no start of Python for each call."""

import os
from dataclasses import dataclass

from click.testing import CliRunner

from batchpool.cli.main import main


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def batchpool(*arguments: str | bytes, stdin: str | bytes = "", **environ: str) -> Told:
    """Run `batchpool` with these arguments, as `python -m batchpool` does.

    What starts, replaces or signals a process needs a process of its own.
    """
    words = [os.fsdecode(argument) for argument in arguments]
    done = CliRunner().invoke(
        main, words, input=stdin, env=environ, prog_name="batchpool", catch_exceptions=False
    )
    return Told(done.exit_code, done.stdout, done.stderr)
