"""What is documented of one operation of the API."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

ANY_PROBLEMS = (400, 403, 408, 413, 414, 417, 421, 431, 501)
"""Statuses of any operation, mostly answered before a route is found."""


@dataclass(frozen=True)
class Operation:
    """One verb on one path: what it takes and what it answers.

    Args:
        problems: statuses that are answered with a problem document.
        others: further media types of the answer.
        body_others: the same of the body.
        dry_run: the answer, with status 200, to `dry_run=1`.
    """

    method: str
    path: str
    summary: str
    status: int = 200
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    others: tuple[str, ...] = ()
    body_others: tuple[str, ...] = ()
    dry_run: type[BaseModel] | None = None
