"""Imported by the fork server before its first fork, so that each child finds the tasks loaded."""

import errno
import json
import os
import sys
import traceback
from pathlib import Path

import batchpool.children.child  # noqa: F401 - what children run, imported once for all of them
from batchpool.children.start_methods import PRELOAD_VARIABLE
from batchpool.execution.generators import find_generators
from batchpool.execution.item_output import install
from batchpool.system.cpython_internals import calling_frame, pipes_of_fork_request
from batchpool.system.process_control import die_with_parent
from batchpool.tasks.registry import load_tasks
from batchpool.tasks.sources import TaskSources
from batchpool.tasks.user_modules import note_loaded


def _prepare() -> None:
    note = os.environ.pop(PRELOAD_VARIABLE, None)
    if note is None:
        return
    die_with_parent()
    _outlive_failed_forks()
    given = json.loads(note)
    if given["PYTHONPATH"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = given["PYTHONPATH"]
    install(given["log_level"])
    sources = given["sources"]
    load_tasks(TaskSources(**{**sources, "files_roots": tuple(sources["files_roots"])}))
    note_loaded(Path(given["folder"]))
    find_generators()


def _outlive_failed_forks() -> None:
    """Make the fork server refuse a child that it cannot fork.

    CPython's ends instead, and the kernel ends all its children with it, see `die_with_parent`.
    """
    fork = os.fork

    def fork_or_refuse() -> int:
        try:
            pid = fork()
        except OSError as refusal:
            pipes = pipes_of_fork_request(calling_frame(1))
            if pipes is None:
                raise
            # The process that asked for the child waits for a reply, or for the end of this pipe.
            for fd in pipes:
                os.close(fd)
            # The one kind of OSError that the server's loop goes on after.
            raise ConnectionAbortedError(errno.ECONNABORTED, str(refusal)) from refusal
        if pid == 0:
            os.fork = fork
        return pid

    os.fork = fork_or_refuse


try:
    _prepare()
except BaseException:  # a fork server that cannot preload still forks: children load by themselves
    traceback.print_exc(file=sys.stderr)
