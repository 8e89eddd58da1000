"""Import the modules of users' tasks, in each process and interpreter that runs them.

A child or a fork server imports them later than its runner. If a file has changed meanwhile, it has
other code than its runner, and must run nothing: a job runs one version of its task.
"""

import importlib
import os
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

from batchpool.system.file_stamps import is_changed, read_stamps
from batchpool.tasks.decorator import forget_tasks

DIR_PACKAGE = "batchpool_tasks"
"""The package under which the files of a tasks folder are imported, in every process."""

_current: dict[str, bool] = {}
"""By module: whether it was loaded here from the runner's files; forked children inherit it."""


def add_root(root: str) -> None:
    """Let task modules import the packages of the project whose worker was started in `root`.

    After the standard library, so that no file there can take the place of one of its modules in
    this process; before what is installed, as always in Python.
    """
    if root not in sys.path:
        installed = (i for i, path in enumerate(sys.path) if path.endswith("-packages"))
        sys.path.insert(next(installed, len(sys.path)), root)
        _FreshFinder.add_folder(root)
        importlib.invalidate_caches()


def mount_folder(folder: Path) -> None:
    """Make the files of a folder modules of DIR_PACKAGE, instead of those of another folder.

    They may import each other: `from . import other`, or `import other` where nothing else has
    that name.
    """
    folder = folder.resolve()
    package = sys.modules.get(DIR_PACKAGE)
    if package is not None and list(package.__path__) == [str(folder)]:
        return
    for name in [n for n in sys.modules if n == DIR_PACKAGE or n.startswith(f"{DIR_PACKAGE}.")]:
        del sys.modules[name]
        forget_tasks(name)
    for finder in [each for each in sys.meta_path if isinstance(each, _NeighbourFinder)]:
        finder.forget_all()
        sys.meta_path.remove(finder)
    package = types.ModuleType(DIR_PACKAGE, "The files of the tasks folder.")
    package.__path__ = [str(folder)]
    sys.modules[DIR_PACKAGE] = package
    sys.meta_path.append(_NeighbourFinder(str(folder), _FreshFinder.add_folder(str(folder))))
    importlib.invalidate_caches()


def note_loaded(folder: Path) -> None:
    """Find out, right after all modules were loaded here, which have the code of the runner.

    Args:
        folder: the runner's.
    """
    for module, stamps in read_stamps(folder).items():
        _current[module] = not is_changed(stamps)


def is_current(module: str, folder: Path) -> bool:
    """Whether a module that is loaded here has the code that it has in the runner."""
    if module not in _current:
        _current[module] = not is_changed(read_stamps(folder).get(module, ()))
    return _current[module]


class _FreshFinder:
    """Finds what Python's own finder finds, but has the files of users' folders compiled anew.

    Python takes a cached `.pyc` for current by the size of its source and the second in which that
    was written: after a quick edit it is older than the file, whose digest the worker announces.
    """

    _INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
    _OURS = __name__.partition(".")[0]

    def __init__(self) -> None:
        self._folders: list[str] = []

    @classmethod
    def add_folder(cls, folder: str) -> "_FreshFinder":
        """Have the modules below `folder` compiled anew by this process, from now on."""
        finder = next((each for each in sys.meta_path if isinstance(each, cls)), None)
        if finder is None:
            finder = cls()
            sys.meta_path.insert(sys.meta_path.index(PathFinder), finder)
        for path in (os.path.realpath(folder), os.path.abspath(folder)):
            if (prefix := os.path.join(path, "")) not in finder._folders:
                finder._folders.append(prefix)
        return finder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and self._is_users(spec):
            spec.loader = _FromSource(name, spec.loader.path)
            spec.cached = None
        return spec

    def _is_users(self, spec: ModuleSpec) -> bool:
        if spec.name.partition(".")[0] == self._OURS or spec.origin is None:
            return False
        # A file there may be a link to one elsewhere.
        origin, real = os.path.abspath(spec.origin), os.path.realpath(spec.origin)
        is_installed = any(part in real for part in self._INSTALLED)
        folders = tuple(self._folders)
        return not is_installed and (origin.startswith(folders) or real.startswith(folders))


class _FromSource(SourceFileLoader):
    """A loader that neither reads nor writes a `.pyc`."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _NeighbourFinder:
    """Finds modules and packages beside the task modules; the last one of `sys.meta_path`.

    A module is the same object under both of its names, so that its tasks and classes exist once.
    """

    def __init__(self, folder: str, finder: _FreshFinder) -> None:
        self._folder = folder
        self._finder = finder
        self._found: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        if path is not None:
            return None
        spec = self._finder.find_spec(name, [self._folder])
        if spec is None:
            return None
        self._found.append(name)
        if spec.submodule_search_locations is None:
            # Not a subclass of importlib.abc.Loader: each child would import that at its start.
            loader: Any = _SecondName(f"{DIR_PACKAGE}.{name}")
            return ModuleSpec(name, loader, origin=spec.origin)
        return spec

    def forget_all(self) -> None:
        for found in self._found:
            for name in [n for n in sys.modules if n == found or n.startswith(f"{found}.")]:
                del sys.modules[name]
                forget_tasks(name)


class _SecondName:
    """A loader that loads nothing: the module is there, or is imported, under another name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        # The import system has just put the spec of the second name there.
        module.__spec__ = self._spec
