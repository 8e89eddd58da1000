"""Which version of its code a task has: a digest of its module and of the project's files below it.

Read from the files, not from what is imported, so that each process can find out alone whether it
loaded the same code as another.
"""

import codecs
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder

DIGEST_CHARS = 16
_OURS = __name__.partition(".")[0] + "."
_STDLIB = os.path.dirname(os.path.realpath(os.__file__)) + os.sep
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
# Wherever in a statement it stands; a match in a text only looks at a file too many.
_IMPORT = re.compile(
    rb"(?:^|[;:])[ \t\f]*(?:from[ \t]*+((?:\.[ \t]*+)*+[.\w\x80-\xff]*?)[ \t]*+\bimport\b[ \t]*"
    rb"(?:\(((?:[^)#]|#[^\n]*)*)\)|([^\n;#(]+))|import[ \t]+([^\n;#]+))",
    re.MULTILINE,
)
_LINE_END = re.compile(rb"\r\n?")


@dataclass(frozen=True)
class Code:
    """The code of a module: its digest, and the files that it was made from."""

    digest: str
    files: tuple[str, ...]


class CodeReader:
    """Reads the code of modules; each file and each place of a module is looked up once.

    The files of a task are those of its module and of all modules of the project that it imports,
    also inside functions. Of an installed package that they import, its version counts; the
    standard library goes with the version of Python.

    Args:
        builtin: the modules of this package that are tasks themselves.
    """

    def __init__(self, builtin: Collection[str]) -> None:
        self._builtin = builtin
        self._specs: dict[str, ModuleSpec | None] = {}
        self._installed: dict[str, list[str]] = {}
        self._files: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {}

    def read(self, module: str) -> Code:
        """The code of a module as its files are now."""
        own = module.partition(".")[0]
        parts: set[str] = set()
        files: set[str] = set()
        todo, known = [module], {module}
        while todo:
            name = todo.pop()
            spec = self._find(name)
            if spec is None or not spec.origin or not os.path.isfile(spec.origin):
                continue
            top = name.partition(".")[0]
            if name.startswith(_OURS) and name not in self._builtin:
                continue
            if top != own and any(part in spec.origin for part in _INSTALLED):
                parts.add(self._version_of(top))
                files.add(spec.origin)
                continue
            if spec.origin.startswith(_STDLIB) and not any(p in spec.origin for p in _INSTALLED):
                continue
            digest, imports = self._read_file(spec.origin)
            parts.add(f"{os.path.basename(spec.origin)} {digest}")
            files.add(spec.origin)
            package = name if spec.submodule_search_locations is not None else spec.parent or ""
            new = {each for text, level in imports for each in _absolute(text, level, package)}
            todo += sorted(new - known)
            known |= new
        text = "\n".join(sorted(parts))
        return Code(
            hashlib.sha256(os.fsencode(text)).hexdigest()[:DIGEST_CHARS], tuple(sorted(files))
        )

    def _find(self, name: str) -> ModuleSpec | None:
        """Where a module is, without importing anything."""
        if name not in self._specs:
            self._specs[name] = None  # a package that asks for itself
            try:
                self._specs[name] = self._look_up(name)
            except Exception:  # whatever finders the project has installed
                self._specs[name] = None
        return self._specs[name]

    def _look_up(self, name: str) -> ModuleSpec | None:
        parent = name.rpartition(".")[0]
        if not parent:
            return importlib.util.find_spec(name)
        loaded = sys.modules.get(parent)
        spec = self._find(parent)
        where = getattr(loaded, "__path__", None) or (spec and spec.submodule_search_locations)
        return PathFinder.find_spec(name, list(where)) if where else None

    def _read_file(self, path: str) -> tuple[str, tuple[tuple[str, int], ...]]:
        if path not in self._files:
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                content = b""
            imports = tuple(_imports_in(content)) if path.endswith(".py") else ()
            self._files[path] = hashlib.sha256(content).hexdigest(), imports
        return self._files[path]

    def _version_of(self, top: str) -> str:
        """What distinguishes the versions of an installed package."""
        spec = self._find(top)
        if spec is None or not spec.origin:
            return top
        digest, _ = self._read_file(spec.origin)
        is_package = spec.submodule_search_locations is not None
        folder = os.path.dirname(os.path.dirname(spec.origin) if is_package else spec.origin)
        # Not by importlib.metadata: to read one package's costs more than all the rest.
        if folder not in self._installed:
            names = os.listdir(folder) if os.path.isdir(folder) else []
            self._installed[folder] = [name for name in names if name.endswith(".dist-info")]
        names = [n for n in self._installed[folder] if n.lower().startswith(f"{top.lower()}-")]
        named = vars(sys.modules.get(top, object)).get("__version__")
        return f"{top} {sorted(names)} {named if isinstance(named, str) else ''} {digest}"


def _imports_in(source: bytes) -> Iterator[tuple[str, int]]:
    """The modules that a source may import: as (name, leading dots)."""
    lines = _LINE_END.sub(b"\n", source.removeprefix(codecs.BOM_UTF8)).replace(b"\\\n", b" ")
    for origin, several, names, plain in _IMPORT.findall(lines):
        base = b"".join(origin.split()).decode("utf-8", "replace")
        level = len(base) - len(base.lstrip("."))
        base = base.lstrip(".")
        if origin:
            yield base, level
        for part in re.sub(rb"#[^\n]*", b"", several or names or plain).split(b","):
            if words := part.split():
                name = words[0].decode("utf-8", "replace")
                yield ".".join(filter(None, (base, name))), level


def _absolute(name: str, level: int, package: str) -> Iterator[str]:
    """A module and the packages above it, by their absolute names."""
    if level:
        above = package.split(".")[: len(package.split(".")) - level + 1]
        name = ".".join(filter(None, (*above, name)))
    while name:
        yield name
        name = name.rpartition(".")[0]
