"""Load and register tasks: the built-in ones and the user's."""

import importlib
import os
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchpool.errors import InvalidParams, UnknownTask
from batchpool.tasks.builtin import files
from batchpool.tasks.decorator import Task, declared_tasks
from batchpool.tasks.import_limit import ImportLimit
from batchpool.tasks.load_errors import LoadError
from batchpool.tasks.sources import BUILTIN_MODULES, TaskSources, sources_in_order
from batchpool.tasks.user_modules import DIR_PACKAGE, add_root, mount_folder

if TYPE_CHECKING:
    from batchpool.tasks.code_version import Code


@dataclass(frozen=True)
class Registry:
    """The registered tasks, what could not be loaded, and a digest of it all.

    `version` differs where the code, the names or the params of the tasks differ.
    """

    sources: TaskSources
    tasks: dict[str, Task] = field(default_factory=dict)
    errors: list[LoadError] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    """All that was to be imported, in vain or not."""

    def __getitem__(self, name: str) -> Task:
        try:
            return self.tasks[name]
        except KeyError:
            raise UnknownTask("task", f"{name!r}; known: {sorted(self.tasks)}") from None

    @cached_property
    def codes(self) -> "dict[str, Code]":
        """The code of each module that has tasks, or should have; read when first asked for."""
        # Only here: children ask for none.
        from batchpool.tasks.code_version import CodeReader

        reader = CodeReader(BUILTIN_MODULES)
        modules = {known.module for known in self.tasks.values()}
        return {name: reader.read(name) for name in sorted(modules.union(self.modules))}

    @property
    def watched(self) -> list[str]:
        """The files and folders whose change makes other tasks of these."""
        paths = {path for code in self.codes.values() for path in code.files}
        folders = [self.sources.tasks_dir, self.sources.tasks_link]
        return sorted(paths.union(filter(None, folders)))

    def code_of(self, name: str) -> str:
        """The version of the task's code: a digest of its module and of what that imports."""
        return self.codes[self[name].module].digest

    @cached_property
    def version(self) -> str:
        """A digest of the tasks' names, forms and code."""
        import hashlib

        digest = hashlib.sha256()
        for name, known in sorted(self.tasks.items()):
            forms = f"{known.run is not None}:{known.run_async is not None}"
            digest.update(f"{name}:{forms}:{self.code_of(name)};".encode())
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
        """The JSON Schema of a task's params; None if it takes none.

        Raises:
            TypeError: the params are no object. What pydantic raises for a class without a schema.
        """
        model = self[name].params
        if model is None:
            return None
        schema: dict[str, Any] = _adapter(model).json_schema()
        if "$ref" in schema:
            # A class that refers to itself.
            schema = {**schema["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
            del schema["$ref"]
        if schema.get("type") != "object" or not isinstance(schema.get("properties", {}), dict):
            raise TypeError(f"params of task {name!r} must be an object with named fields")
        schema.setdefault("additionalProperties", False)
        return schema


def load_tasks(sources: TaskSources | None = None) -> Registry:
    """Load all tasks; a source that cannot be loaded becomes an entry of `errors`.

    Built-in tasks come first, then entry points, then the folder; of two tasks with
    one name the first stays, and the second becomes an entry of `errors`.
    """
    sources = sources or TaskSources()
    files.allow_roots(sources.files_roots)
    registry = Registry(sources)
    if sources.root:
        add_root(sources.root)
    limit = ImportLimit(sources.import_limit_s)
    for source, module, load in sources_in_order(sources):
        registry.modules.extend(filter(None, [module]))
        before = set(sys.modules)
        try:
            with limit.applied():
                loaded = _load(load)
            for known in _found_in(loaded, before):
                _register(registry, source, known)
        # What a user's module raises is an error of that module: SystemExit, KeyboardInterrupt,
        # a class of its own.
        except BaseException as exc:
            registry.errors.append(LoadError.of(source, exc))
    if sources.tasks_dir and not registry.errors:
        _check_folder(registry, sources.tasks_dir)
    return registry


def find_task(sources: TaskSources, name: str, module: str) -> Task:
    """The task of that name, where the parent's registry found it: for children, which need one.

    Raises:
        UnknownTask: the module has no such task here.
    """
    files.allow_roots(sources.files_roots)
    if sources.root:
        add_root(sources.root)
    if sources.tasks_dir:
        mount_folder(Path(sources.tasks_dir))
    importlib.import_module(module)
    for known in declared_tasks(module):
        if known.name == name:
            return known
    raise UnknownTask("task", f"{name!r} is not in {module} of process {os.getpid()}")


def _check_folder(registry: Registry, folder: str) -> None:
    if not any(known.module.startswith(f"{DIR_PACKAGE}.") for known in registry.tasks.values()):
        registry.errors.append(LoadError(folder, "none of the modules in this folder has a task"))


def _load(load: Callable[[], Any]) -> Any:
    streams, pid = (sys.stdin, sys.stdout, sys.stderr), os.getpid()
    try:
        return load()
    finally:
        # A module that puts its own in their place would take the log of this process with it.
        sys.stdin, sys.stdout, sys.stderr = streams
        if os.getpid() != pid:
            # Forked by the module: it must not go on as the process that loads tasks.
            os._exit(0)


def _found_in(loaded: Any, before: set[str]) -> list[Task]:
    """The tasks of a source: its own, those it imports by name, those its helpers declare.

    Args:
        before: the modules that were imported before it.
    Raises:
        TypeError: it is neither a task nor a module.
    """
    if isinstance(loaded, Task):
        return [loaded]
    if not isinstance(loaded, types.ModuleType):
        raise TypeError(f"must be a module or a task, not {type(loaded).__name__}")
    found = declared_tasks(str(loaded.__name__))
    # By type(): asking a framework's lazy object for its class may create it or fail.
    found += [value for value in vars(loaded).values() if type(value) is Task]
    for module in [name for name in sys.modules if name not in before]:
        found += declared_tasks(module)
    # By identity: an async form is bound to a second name.
    return list({id(known): known for known in found}.values())


def _register(registry: Registry, source: str, known: Task) -> None:
    if wrapper := _name_of_wrapper(known):
        problem: Exception = TypeError(
            f"task {known.name!r} is wrapped: another decorator stands above @task on {wrapper!r}; "
            "@task must be the topmost"
        )
    else:
        first = registry.tasks.setdefault(known.name, known)
        if first is known or _is_same_file(first.module, known.module):
            return
        problem = ValueError(f"task {known.name!r} is taken by {first.module}")
    registry.errors.append(LoadError.of(source, problem))


def _is_same_file(module: str, other: str) -> bool:
    """Whether a file was imported under two names: of the tasks folder, and of the project."""
    first, second = (getattr(sys.modules.get(name), "__file__", "") for name in (module, other))
    return bool(module != other and first and second and os.path.samefile(first, second))


def _name_of_wrapper(known: Task) -> str | None:
    """The name in its module that is bound to a wrapper of the task, so that jobs would miss it."""
    function = known.run or known.run_async
    name = getattr(function, "__qualname__", "")
    bound = getattr(sys.modules.get(known.module), name, None) if isinstance(name, str) else None
    if bound is None or type(bound) is Task or not callable(bound):
        return None
    inner = [getattr(bound, "__wrapped__", None), getattr(bound, "func", None)]
    inner += [cell.cell_contents for cell in getattr(bound, "__closure__", None) or ()]
    inner += getattr(bound, "__dict__", {}).values()
    return name if any(value is known for value in inner) else None


def _adapter(model: type) -> Any:
    from pydantic import BaseModel, TypeAdapter

    if is_dataclass(model) and not issubclass(model, BaseModel) and fields(model) is not None:
        if "__pydantic_config__" not in vars(model):
            # An unknown param is a mistake; pydantic's default is to drop it silently.
            model.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return TypeAdapter(model)
