"""What can go wrong before or around a batch; a failed task is data (an Outcome), not one of these.

EngineError
├── SpecError                 the batch cannot be run as ordered; `field` names the culprit
│   ├── UnknownTask
│   ├── UnknownBackend
│   ├── UnsupportedBackend    this Python, or this task, has no such way
│   ├── UnsupportedOption     the backend cannot do what was asked of it
│   └── InvalidParams
├── LimitReached              a limit of the machine leaves no room for anything that runs tasks
├── CodeChanged               new processes load other code than this one has
├── ChildStartFailed         new processes die before they run anything
└── ContextClosed             a batch was given to a station that has ended
"""

from collections.abc import Sequence


class EngineError(Exception):
    """The root of what the engine raises."""


class SpecError(EngineError):
    """A batch that cannot be run as ordered."""

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
    """The backend cannot do what an option asks for."""


class InvalidParams(SpecError):
    """The task's params do not fit its model."""


class LimitReached(EngineError):
    """A limit of the machine (processes, descriptors, space) leaves no room; names the limit."""


class ChildStartFailed(EngineError):
    """New processes die before they run anything, so running on is no use."""

    def __init__(self, why: str, unanswered: Sequence[int]) -> None:
        shown = ", ".join(map(str, unanswered[:10]))
        more = f" and {len(unanswered) - 10} more" if len(unanswered) > 10 else ""
        super().__init__(f"{why}; unanswered items: {shown}{more}")
        self.why = why
        self.unanswered = tuple(unanswered)


class CodeChanged(EngineError):
    """The task's files changed after this process loaded them; new processes have other code."""


class ContextClosed(EngineError):
    """The station's processes and files are gone; make a new one."""
