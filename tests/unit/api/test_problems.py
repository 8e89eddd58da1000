"""Each refusal of the domain has a status."""

import pytest

from batchpool.api.problems import problem_of
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.schemas.refusals import InvalidFields, Refusal, invalid_field


def _kinds(root: type[Refusal]) -> set[type[Refusal]]:
    return {root}.union(*(_kinds(kind) for kind in root.__subclasses__()))


def test_every_refusal_has_a_problem() -> None:
    assert _kinds(Refusal) == {Refusal, InvalidFields, NoWorkerSeen}
    assert problem_of(invalid_field("count", "must be a whole number")).status == 422
    assert problem_of(NoWorkerSeen()).headers["Retry-After"] == "5"


def test_a_refusal_without_a_status_is_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match="no status"):
        problem_of(Refusal("new"))
