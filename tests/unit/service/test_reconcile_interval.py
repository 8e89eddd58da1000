"""The pause between two passes of the reconciler, against what relies on them."""

import runpy
from pathlib import Path

from batchpool.reconciler.clock_step import LEAST_STEP_MS
from batchpool.settings import ReconcilerSettings, declared_settings
from batchpool.stack.watchdog import RECONCILER_IDLE_S
from batchpool.worker.batch_deadlines import SETTLE_S

HEALTH = runpy.run_path(str(Path(__file__).parents[3] / "docker" / "health.py"))


def test_the_longest_pause_between_passes_is_neither_silence_nor_too_late() -> None:
    longest_s = declared_settings(ReconcilerSettings)["reconcile_interval_s"].most
    assert longest_s is not None
    # Half is left for the pass itself.
    assert 2 * longest_s <= min(HEALTH["QUIET_S"], RECONCILER_IDLE_S)
    # A worker waits so long for deadlines to follow a step of Redis' clock.
    assert longest_s < SETTLE_S
    # One reading of Redis' clock may be of no use.
    assert 2 * longest_s < LEAST_STEP_MS / 1000
