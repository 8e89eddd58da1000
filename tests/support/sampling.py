"""What of a long table of cases only the full run walks."""

from typing import Any

import pytest


def full(*cases: Any) -> list[Any]:
    """Cases of a parametrised test, a tuple for several arguments, that `make test` leaves out."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.full)
        for case in cases
    ]
