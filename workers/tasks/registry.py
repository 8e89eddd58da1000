"""The tasks that this process knows: the built-in ones and the user's."""

import importlib
import os
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workers.errors import InvalidParams, UnknownTask
from workers.tasks import files
from workers.tasks.declare import Task

BUILTIN_MODULES = (
    "workers.tasks.waiting",
    "workers.tasks.computing",
    "workers.tasks.files",
    "workers.tasks.echo",
    "workers.tasks.faults",
)
ENTRY_POINTS = "batchpool.tasks"
DIR_PACKAGE = "batchpool_tasks"
"""The package under which the files of a tasks folder are imported, in every process."""


@dataclass(frozen=True)
class TaskSources:
    """Where tasks come from, besides the built-in ones; small and picklable.

    Children of any start method load the same tasks from the same sources.
    """

    tasks_dir: str | None = None
    files_roots: tuple[str, ...] = ()
    entry_points: bool = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "TaskSources":
        """`BATCHPOOL_TASKS_DIR` and `BATCHPOOL_FILES_ROOT` (separated by os.pathsep)."""
        return cls(
            tasks_dir=environ.get("BATCHPOOL_TASKS_DIR") or None,
            files_roots=files.split_roots(environ.get("BATCHPOOL_FILES_ROOT", "")),
        )


@dataclass(frozen=True)
class Registry:
    """The registered tasks, what could not be loaded, and a digest of it all.

    `version` differs where the code, the names or the params of the tasks differ.
    """

    sources: TaskSources
    tasks: dict[str, Task] = field(default_factory=dict)
    errors: list[dict[str, str]] = field(default_factory=list)
    code: str = ""

    def __getitem__(self, name: str) -> Task:
        try:
            return self.tasks[name]
        except KeyError:
            raise UnknownTask("task", f"{name!r}; known: {sorted(self.tasks)}") from None

    @cached_property
    def version(self) -> str:
        """A digest of the tasks' names, forms and source code."""
        import hashlib

        digest = hashlib.sha256(self.code.encode())
        for name, known in sorted(self.tasks.items()):
            forms = f"{name}:{known.run is not None}:{known.run_async is not None};"
            digest.update(forms.encode())
        return digest.hexdigest()[:16]

    def params_of(self, name: str, given: Mapping[str, Any]) -> Any | None:
        """The params of a task as its model says, defaults filled in; None if it has no model.

        Raises:
            InvalidParams: they do not fit the model.
        """
        model = self[name].params
        if model is None:
            if given:
                raise InvalidParams("params", f"task {name!r} takes none, got {sorted(given)}")
            return None
        # pydantic only here: it costs 100 ms, and sub-interpreters cannot import it.
        from pydantic import ValidationError

        try:
            return _adapter(model).validate_python(dict(given))
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join(["params", *map(str, first["loc"])])
            raise InvalidParams(where, str(first["msg"])) from None

    def schema_of(self, name: str) -> dict[str, Any] | None:
        """The JSON Schema of a task's params; None if it takes none."""
        model = self[name].params
        if model is None:
            return None
        schema: dict[str, Any] = _adapter(model).json_schema()
        schema.setdefault("additionalProperties", False)
        return schema


def load_tasks(sources: TaskSources | None = None) -> Registry:
    """Load all tasks; a module that fails to import becomes an entry of `errors`.

    Built-in tasks come first, then entry points, then the folder; of two tasks with
    one name the first stays, and the second becomes an entry of `errors`.
    """
    sources = sources or TaskSources()
    files.allow_roots(sources.files_roots)
    # Here and below, not above: a child imports this module at each start, and uses neither.
    import hashlib

    registry = Registry(sources)
    digest = hashlib.sha256()
    for source, load in _sources(sources):
        try:
            loaded = load()
            found = [loaded] if isinstance(loaded, Task) else _declared_in(loaded)
        # Whatever a user's module raises at import is that module's failure, SystemExit too.
        except (Exception, SystemExit) as exc:
            registry.errors.append({"source": source, "error": f"{type(exc).__name__}: {exc}"})
            continue
        digest.update(_source_code(loaded))
        for known in found:
            _register(registry, source, known)
    object.__setattr__(registry, "code", digest.hexdigest())
    return registry


def find_task(sources: TaskSources, name: str, module: str) -> Task:
    """The task of that name, where the parent's registry found it: for children, which need one.

    Raises:
        UnknownTask: the module has no such task here.
    """
    files.allow_roots(sources.files_roots)
    if sources.tasks_dir:
        _mount(Path(sources.tasks_dir).resolve())
    for known in _declared_in(importlib.import_module(module)):
        if known.name == name:
            return known
    raise UnknownTask("task", f"{name!r} is not in {module} of process {os.getpid()}")


def _sources(sources: TaskSources) -> Iterator[tuple[str, Any]]:
    for module in BUILTIN_MODULES:
        yield module, lambda module=module: importlib.import_module(module)
    if sources.entry_points:
        from importlib import metadata

        for point in sorted(metadata.entry_points(group=ENTRY_POINTS)):
            yield f"entry point {point.name} = {point.value}", point.load
    if sources.tasks_dir:
        yield from _files_of(Path(sources.tasks_dir))


def _files_of(folder: Path) -> Iterator[tuple[str, Any]]:
    if not folder.is_dir():
        yield str(folder), lambda: _raise(NotADirectoryError(f"no folder {folder}"))
        return
    _mount(folder.resolve())
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            name = f"{DIR_PACKAGE}.{path.stem}"
            yield str(path), lambda name=name: importlib.import_module(name)


def _mount(folder: Path) -> None:
    package = sys.modules.get(DIR_PACKAGE)
    if package is not None and list(package.__path__) == [str(folder)]:
        return
    for name in [n for n in sys.modules if n == DIR_PACKAGE or n.startswith(f"{DIR_PACKAGE}.")]:
        del sys.modules[name]
    package = types.ModuleType(DIR_PACKAGE, "The files of the tasks folder.")
    package.__path__ = [str(folder)]
    sys.modules[DIR_PACKAGE] = package
    importlib.invalidate_caches()


def _declared_in(module: Any) -> list[Task]:
    # By identity: a twin is bound to a second name, and an imported task belongs elsewhere.
    found = {id(v): v for v in vars(module).values() if isinstance(v, Task)}
    return [known for known in found.values() if known.module == module.__name__]


def _register(registry: Registry, source: str, known: Task) -> None:
    first = registry.tasks.setdefault(known.name, known)
    if first is not known:
        registry.errors.append(
            {"source": source, "error": f"task {known.name!r} is taken by {first.module}"}
        )


def _source_code(loaded: Any) -> bytes:
    module = sys.modules.get(loaded.module) if isinstance(loaded, Task) else loaded
    path = getattr(module, "__file__", None)
    return Path(path).read_bytes() if path and Path(path).is_file() else b""


def _raise(exc: Exception) -> None:
    raise exc


def _adapter(model: type) -> Any:
    from pydantic import BaseModel, TypeAdapter

    if is_dataclass(model) and not issubclass(model, BaseModel) and fields(model) is not None:
        if "__pydantic_config__" not in vars(model):
            # An unknown param is a mistake; pydantic's default is to drop it silently.
            model.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return TypeAdapter(model)
