"""Imported by the fork server before its first fork, so that each child finds the tasks loaded."""

import json
import os
import sys
import traceback

import batchpool.children.child  # noqa: F401 - what children run, imported once for all of them
from batchpool.children.start_methods import PRELOAD_VARIABLE
from batchpool.system.process_control import die_with_parent
from batchpool.tasks.registry import TaskSources, load_tasks


def _prepare() -> None:
    note = os.environ.pop(PRELOAD_VARIABLE, None)
    if note is None:
        return
    die_with_parent()
    given = json.loads(note)
    if given["PYTHONPATH"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = given["PYTHONPATH"]
    sources = given["sources"]
    load_tasks(TaskSources(**{**sources, "files_roots": tuple(sources["files_roots"])}))


try:
    _prepare()
except BaseException:  # a fork server that cannot preload still forks: children load by themselves
    traceback.print_exc(file=sys.stderr)
