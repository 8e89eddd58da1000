"""The overview says how things are in one sentence, and what to do next."""

from dataclasses import replace
from typing import Any

import pytest

from batchpool.ledger.values.announcements import IdlePool, LiveWorker
from batchpool.pages.overview import Facts, build_overview, headline, lead
from tests.unit.pages.jobs.sample_jobs import job

WORKER = LiveWorker(
    name="w1", host="box", pid=7, python="3.11", gil=True, cpus=2, class_id="c", state="idle"
)
NOTHING = Facts([WORKER], [], 0, 0, 0, [], [])
RUNNING = job(state="running", done=317, failed=10, total=420, wall_s=26.2)
QUEUED = job(state="queued", queue_s=14.2, waits=("queue", "All workers are busy."))
PARKED = job(state="queued", waits=("parked", "This job is parked: no worker has 3.14."))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Nothing is running."),
        ({"workers": []}, "No worker is here."),
        ({"open_jobs": [RUNNING], "running": 1}, "One job is running. Nothing is stuck."),
        (
            {"open_jobs": [RUNNING, QUEUED], "running": 1, "queued": 1},
            "One job is running and one waits. Nothing is stuck.",
        ),
        (
            {"open_jobs": [RUNNING, QUEUED], "running": 12, "queued": 1234},
            "12 jobs are running and 1\u202f234 wait. Nothing is stuck.",
        ),
        ({"open_jobs": [QUEUED], "queued": 1}, "One job waits. Nothing is stuck."),
        ({"open_jobs": [PARKED], "queued": 1}, "One job is parked."),
        (
            {"open_jobs": [RUNNING, PARKED], "running": 1, "queued": 1},
            "One job is running. One job is parked.",
        ),
    ],
)
def test_the_headline_says_how_things_are(changes: dict[str, Any], said: str) -> None:
    assert headline(replace(NOTHING, **changes)) == said


def test_the_lead_says_what_to_do_next() -> None:
    assert lead(NOTHING)[2] == "One worker is free. Send a job with the form, or from a terminal."
    running = replace(NOTHING, open_jobs=[RUNNING], running=1)
    job_id, task, words = lead(running)
    assert (job_id, task) == (RUNNING.id, "invoices")
    assert words.startswith("has about 9\u00a0s to go. 10 of its items have failed; you can retry")
    alone = replace(NOTHING, workers=[], open_jobs=[QUEUED, QUEUED], queued=3)
    assert lead(alone)[2] == "Three jobs wait, the oldest for 14\u00a0s. Start one:"
    assert lead(replace(NOTHING, open_jobs=[QUEUED], queued=1))[2] == "All workers are busy."


def test_a_worker_shows_what_it_runs_and_uses() -> None:
    busy = replace(WORKER, name="w2", state="busy", batch=f"{RUNNING.id}/1", rss_bytes=36 << 20)
    warm = replace(WORKER, warm=(IdlePool("forkserver", 4),))
    facts = replace(NOTHING, workers=[busy, warm], cpu_s={"w2": (3.7, 10.0)})
    first, second = build_overview(facts).workers
    assert (first.job, first.word, first.about) == ((RUNNING.id, 1), "batch 1", ("36.0\u00a0MiB",))
    assert first.use == "0.37 of 2\u00a0CPUs"
    assert 'class="use" width="18.50"' in first.bar
    assert (second.job, second.word, second.use, second.bar) == (None, "idle", "", "")
    assert second.about[1] == "4 warm"


def test_more_jobs_than_are_shown_are_counted() -> None:
    view = build_overview(replace(NOTHING, open_jobs=[RUNNING], running=40, queued=2))
    assert (len(view.open_jobs), view.open_total) == (1, 42)
