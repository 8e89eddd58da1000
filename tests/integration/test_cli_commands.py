"""Each command that shows something: what it prints in 80 columns, and its JSON by the schema."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions
from tests.support.command_line import Told, batchpool
from tests.support.waiting import wait_until

COLUMNS = 80


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True)
    with LocalStack(options) as stack:
        yield stack.url


@pytest.fixture(scope="module")
def failed(url: str) -> str:
    """A job of which both items failed."""
    with Client(url) as client:
        return client.run("fail", count=2, labels={"run": "7"}, wait_s=30).id


def run(url: str, *arguments: str) -> Told:
    return batchpool(*arguments, BATCHPOOL_URL=url, COLUMNS=str(COLUMNS))


def printed(url: str, *arguments: str) -> str:
    told = run(url, *arguments)
    assert told.returncode == 0, told.stderr
    wide = [line for line in told.stdout.splitlines() if len(line.rstrip()) > COLUMNS]
    assert wide == []
    return told.stdout


def as_json(url: str, *arguments: str) -> Any:
    told = run(url, *arguments, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def check(url: str, path: str, answer: Any) -> None:
    """Validate an answer of `GET path` against /openapi.json."""
    document = httpx.get(f"{url}/openapi.json").json()
    answered = document["paths"][path]["get"]["responses"]["200"]["content"]
    schema = answered["application/json"]["schema"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(answer)


def test_jobs_are_listed(url: str, failed: str) -> None:
    text = printed(url, "jobs", "--limit", "1")
    assert text.splitlines()[0].split() == ["id", "state", "task", "items", "failed", "wall"]
    assert text.count("failed") == 2 and failed in text
    check(url, "/v1/jobs", {"jobs": as_json(url, "jobs"), "next": None})
    assert as_json(url, "jobs", "--state", "cancelled") == []
    assert run(url, "jobs", "--state", "odd").returncode == 2


def test_a_job_is_shown_with_its_batches(url: str, failed: str) -> None:
    text = printed(url, "job", failed)
    assert "2 failed" in text and "batch  state" in text
    check(url, "/v1/jobs/{job_id}", as_json(url, "job", failed))


def test_failures_are_shown_by_cause(url: str, failed: str) -> None:
    text = printed(url, "errors", failed)
    assert "TaskFailed × 2" in text and "items 0, 1" in text and "raise TaskFailed" in text
    (group,) = as_json(url, "errors", failed)
    assert (group["count"], group["indices"]) == (2, [0, 1])
    with Client(url) as client:
        good = client.run("echo", count=1, wait_s=30)
    assert printed(url, "errors", good.id) == "no item has failed\n"


def test_what_failed_is_retried_and_deleted(url: str, failed: str) -> None:
    assert as_json(url, "retry", failed)["spec"]["retry_of"] == failed
    again = printed(url, "retry", failed).strip()
    with Client(url) as client:
        assert client.wait(again, 30)["spec"]["retry_of"] == failed
    assert printed(url, "delete", again) == f"{again} deleted\n"
    gone = run(url, "job", again)
    assert gone.returncode == 2 and again in gone.stderr


def test_records_are_aligned_on_a_terminal(url: str) -> None:
    with Client(url) as client:
        job = client.run("echo", count=3, shared_sum="global", wait_s=30)
        record = next(client.records(job))
    reader, terminal = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "batchpool", "records", job.id],
        env=os.environ | {"BATCHPOOL_URL": url},
        stdout=terminal,
        timeout=60,
        check=True,
    )
    os.close(terminal)
    header, *rows = os.read(reader, 4096).decode().splitlines()
    os.close(reader)
    assert header.split() == [
        *("index", "state", "value", "task", "pid", "ppid", "thread_name", "sum_seen")
    ]
    shown = {"task": "echo", **{name: str(record[name]) for name in ("pid", "ppid", "thread_name")}}
    assert len(rows) == 3 and max(map(len, [header, *rows])) <= COLUMNS
    for name, text in shown.items():
        assert rows[0][header.index(name) :].startswith(text)


def test_a_job_is_cancelled(url: str) -> None:
    job = printed(url, "submit", "sleep", "--count", "1", "--param", "seconds=60").strip()
    busy = run(url, "delete", job)
    assert busy.returncode == 2 and "only jobs that have ended" in busy.stderr
    assert printed(url, "cancel", job).startswith(job)
    with Client(url) as client:
        assert client.wait(job, 30).state == "cancelled"
    assert run(url, "cancel", job).returncode == 2


def test_a_trace_is_written_to_a_file_or_printed(url: str, failed: str, tmp_path: Any) -> None:
    told = run(url, "trace", failed, "-o", str(tmp_path / "trace.json"))
    assert (told.returncode, told.stdout) == (0, "")
    written = json.loads((tmp_path / "trace.json").read_text())
    assert written == json.loads(run(url, "trace", failed).stdout)
    assert len([each for each in written["traceEvents"] if each["ph"] == "X"]) >= 2
    nowhere = run(url, "trace", failed, "-o", str(tmp_path / "no" / "trace.json"))
    assert nowhere.returncode == 2 and "cannot write" in nowhere.stderr


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("tasks", ("sleep", "seconds", "cpu", "iterations")),
        ("backends", ("process-pool", "start-method", "task-timeout")),
        ("workers", ("Python", "idle")),
    ],
)
def test_what_the_service_has_is_listed(url: str, command: str, shown: tuple[str, ...]) -> None:
    # A worker says that it is idle again with its next heartbeat.
    wait_until(lambda: not [part for part in shown if part not in printed(url, command)], 20)
    found = as_json(url, command)
    assert found
    check(url, f"/v1/{command}", found if command == "tasks" else {command: found})


def test_the_lessons_are_listed(url: str) -> None:
    assert "race" in printed(url, "lesson")
    check(url, "/v1/lessons", {"lessons": as_json(url, "lesson")})


def test_a_comparison_is_planned_and_not_submitted(url: str) -> None:
    order = ("compare", "sleep", "--count", "3", "--param", "seconds=0.5", "--dry-run")
    arms = ("--arm", "sequential", "--arm", "thread-pool:3")
    assert printed(url, *order, *arms, "--seed", "7").splitlines()[:4] == [
        "sleep × 3 in each run",
        "arms: sequential (the reference)",
        "      thread-pool 3",
        "runs: 32 jobs: 1 warm-up × 2 arms, 10 rounds × (2 + 1 control)",
    ]
    document = httpx.get(f"{url}/openapi.json").json()
    schema = {"$ref": "#/components/schemas/PlannedComparison"}
    schema |= {"components": document["components"]}
    Draft202012Validator(schema).validate(as_json(url, *order, *arms))
    assert batchpool(url, *order, *arms[:2]).returncode == 2
    assert as_json(url, "compare", "list") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script(url: str, shell: str) -> None:
    text = run(url, "completion", shell).stdout
    assert f"_BATCHPOOL_COMPLETE={shell}_complete" in text


def test_bash_completes_commands() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "batchpool"],
        env=os.environ
        | {"_BATCHPOOL_COMPLETE": "bash_complete", "COMP_WORDS": "batchpool re", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
    )
    assert set(told.stdout.split()) >= {"plain,records", "plain,report", "plain,retry"}


@pytest.mark.parametrize(
    "arguments",
    [("job", "x"), ("errors", "0" * 24), ("retry", "nope"), ("trace", "../x"), ("cancel", "")],
)
def test_an_unknown_job_is_said_in_a_line(url: str, arguments: tuple[str, ...]) -> None:
    told = run(url, *arguments)
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1, told.stderr
