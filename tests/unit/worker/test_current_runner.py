"""A worker announces itself while its next runner loads the modules of the tasks."""

import pytest

from batchpool.worker import runner_process
from batchpool.worker.current_runner import CurrentRunner


def test_a_worker_is_alive_while_its_runner_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_process, "CHECK_EVERY_S", 0.01)
    beats: list[None] = []
    runner = CurrentRunner(lambda: beats.append(None), draining=lambda: False)
    try:
        first = runner.ready().pid
        # Until then there is nothing to announce.
        assert beats == []
        runner.replace()
        assert runner.ready().pid != first
        assert len(beats) > 3
    finally:
        runner.close()
