"""The page of a job opens with a sentence, and every part of it says what it leaves out."""

import json
import shlex
from typing import Any

import pytest

from batchpool.pages.jobs.request import request_forms, settings
from batchpool.pages.jobs.sums import explain
from batchpool.pages.jobs.view import Around, build_job, lead
from batchpool.schemas.job_responses import ErrorInfo, SharedSum
from tests.unit.pages.jobs.sample_jobs import batch, epoch, job, spec

NBSP = "\u00a0"
LOST = batch(
    lost_workers=1,
    epochs=[
        epoch("vm-1615", 1626, "00", "12.7", "lost"),
        epoch("vm-1613", 1625, "21.1", None, None),
    ],
)
AROUND = Around("http://localhost:8000", counted=True)


@pytest.mark.parametrize(
    ("found", "bold", "rest"),
    [
        (
            job(done=317, wall_s=26.2),
            f"317 of 420{NBSP}items are done; about 9{NBSP}s to go.",
            "Nothing for you to do.",
        ),
        (
            job(done=317, wall_s=26.2, batches=[LOST]),
            f"317 of 420{NBSP}items are done; about 9{NBSP}s to go.",
            (
                "Worker vm-1615 was lost; vm-1613 took over batch 0 and goes on from what was "
                "recorded."
            ),
        ),
        (job(state="queued", queue_s=14.9), f"It has been in the queue for 14{NBSP}s.", ""),
        (
            job(state="queued", waits=("parked", "This job is parked: no worker has 3.14.")),
            f"It has been in the queue for 0{NBSP}s.",
            "This job is parked: no worker has 3.14.",
        ),
        (
            job(state="succeeded", done=420, wall_s=2.05),
            f"All 420{NBSP}items are done, in 2.05{NBSP}s.",
            "",
        ),
        (
            job(state="succeeded", done=1, total=1, wall_s=0.5),
            f"Its one item is done, in 500{NBSP}ms.",
            "",
        ),
        (
            job(state="failed", done=420, failed=14, wall_s=36.0),
            f"14 of 420{NBSP}items failed.",
            (
                f"The other 406 are done. Retry runs the 14{NBSP}items without a value again, as a "
                "new job."
            ),
        ),
        (
            job(state="failed", done=5, wall_s=1.0, error=ErrorInfo(type="x", message="no memory")),
            f"It failed; 5 of 420{NBSP}items are done.",
            f"No memory. Retry runs the 415{NBSP}items without a value again, as a new job.",
        ),
        (
            job(state="cancelled", done=317, wall_s=26.2),
            f"It was cancelled when 317 of 420{NBSP}items were done.",
            f"Retry runs the 103{NBSP}items without a value again, as a new job.",
        ),
    ],
)
def test_the_lead_says_how_it_is_and_what_to_do(found: Any, bold: str, rest: str) -> None:
    assert lead(found) == (bold, rest)


def test_a_batch_that_was_taken_over_names_both_workers() -> None:
    (line,) = build_job(job(done=10, wall_s=30.0, batches=[LOST]), AROUND).batches
    assert line.notes == ("taken over",)
    assert line.trail == (
        f"epoch 1: vm-1615, PID 1626, 0{NBSP}s to 12.7{NBSP}s, lost",
        f"↳ epoch 2: vm-1613, PID 1625, 21.1{NBSP}s to now",
    )


def test_many_batches_are_shown_in_pages() -> None:
    found = job(batches=[batch("queued", index=index) for index in range(120)])
    view = build_job(found, Around("http://x", True, batches_from=100))
    assert [line.index for line in view.batches] == list(range(100, 120))
    assert view.batches_total == 120


def test_figures_have_their_unit_apart() -> None:
    found = job(state="succeeded", done=420, wall_s=2.05, sum_text="12345678901234567890")
    figures = {name: (figure, unit) for name, figure, unit in build_job(found, AROUND).figures}
    assert figures["Took"] == ("2.05", "s")
    assert figures["Rate"] == ("205", "items/s")
    assert figures["Exact sum"] == ("12 345 678 901 234 567 890".replace(" ", "\u202f"), "")


def test_the_legend_counts_what_the_bar_shows() -> None:
    view = build_job(job(done=400, failed=100, total=1000, wall_s=1.0), AROUND)
    assert "300 succeeded, 100 failed of 1\u202f000\u00a0items" in view.bar
    assert view.legend == (
        ("ok", "300", "succeeded"),
        ("fail", "100", "failed"),
        ("rest", "600", "to come"),
    )


def test_a_policy_of_retries_is_shown_and_can_be_pasted() -> None:
    policy = {"max": 5, "delay_s": 1.0, "factor": 2.0, "max_delay_s": 60.0, "jitter": "full"}
    found = spec(retries=policy | {"on": ["HTTPError"]})
    command = request_forms(found, "http://localhost:8000", counted=True)[2]
    words = shlex.split(command.text)
    assert json.loads(words[words.index("--retries") + 1]) == policy | {"on": ["HTTPError"]}
    shown = dict(settings(found, counted=True))["On an error"]
    assert shown == (
        f"go on with the rest, after 5{NBSP}retries (up to 1.00{NBSP}s apart, "
        f"2 times as long each, 1{NBSP}min at most) of HTTPError"
    )


def test_requests_can_be_pasted() -> None:
    params = {"name": "it's; rm -rf /", "n": 3}
    found = spec(params=params, labels={"run": "a b"}, concurrency=4, retries=2)
    curl, python, command = request_forms(found, "http://localhost:8000", counted=True)
    assert shlex.split(curl.text.replace("\\\n", ""))[:3] == [
        "curl",
        "-s",
        "http://localhost:8000/v1/jobs",
    ]
    words = shlex.split(command.text)
    assert words[:3] == ["batchpool", "submit", "invoices"]
    assert "name=it's; rm -rf /" in words
    assert words[words.index("--retries") + 1] == "2"
    assert "--dispatch" not in words
    compile(python.text, "python", "exec")
    listed = request_forms(found, "http://localhost:8000", counted=False)
    assert listed[2].text.startswith("echo '[0, 1, 2")
    assert listed[2].text.endswith("--items -")


@pytest.mark.parametrize(
    ("backend", "strategy", "lost", "said"),
    [
        ("process-pool", "global", None, "Every process added to a global of its own"),
        ("interpreter-pool", "global", None, "Every interpreter added to a global of its own"),
        ("thread-pool", "global", 0, "All tasks of a batch added to one global"),
        ("thread-pool", "locked", 0, "Each task took a lock"),
        ("thread-pool", "racy", 0, "Nothing was lost this time; that is luck."),
        ("thread-pool", "racy", 17126, "17\u202f126 of the exact sum is lost"),
    ],
)
def test_the_difference_of_a_shared_sum_is_explained(
    backend: str, strategy: str, lost: int | None, said: str
) -> None:
    shared = SharedSum(strategy=strategy, observed=[0], lost=lost, partial=False)
    words = explain(job(spec={"backend": backend}, shared_sum=shared))
    assert said in words
    partial = shared.model_copy(update={"partial": True})
    assert "taken over" in explain(job(spec={"backend": backend}, shared_sum=partial))
