"""Refusals of the admission of a comparison: those of a job, with the part of the body to blame.

Refusal                 (schemas)
├── InvalidFields       (schemas) of the comparison, or of one of its arms as `arms.2.backend`
└── NoWorkerSeen        (jobs)
"""

from collections.abc import Iterable

from batchpool.schemas.refusals import FieldError


def nested(field: str, errors: Iterable[FieldError]) -> list[FieldError]:
    """The same errors, as those of a part of the body."""
    return [
        FieldError(f"{field}.{error.field}" if error.field else field, error.message)
        for error in errors
    ]
