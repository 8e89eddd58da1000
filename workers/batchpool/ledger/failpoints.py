"""Failpoints: named points around each step of the ledger where a test can kill the process.

A point is `before STEP` or `after STEP`, where a step is one of `STEPS`. Off unless armed, and
armed only in tests: an environment that names a point without saying so is refused.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

STEPS = (
    "pop",
    "upload",
    "create",
    "requeue",
    "claim",
    "flush",
    "renew",
    "finish",
    "expire",
    "overdue",
    "move",
    "cancel",
    "delete",
    "compare_create",
    "compare_step",
    "compare_cancel",
    "compare_delete",
    "take",
    "leave",
)
VARIABLE = "BATCHPOOL_KILL_POINT"
MARKER = "BATCHPOOL_KILL_MARK"
TESTING = "BATCHPOOL_TESTING"

_armed: tuple[str, Path] | None = None


class FailpointRefused(ValueError):
    """A failpoint is named outside a test, or does not exist."""


def arm(environ: Mapping[str, str]) -> None:
    """Arm the failpoint that the environment names, if any; called by entry points.

    BATCHPOOL_KILL_POINT names it. BATCHPOOL_KILL_MARK names a file that is made, with the PID in
    it, just before the process is killed: it proves the kill, and prevents a second one.

    Raises:
        FailpointRefused: it is not a test, or there is no such point.
    """
    global _armed
    point = environ.get(VARIABLE)
    if not point:
        return
    if environ.get(TESTING) != "1" or not environ.get(MARKER):
        raise FailpointRefused(
            f"{VARIABLE}={point!r}: only allowed in tests, with {TESTING}=1 and {MARKER}"
        )
    when, _, step = point.partition(" ")
    if when not in ("before", "after") or step not in STEPS:
        raise FailpointRefused(
            f"{VARIABLE}={point!r}: must be before or after one of {', '.join(STEPS)}"
        )
    _armed = (point, Path(environ[MARKER]))


def failpoint(point: str) -> None:
    """Kill this process if this failpoint is armed and has not been used before."""
    if _armed is None or _armed[0] != point:
        return
    mark = _armed[1]
    written = mark.with_name(f"{mark.name}.{os.getpid()}")
    written.write_text(str(os.getpid()))
    try:
        # A link, so that a reader of the mark always finds the whole PID.
        os.link(written, mark)
    except FileExistsError:
        return
    finally:
        written.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
