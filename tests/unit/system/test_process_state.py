"""A snapshot of the process is put back, or names what cannot be."""

import os
import re
import resource
import signal
import subprocess
import sys
import textwrap

import pytest

from batchpool.system.process_state import ProcessState, restore

BEFORE = """
import json, logging, os, resource, signal, sys, threading
from batchpool.system.interpreter_state import InterpreterState
from batchpool.system.process_state import ProcessState, restore
os.setgid(65534), os.setuid(65534)
states = ProcessState(), InterpreterState()
"""


def run(code: str) -> str:
    """The reason that a process gives which takes a snapshot, runs the code and restores."""
    full = BEFORE + textwrap.dedent(code) + "\nos.write(2, str(restore(states)).encode())"
    done = subprocess.run(
        [sys.executable, "-c", full], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True
    )
    return done.stderr.decode()


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user: needs root")
@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))", "RLIMIT_NOFILE"),
        ("os.nice(3)", "priority"),
        ("json.dumps = print", "functions of module 'json' are replaced"),
        ("threading.Thread.start = print", "methods of threading.Thread are replaced"),
        ("del sys.modules['batchpool.system.process_state']", "modules are removed"),
        ("del os.getpid", "functions of module 'os' are removed"),
        ("os.getcwd = None", "be put back"),
        ("sys.stdin.close()", "descriptor 0|sys.stdin is closed"),
        ("kept = [os.open('/', os.O_RDONLY) for _ in range(600)]", "descriptors"),
        ("os.close(0); os.chdir('/tmp'); os.umask(0); signal.alarm(9)", "^None$"),
        ("threading.settrace(print); threading.stack_size(1 << 20)", "^None$"),
        ("logging.setLogRecordFactory(print)", "^None$"),
    ],
)
def test_the_part_that_cannot_be_put_back_is_named(code: str, part: str) -> None:
    assert re.search(part, run(code))


def test_a_snapshot_is_put_back() -> None:
    state = ProcessState()
    folder, mask = os.getcwd(), os.umask(0o22)
    os.umask(mask)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    fd = os.dup(0)
    try:
        os.chdir("/")
        os.umask(0o777)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        signal.setitimer(signal.ITIMER_REAL, 60)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.close(0)
        assert restore([state]) is None
        assert os.getcwd() == folder
        assert os.umask(mask) == mask
        assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
        # Not 0 where a time limit of this test is on.
        assert not 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
        assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert os.fstat(0) == os.fstat(fd)
    finally:
        os.close(fd)
        for _, copy, _ in state._streams:
            os.close(copy)
