"""A worker whose task folder holds broken modules runs all the others."""

from pathlib import Path

import pytest

from tests.support.stack_processes import StackProcesses

BAD = {
    "interrupts.py": "raise KeyboardInterrupt",
    "leaves.py": "raise SystemExit(0)",
    "mutes.py": "import sys, io\nsys.stderr = io.StringIO()\nraise ValueError('muted')",
    "params.py": (
        "import threading\nfrom dataclasses import dataclass\nfrom batchpool.tasks import task\n"
        "@dataclass(frozen=True)\nclass P: lock: threading.Lock\n"
        "@task('bad', params=P)\ndef bad(item, params): return item\n"
    ),
}


def test_broken_modules_cost_only_themselves(
    crew: StackProcesses, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in BAD.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "zz.py").write_text(
        "from batchpool.tasks import task\n@task('good')\ndef good(item): return item + 1\n"
    )
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path))
    for backend in ("thread-pool", "process-pool", "multiprocessing"):
        job = crew.run(task="good", count=3, backend=backend)
        assert (job["state"], job["sum"]) == ("succeeded", 6)
    listed = crew.stage.get("/v1/tasks")
    assert len(listed["errors"]) == len(BAD)
    for name in BAD:
        assert name in str(listed["errors"]) or name.removesuffix(".py") in str(listed["errors"])
    refused = crew.stage.post(422, task="bad", count=1)
    assert "interrupts.py" in refused["errors"][0]["message"]
    log = capfd.readouterr().err
    for text in ("KeyboardInterrupt", "SystemExit", "muted", "PydanticSchemaGenerationError"):
        assert text in log
    assert log.count("Traceback") >= len(BAD)
