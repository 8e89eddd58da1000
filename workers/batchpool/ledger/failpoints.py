"""Named points at which a test may have a process SIGKILL itself: round each step of the ledger.

A point is `before STEP` or `after STEP`, where a step is one of `STEPS`. Off unless armed, and
armed only in tests: an environment that names a point without saying so is refused.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

STEPS = (
    "pop",
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


class KillPointRefused(ValueError):
    """A kill point is named where none may be."""


def arm(environ: Mapping[str, str]) -> None:
    """Arm the point that the environment names, if it names one; called by entry points.

    BATCHPOOL_KILL_POINT names it, BATCHPOOL_KILL_MARK a file that is made, with the PID in it, just
    before the process ends: it proves the kill, and keeps the point from acting twice.

    Raises:
        KillPointRefused: this is no test, or there is no such point.
    """
    global _armed
    point = environ.get(VARIABLE)
    if not point:
        return
    if environ.get(TESTING) != "1" or not environ.get(MARKER):
        raise KillPointRefused(
            f"{VARIABLE}={point!r}: only in tests, with {TESTING}=1 and {MARKER}"
        )
    when, _, step = point.partition(" ")
    if when not in ("before", "after") or step not in STEPS:
        raise KillPointRefused(f"{VARIABLE}={point!r}: allowed are before|after {', '.join(STEPS)}")
    _armed = (point, Path(environ[MARKER]))


def failpoint(point: str) -> None:
    """End this process here and now, if this very point is armed and has not acted before."""
    if _armed is None or _armed[0] != point:
        return
    mark = _armed[1]
    written = mark.with_name(f"{mark.name}.{os.getpid()}")
    written.write_text(str(os.getpid()))
    try:
        # A link, so that whoever sees the mark can read all of it.
        os.link(written, mark)
    except FileExistsError:
        return
    finally:
        written.unlink()
    os.kill(os.getpid(), signal.SIGKILL)
