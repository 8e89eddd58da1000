"""Where tasks come from: the modules of this package, entry points, and a folder."""

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from batchpool.tasks.builtin import files
from batchpool.tasks.import_limit import IMPORT_LIMIT_S
from batchpool.tasks.user_modules import DIR_PACKAGE, mount_folder

BUILTIN_MODULES = (
    "batchpool.tasks.builtin.waiting",
    "batchpool.tasks.builtin.computing",
    "batchpool.tasks.builtin.files",
    "batchpool.tasks.builtin.echo",
    "batchpool.tasks.builtin.faults",
)
ENTRY_POINTS = "batchpool.tasks"


@dataclass(frozen=True)
class TaskSources:
    """Where tasks come from, besides the built-in ones; small and picklable.

    Children of any start method load the same tasks from the same sources.
    """

    root: str | None = None
    """The folder of the user's project: its packages can be imported by task modules."""
    tasks_dir: str | None = None
    tasks_link: str | None = None
    """The tasks folder as it was named: a link that leads to `tasks_dir` now, maybe not later."""
    files_roots: tuple[str, ...] = ()
    entry_points: bool = True
    import_limit_s: float | None = None
    """How long all modules together may take to be imported; None: as long as they want."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "TaskSources":
        """`BATCHPOOL_TASKS_DIR` and `BATCHPOOL_FILES_ROOT` (separated by os.pathsep).

        The project's root is the working directory, as with `python -m`. A link is followed once:
        children load what their runner has loaded, when it leads elsewhere meanwhile too.
        """
        tasks_dir = environ.get("BATCHPOOL_TASKS_DIR")
        return cls(
            root=_working_directory(),
            import_limit_s=IMPORT_LIMIT_S,
            tasks_dir=os.path.realpath(tasks_dir) if tasks_dir else None,
            tasks_link=os.path.abspath(tasks_dir) if tasks_dir else None,
            files_roots=files.split_roots(environ.get("BATCHPOOL_FILES_ROOT", "")),
        )


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it was removed


def sources_in_order(sources: TaskSources) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """What is to be loaded: its name for people, its module if it has one, and how."""
    for module in BUILTIN_MODULES:
        yield module, module, partial(importlib.import_module, module)
    if sources.entry_points:
        from importlib import metadata

        try:
            points = sorted(metadata.entry_points(group=ENTRY_POINTS), key=str)
        except Exception as exc:  # the metadata of any installed package may be broken
            points = []
            yield "entry points", "", _failing(exc)
        for point in points:
            yield f"entry point {point.name} = {point.value}", point.module, point.load
    if sources.tasks_dir:
        yield from _files_of(Path(sources.tasks_dir))


def _files_of(folder: Path) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as exc:
        yield str(folder), "", _failing(exc)
        return
    mount_folder(folder)
    names = [name for name in names if name.endswith(".py") and not name.startswith(("_", "."))]
    if not names:
        yield str(folder), "", _failing(FileNotFoundError("no task module (*.py) in this folder"))
    for name in names:
        module = f"{DIR_PACKAGE}.{name.removesuffix('.py')}"
        if module.count(".") > 1:
            dotted = ImportError("the name of a task module must not contain a dot")
            yield str(folder / name), "", _failing(dotted)
            continue
        yield str(folder / name), module, partial(importlib.import_module, module)


def _failing(exc: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise exc

    return fail
