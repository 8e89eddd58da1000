"""A local stack comes up, mends itself, keeps its jobs, and leaves no process behind."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from batchpool.client import Client
from batchpool.stack.local_stack import LocalStack, StackOptions
from batchpool.stack.process_group import STACK_ID_VARIABLE
from tests.support.sampling import full
from tests.support.waiting import check_time, wait_until

TEST_MARK = "BATCHPOOL_TEST"


def carrying(mark: str) -> list[str]:
    """The processes that inherited a test's mark: what it started, and all below."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TEST_MARK) == mark:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.Error, OSError):
            pass
    return found


class Up:
    """`batchpool up` as a process, as a user starts it."""

    def __init__(self, *arguments: str, through_shell: bool = False, **environ: str) -> None:
        self.mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "batchpool", "up", "--port", "0", *arguments]
        if through_shell:
            # A parent that can be killed; `wait` keeps it from turning into the command.
            command = ["sh", "-c", '"$@" & echo "pid $!"; wait', "sh", *command]
        kept = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        self.process = subprocess.Popen(
            command,
            env={**kept, TEST_MARK: self.mark, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read_out),
            threading.Thread(target=self._read_errors),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def line(self) -> str:
        """The next line on stdout."""
        return self._lines.get(timeout=60).rstrip()

    def url(self) -> str:
        word, url = self.line().split()
        assert word == "ready"
        return url

    def end(self) -> int:
        """Wait for the end of the process and of all that it started."""
        code = self.process.wait(30)
        wait_until(lambda: not carrying(self.mark), within_s=10)
        for reader in self._readers:
            reader.join(10)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def discard(self) -> None:
        for text in carrying(self.mark):
            try:
                os.kill(int(text.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.end()


@pytest.fixture
def up() -> Iterator[Callable[..., Up]]:
    # Not tmp_path: in a folder with a short path a stack keeps everything, rubbish included.
    folder = tempfile.mkdtemp(prefix="d-")
    started: list[Up] = []

    def start(*arguments: str, **options: object) -> Up:
        if "--data" not in arguments:
            arguments = ("--data", folder, *arguments)
        started.append(Up("--workers", "1", *arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.discard()
    shutil.rmtree(folder)


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_stack_and_all_its_processes_and_its_jobs_outlive_it(
    up: Callable[..., Up], number: signal.Signals
) -> None:
    stack = up()
    with Client(stack.url()) as client:
        job = client.wait(client.submit("echo", count=7, labels={"kept": "yes"}), 30)
        assert job.sum == 21
    stack.process.send_signal(number)
    assert stack.end() == 0
    assert not any("was left over" in line for line in stack.errors)
    with Client(up().url()) as client:
        kept = client.job(job.id)
        assert (kept.state, kept.sum, kept["spec"]["labels"]) == ("succeeded", 21, {"kept": "yes"})


def test_a_signal_in_mid_job_ends_the_tasks_too(up: Callable[..., Up]) -> None:
    stack = up(BATCHPOOL_GRACE_S="0.5")
    with Client(stack.url()) as client:
        job = client.submit(
            "sleep", params={"seconds": 600}, count=2, backend="multiprocessing", concurrency=2
        )
        wait_until(
            lambda: client.job(job).state == "running" and client.job(job).progress["running"]
        )
        stack.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        stack.end()
        check_time("the end in mid-job", time.monotonic() - started, 25)


def test_a_second_stack_is_refused_the_folder_and_a_signal_sent_twice_counts_once(
    up: Callable[..., Up],
) -> None:
    stack = up()
    stack.url()
    second = up()
    assert second.end() == 1
    assert "in use by another batchpool" in "".join(second.errors)
    # As `timeout` does: to the process, and then to its group.
    stack.process.send_signal(signal.SIGINT)
    stack.process.send_signal(signal.SIGTERM)
    assert stack.end() == 0
    assert not any("does not end; killed" in line for line in stack.errors)


def test_a_second_signal_ends_what_does_not_want_to(up: Callable[..., Up]) -> None:
    stack = up(BATCHPOOL_GRACE_S="600")
    with Client(stack.url()) as client:
        client.submit("sleep", params={"seconds": 600}, count=1)
        wait_until(lambda: any(worker["state"] == "busy" for worker in client.workers()))
    stack.process.send_signal(signal.SIGINT)
    # Sooner, it counts as the same signal.
    time.sleep(0.6)
    started = time.monotonic()
    stack.process.send_signal(signal.SIGINT)
    stack.end()
    check_time("the end after a second signal", time.monotonic() - started, 10)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' parent-death signal")
def test_a_stack_that_is_killed_takes_everything_with_it(up: Callable[..., Up]) -> None:
    stack = up()
    with Client(stack.url()) as client:
        client.submit("sleep", params={"seconds": 600}, count=2, backend="process-pool")
        wait_until(lambda: any(worker["state"] == "busy" for worker in client.workers()))
    stack.process.kill()
    assert stack.end() == -signal.SIGKILL


def test_a_stack_ends_with_its_parent(up: Callable[..., Up]) -> None:
    shell = up(through_shell=True)
    assert shell.line().startswith("pid ")
    shell.url()
    shell.process.kill()
    shell.end()


def test_a_port_in_use_is_refused(up: Callable[..., Up]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = up("--port", str(taken.getsockname()[1]))
        assert stack.end() == 1
    assert "--port 0 takes a free one" in "".join(stack.errors)


def test_a_redis_that_does_not_answer_is_named_without_its_password() -> None:
    environ = {**os.environ, "REDIS_URL": "redis://user:secret@127.0.0.1:9/0"}
    told = subprocess.run(
        [sys.executable, "-m", "batchpool", "up", "--port", "0"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 1
    assert "Redis at 127.0.0.1:9/0 was not ready" in told.stderr
    assert "secret" not in told.stderr


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    with LocalStack(StackOptions(workers=2, temporary=True, prefer_own_redis=True)) as stack:
        yield stack
    assert stack.leftovers == 0


def test_with_reload_an_edited_task_is_taken_up_and_the_named_folder_is_read(
    up: Callable[..., Up], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(value: int) -> None:
        text = f"from batchpool.tasks import task\ntask('mine')(lambda item: {value})\n"
        (tmp_path / "mine.py").write_text(text)

    write(1)
    (tmp_path / "two.txt").write_text("1\n2\n")
    monkeypatch.delenv("BATCHPOOL_FILES_ROOT", raising=False)
    flags = ("--reload", "--files-root", str(tmp_path))
    stack = up(*flags, BATCHPOOL_TASKS_DIR=str(tmp_path))
    with Client(stack.url()) as client:
        assert client.run("mine", count=1).sum == 1
        write(2)
        wait_until(lambda: client.run("mine", count=1).sum == 2, within_s=20)
        assert client.run("files", items=["two.txt"]).sum == 2
    stack.process.send_signal(signal.SIGTERM)
    assert stack.end() == 0


@pytest.mark.full
def test_without_a_files_root_the_error_says_how_to_set_one(up: Callable[..., Up]) -> None:
    stack = up(BATCHPOOL_FILES_ROOT="")
    with Client(stack.url()) as client:
        [record] = client.records(client.run("files", items=["two.txt"]))
        assert record["error"]["type"].endswith(".OutsideRoots")
        assert "BATCHPOOL_FILES_ROOT" in record["error"]["message"]
        assert "batchpool up --files-root DIR" in record["error"]["message"]
    stack.process.send_signal(signal.SIGTERM)
    assert stack.end() == 0


@pytest.mark.parametrize("victim", ["worker-1", *full("redis", "api", "reconciler")])
def test_a_killed_member_comes_back_and_the_job_is_not_lost(stack: LocalStack, victim: str) -> None:
    have_the_mark_by_which_leftovers_are_found(stack.pids())
    with Client(stack.url) as client:
        job = client.submit(
            "sleep",
            params={"seconds": 0.2},
            count=20,
            backend="threading",
            concurrency=2,
            batches=2,
        )
        wait_until(lambda: client.job(job).state == "running")
        pid = stack.pids()[victim]
        os.kill(pid, signal.SIGKILL)
        ended = client.wait(job, 60)
        assert (ended.state, ended.sum) == ("succeeded", 190)
        wait_until(lambda: stack.pids().get(victim) not in (None, pid))


def have_the_mark_by_which_leftovers_are_found(pids: dict[str, int]) -> None:
    assert set(pids) == {"redis", "api", "reconciler", "worker-1", "worker-2"}
    # Redis writes its title over its environment; it starts no processes that outlive it.
    marks = {
        psutil.Process(pid).environ()[STACK_ID_VARIABLE]
        for name, pid in pids.items()
        if name != "redis"
    }
    assert len(marks) == 1
