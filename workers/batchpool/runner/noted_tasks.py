"""Loading the tasks of a runner, with a note of the files that they were loaded from."""

import logging
import os
import sys
import time
from pathlib import Path

from batchpool.system.file_stamps import ALL_FILES, is_changed_since, write_stamps
from batchpool.tasks.registry import Registry, load_tasks
from batchpool.tasks.sources import TaskSources

_MOST_TRIES = 10
_RELOAD_AFTER_S = 0.1
# File times have the kernel's tick as their step, and may lie that much in the past.
_CLOCK_STEP_NS = 20_000_000

log = logging.getLogger("batchpool.runner")


def load_noted_tasks(folder: Path, tries: int) -> Registry:
    """Load the tasks, and write down their files for children that load them later.

    Starts over, in a new program, when a file changed meanwhile: then nobody can say what it was
    that was loaded, and it may have been half written.
    """
    began_ns = time.time_ns() - _CLOCK_STEP_NS
    registry = load_tasks(TaskSources.from_env(os.environ))
    files = {module: code.files for module, code in registry.codes.items()}
    write_stamps(folder, files | {ALL_FILES: registry.watched})
    if is_changed_since({path for paths in files.values() for path in paths}, began_ns):
        if tries < _MOST_TRIES:
            time.sleep(_RELOAD_AFTER_S)
            program = sys.orig_argv[:-1]
            os.execv(sys.executable, [*program, str(tries + 1)])  # noqa: S606 - this very program
        log.warning("files of tasks change all the time; going on with what was loaded last")
    return registry
