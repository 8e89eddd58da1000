"""The error of a source of tasks that could not be loaded, as plain text of limited length."""

import traceback
from dataclasses import dataclass

MOST_ERRORS = 200
MOST_ERROR_CHARS = 1000
_MOST_TRACEBACK_CHARS = 20_000


@dataclass(frozen=True)
class LoadError:
    """The error of one source of tasks: a module, an entry point, a folder or one task."""

    source: str
    error: str
    traceback: str | None = None

    @classmethod
    def of(cls, source: str, exc: BaseException) -> "LoadError":
        """Make the error of an exception that user code raised, even if its methods raise too."""
        return cls(
            source=printable(source, MOST_ERROR_CHARS),
            error=printable(_text_of(exc), MOST_ERROR_CHARS),
            traceback=printable(_traceback_of(exc), _MOST_TRACEBACK_CHARS),
        )


def printable(text: str, most: int) -> str:
    """`text` as UTF-8 can hold it, with its middle left out where it is too long."""
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]} … {len(text) - 2 * half} characters … {text[-half:]}"
    return text.encode("utf-8", "replace").decode()


def _text_of(exc: BaseException) -> str:
    name = type(exc).__name__
    try:
        text = str(exc)
    except BaseException:  # the class is the user's own
        return f"{name}: (its text cannot be read)"
    return f"{name}: {text}" if text else name


def _traceback_of(exc: BaseException) -> str:
    try:
        # From the user's code on: what is before it are this package and the import system.
        tb = exc.__traceback__
        while tb is not None and _is_ours(str(tb.tb_frame.f_globals.get("__name__"))):
            tb = tb.tb_next
        return "".join(traceback.format_exception(type(exc), exc, tb))
    except BaseException:
        return "(its traceback cannot be formatted)"


def _is_ours(module: str) -> bool:
    return module.startswith(("importlib.", __name__.rpartition(".")[0])) or module == "importlib"
