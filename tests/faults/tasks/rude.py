"""Tasks that change their process, and one that describes it."""

import contextlib
import json
import logging
import os
import pickle
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from batchpool.execution import run_item
from batchpool.tasks import task

KEPT: list[Any] = []


@dataclass(frozen=True)
class Rude:
    """Name the change."""

    how: str


def _delete_directory() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def _replace_streams() -> None:
    sys.stdout = sys.stderr = open(os.devnull, "w")
    os.close(1)


def _block_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD})


def _set_up_logging() -> None:
    logging.basicConfig(force=True, level=5, filename=os.devnull)
    logging.disable(logging.CRITICAL)
    logging.getLogger("concurrent.futures").disabled = True


def _leak_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 4096))
    with contextlib.suppress(OSError):
        while True:
            KEPT.append(open(os.devnull))


def _limit(which: int, soft: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(which, (soft, resource.getrlimit(which)[1]))


def _patch() -> None:
    json.dumps = lambda *args, **options: "{}"


def _refuse(*args: Any, **options: Any) -> Any:
    raise RuntimeError("replaced by a task")


def _patch_method() -> None:
    threading.Thread.start = _refuse  # type: ignore[method-assign]


def _patch_own() -> None:
    run_item._failed = _refuse


def _patch_getpid() -> None:
    os.getpid = _refuse


def _remove_modules() -> None:
    for name in [name for name in sys.modules if name.startswith("batchpool.")]:
        del sys.modules[name]


CHANGES: dict[str, Callable[[], Any]] = {
    "directory": _delete_directory,
    "streams": _replace_streams,
    "closed": lambda: sys.stdout.close(),
    "handlers": lambda: signal.signal(signal.SIGCHLD, lambda *_: time.sleep(5)),
    "mask": _block_signals,
    "alarm": lambda: signal.setitimer(signal.ITIMER_REAL, 0.4),
    "umask": lambda: os.umask(0o777),
    "environment": lambda: os.environ.clear(),
    "recursion": lambda: sys.setrecursionlimit(120),
    "logging": _set_up_logging,
    "warnings": lambda: warnings.simplefilter("error"),
    "descriptors": _leak_descriptors,
    "files": _limit(resource.RLIMIT_FSIZE, 0),
    "memory": _limit(resource.RLIMIT_AS, 1 << 28),
    "folder": lambda: shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True),
    "root": lambda: shutil.rmtree(os.path.dirname(os.environ["TMPDIR"]), ignore_errors=True),
    "patched": _patch,
    "method": _patch_method,
    "own": _patch_own,
    "getpid": _patch_getpid,
    "modules": _remove_modules,
    "traced": lambda: threading.settrace(lambda *_: None),
    "stack": lambda: threading.stack_size(1 << 44),
    "loggers": lambda: logging.setLogRecordFactory(_refuse),
    "affinity": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
}


@task("rude", params=Rude)
def rude(item: Any, params: Rude) -> str:
    """Change the process in one way."""
    before = _describe()
    CHANGES[params.how]()
    return "changed" if _describe() != before else "not changed"


@task("describe")
def describe(item: Any) -> Any:
    """Describe the process that runs this."""
    return _describe()


@task("terminate-a-child")
def terminate_a_child(item: Any) -> int:
    """Run a program, end it by SIGTERM or SIGINT, and return how it ended."""
    with subprocess.Popen(["sleep", "30"]) as child:
        child.send_signal(signal.SIGTERM if item == 0 else signal.SIGINT)
        try:
            return child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


def _describe() -> dict[str, Any]:
    umask = os.umask(0o022)
    os.umask(umask)
    try:
        directory = os.getcwd()
    except OSError as error:
        directory = repr(error)
    limits = ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE")
    return {
        "directory": directory,
        "streams": [_stream(fd) for fd in (0, 1, 2)],
        "objects": [type(sys.stdout).__name__, sys.stdout.closed, sys.stdout.name],
        "handlers": {
            number: str(signal.getsignal(number)).split(" at ")[0]
            for number in sorted(signal.valid_signals())
        },
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "timer": bool(signal.getitimer(signal.ITIMER_REAL)[0]),
        "umask": umask,
        "environment": {name: text for name, text in os.environ.items() if name != "TMPDIR"},
        "recursion": sys.getrecursionlimit(),
        "logging": [
            logging.root.level,
            [type(handler).__name__ for handler in logging.root.handlers],
            logging.root.manager.disable,
            logging.getLogger("concurrent.futures").disabled,
        ],
        "warnings": [str(each) for each in warnings.filters],
        "limits": [resource.getrlimit(getattr(resource, name)) for name in limits],
        "patched": [
            each.__module__
            for each in (json.dumps, threading.Thread.start, run_item._failed, os.getpid)
        ],
        "modules": "batchpool.model" in sys.modules,
        "stack": threading.stack_size(),
        "traced": threading.gettrace() is not None,
        "loggers": logging.getLogRecordFactory().__module__,
        "affinity": sorted(os.sched_getaffinity(0)),
        "folder": os.path.isdir(os.environ.get("TMPDIR", "/")),
        "descriptors": len(KEPT),
    }


def _stream(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError as error:
        return repr(error)


class _Payload:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["CANARY"],)


def _channels() -> list[int]:
    """The descriptors over which this process reports: a socket pair, or the socket of a pool."""
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as end:
            peer = end.getpeername() if end.family == socket.AF_UNIX else "other"
            if peer == "" or (isinstance(peer, str) and "batchpool-run-" in peer):
                found.append(fd)
    return found


@task("send-rubbish", params=Rude)
def send_rubbish(item: int, params: Rude) -> int:
    """Write to what this process reports over, at the first item."""
    if item == 0:
        pickled = pickle.dumps(_Payload())
        data = {
            "text": b"\x00\xff\x01\x67garbage",
            "pickle": struct.pack("!i", len(pickled)) + pickled,
            "json": struct.pack("!i", 2) + b"{}",
            "endless": struct.pack("=III", 1 << 30, 2, 0) * 100,
            "torn": b"\x00\x00\x10\x00" if params.how == "torn" else b"",
        }[params.how]
        channels = _channels()
        for fd in channels:
            os.write(fd, data)
        with open(os.environ["CANARY"] + ".sent", "a") as log:
            log.write(f"{len(channels)}\n")
        time.sleep(0.3 if params.how != "torn" else 8)
    return item
