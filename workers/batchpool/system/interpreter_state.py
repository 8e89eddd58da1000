"""The state of this interpreter that a task can change: a snapshot, compared and restored."""

import gc
import locale
import logging
import os
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from batchpool.system.cpython_internals import environment_data
from batchpool.system.process_state import NotRestored

_ATTRIBUTES: tuple[tuple[Any, str], ...] = (
    *((sys, name) for name in ("stdin", "stdout", "stderr", "__stdout__", "__stderr__")),
    *((sys, name) for name in ("excepthook", "displayhook", "unraisablehook", "breakpointhook")),
    (threading, "excepthook"),
    *((warnings, name) for name in ("filters", "showwarning", "formatwarning")),
    *((logging, name) for name in ("root", "lastResort", "raiseExceptions")),
    (os, "environ"),
    (tempfile, "tempdir"),
)
_RELIED_ON = (
    *("asyncio", "builtins", "concurrent.futures.process", "concurrent.futures.thread"),
    *("contextlib", "fcntl", "functools", "gc", "importlib", "io", "json", "json.decoder"),
    *("json.encoder", "logging", "marshal", "math", "mmap", "multiprocessing.connection"),
    *("multiprocessing.context", "multiprocessing.process", "os", "pathlib", "pickle"),
    *("posixpath", "queue", "random", "resource", "select", "selectors", "shutil", "signal"),
    *("socket", "struct", "subprocess", "sys", "tempfile", "threading", "time", "traceback"),
    *("warnings", "zlib"),
)
"""Modules whose functions this package calls: one that is replaced may give wrong results."""
_CLASSES_RELIED_ON = (
    ("asyncio.base_events", "BaseEventLoop"),
    *(("asyncio.selector_events", "BaseSelectorEventLoop"), ("asyncio", "Runner")),
    ("concurrent.futures.process", "ProcessPoolExecutor"),
    *(("concurrent.futures.thread", "ThreadPoolExecutor"), ("concurrent.futures", "Future")),
    *(("json", "JSONDecoder"), ("json", "JSONEncoder")),
    *(("logging", name) for name in ("Formatter", "Handler", "Logger", "StreamHandler")),
    *(("multiprocessing.connection", name) for name in ("_ConnectionBase", "Connection")),
    *(("multiprocessing.process", "BaseProcess"), ("multiprocessing.queues", "SimpleQueue")),
    *(("pathlib", "Path"), ("pathlib", "PurePath"), ("queue", "Queue"), ("random", "Random")),
    *(("redis.client", "Redis"), ("redis.connection", "AbstractConnection")),
    *(("selectors", "EpollSelector"), ("selectors", "_BaseSelectorImpl")),
    *(("socket", "socket"), ("subprocess", "Popen"), ("tempfile", "TemporaryDirectory")),
    *(("threading", name) for name in ("Condition", "Event", "Thread")),
    *(("traceback", "StackSummary"), ("traceback", "TracebackException")),
)
_OWN = "batchpool."


class _Setting(NamedTuple):
    """A setting of the interpreter that is read by one call and written by another."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


_SETTINGS = (
    _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting(sys.getswitchinterval, sys.setswitchinterval),
    _Setting(sys.gettrace, sys.settrace),
    _Setting(sys.getprofile, sys.setprofile),
    _Setting(threading.gettrace, threading.settrace),
    _Setting(threading.stack_size, threading.stack_size),
    _Setting(threading.getprofile, threading.setprofile),
    _Setting(logging.getLoggerClass, logging.setLoggerClass),
    _Setting(logging.getLogRecordFactory, logging.setLogRecordFactory),
    _Setting(gc.get_threshold, lambda thresholds: gc.set_threshold(*thresholds)),
    _Setting(gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    _Setting(socket.getdefaulttimeout, socket.setdefaulttimeout),
    _Setting(
        lambda: locale.setlocale(locale.LC_ALL),
        lambda name: locale.setlocale(locale.LC_ALL, name),
    ),
)


class InterpreterState:
    """Streams, hooks, environment, logging and warnings set-up: as they were when it was made."""

    def __init__(self) -> None:
        self._attributes = [(owner, name, getattr(owner, name)) for owner, name in _ATTRIBUTES]
        self._settings = [(setting, setting.read()) for setting in _SETTINGS]
        self._environ = dict(environment_data())
        self._filters = list(warnings.filters)
        self._disabled = logging.root.manager.disable
        self._loggers = {logger: _read_logger(logger) for logger in _loggers()}
        self._handlers = {handler: _read_handler(handler) for handler in logging.root.handlers}
        self._functions = [*_functions()]

    def restore(self) -> None:
        """Put back what has changed.

        Raises:
            NotRestored: something cannot be put back.
        """
        for owner, name, wanted in self._attributes:
            if getattr(owner, name, None) is not wanted:
                setattr(owner, name, wanted)
        for setting, wanted in self._settings:
            if setting.read() != wanted:
                setting.write(wanted)
        if environment_data() != self._environ:
            self._restore_environment()
        if warnings.filters != self._filters:
            # This one also tells the caches of what was filtered before.
            warnings.resetwarnings()
            warnings.filters[:] = self._filters  # type: ignore[index]
        self._restore_logging()
        self._check()

    def _restore_environment(self) -> None:
        zone = os.environ.get("TZ")
        os.environ.clear()
        os.environ.update({os.fsdecode(k): os.fsdecode(v) for k, v in self._environ.items()})
        if os.environ.get("TZ") != zone:
            time.tzset()

    def _restore_logging(self) -> None:
        if logging.root.manager.disable != self._disabled:
            logging.disable(self._disabled)
        for logger, wanted in self._loggers.items():
            if _read_logger(logger) != wanted:
                logger.setLevel(wanted.level)
                logger.propagate, logger.disabled = wanted.propagate, wanted.disabled
                logger.handlers[:], logger.filters[:] = wanted.handlers, wanted.filters
        for handler, given in self._handlers.items():
            if _read_handler(handler) != given:
                handler.level, handler.formatter = given.level, given.formatter
                handler.filters[:] = given.filters

    def _check(self) -> None:
        for name in ("stdin", "stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.closed:
                raise NotRestored(f"sys.{name} is closed")
        name = ""
        try:
            for name, namespace, read, wanted in self._functions:
                if read(namespace) != wanted:
                    raise NotRestored(f"{name} are replaced")
        except KeyError as error:
            raise NotRestored(f"{name} are removed") from error


class _LoggerState(NamedTuple):
    level: int
    propagate: bool
    disabled: bool
    handlers: tuple[logging.Handler, ...]
    filters: tuple[Any, ...]


class _HandlerState(NamedTuple):
    level: int
    formatter: logging.Formatter | None
    filters: tuple[Any, ...]


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]


def _read_logger(logger: logging.Logger) -> _LoggerState:
    return _LoggerState(
        logger.level,
        logger.propagate,
        logger.disabled,
        tuple(logger.handlers),
        tuple(logger.filters),
    )


def _read_handler(handler: logging.Handler) -> _HandlerState:
    return _HandlerState(handler.level, handler.formatter, tuple(handler.filters))


class _Functions(NamedTuple):
    """Functions of a module or class, or modules, as they were."""

    name: str
    namespace: Mapping[str, object]
    read: Callable[[Mapping[str, object]], Any]
    wanted: Any


def _functions() -> Iterator[_Functions]:
    names = [name for name in sys.modules if _is_relied_on(name)]
    read = itemgetter(*names)
    yield _Functions("modules", sys.modules, read, read(sys.modules))
    for name in names:
        yield from _functions_in(f"functions of module {name!r}", sys.modules[name], callable)
    for name, kind in _CLASSES_RELIED_ON:
        if owner := getattr(sys.modules.get(name), kind, None):
            yield from _functions_in(f"methods of {name}.{kind}", owner, _is_method)


def _is_relied_on(name: str) -> bool:
    is_ours = name in _RELIED_ON or name.startswith(_OWN)
    return is_ours and sys.modules.get(name) is not None


def _functions_in(
    name: str, owner: object, is_function: Callable[[Any], bool]
) -> Iterator[_Functions]:
    namespace = vars(owner)
    if names := [name for name, value in namespace.items() if is_function(value)]:
        read = itemgetter(*names)
        yield _Functions(name, namespace, read, read(namespace))


def _is_method(value: Any) -> bool:
    return callable(value) or isinstance(value, classmethod | staticmethod | property)
