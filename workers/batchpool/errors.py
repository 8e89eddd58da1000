"""Errors of a batch that cannot run. A failed task is data (an Outcome), not an error here.

EngineError
├── SpecError                 the batch cannot run as specified; `field` names the cause
│   ├── UnknownTask
│   ├── UnknownBackend
│   ├── UnsupportedBackend    not for this Python, or not for this task
│   ├── UnsupportedOption     the backend does not have this option
│   └── InvalidParams
├── LimitReached              a limit of the machine is reached before anything can run tasks
├── CodeChanged               new processes load other code than this one has
├── ChildStartFailed          new child processes die before they run anything
└── ContextClosed             the runner context is closed
"""

from collections.abc import Sequence


class EngineError(Exception):
    """The root of the errors of running a batch."""


class SpecError(EngineError):
    """The batch cannot run as specified; `field` names the cause."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownTask(SpecError):
    """No task of that name is registered here."""


class UnknownBackend(SpecError):
    """No backend has that name."""


class UnsupportedBackend(SpecError):
    """The backend exists, but not for this Python or this task."""


class UnsupportedOption(SpecError):
    """The backend does not have this option."""


class InvalidParams(SpecError):
    """The task's params do not fit its model."""


class LimitReached(EngineError):
    """A limit of the machine (processes, descriptors, space) is reached; the message names it."""


class ChildStartFailed(EngineError):
    """New child processes die before they run anything, so that the batch cannot go on."""

    def __init__(self, why: str, unanswered: Sequence[int]) -> None:
        shown = ", ".join(map(str, unanswered[:10]))
        more = f" and {len(unanswered) - 10} more" if len(unanswered) > 10 else ""
        super().__init__(f"{why}; unanswered items: {shown}{more}")
        self.why = why
        self.unanswered = tuple(unanswered)


class CodeChanged(EngineError):
    """The task's files changed after this process loaded them; new processes have other code."""


class ContextClosed(EngineError):
    """The processes and files of the runner context are gone; make a new one."""
