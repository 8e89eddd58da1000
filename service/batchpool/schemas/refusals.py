"""Refusals of the domain, without HTTP statuses: those are the API's business.

Refusal
└── InvalidFields       one or more fields are wrong; `errors` names them
"""

from collections.abc import Iterable
from typing import NamedTuple

MOST_ERRORS = 20
"""Field errors shown in one answer; the others are counted."""


class FieldError(NamedTuple):
    """One wrong field: its dotted path, and what it must be."""

    field: str
    message: str


class Refusal(Exception):
    """The root of what the domain refuses to do."""


class InvalidFields(Refusal):
    """Fields of a request that are wrong, at least one."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in self.errors))


def invalid_field(name: str, message: str) -> InvalidFields:
    """The refusal of a single field."""
    return InvalidFields([FieldError(name, message)])
