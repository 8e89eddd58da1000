"""The table of backends: which can run here, their defaults, and that each can be loaded."""

from dataclasses import replace

import pytest

from batchpool.backends import load_backend
from batchpool.backends.facts import BACKENDS
from batchpool.errors import ChildStartFailed, UnsupportedBackend


def test_interpreters_are_refused_below_their_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        BACKENDS, "interpreter-pool", replace(BACKENDS["interpreter-pool"], min_python=(4, 0))
    )
    with pytest.raises(UnsupportedBackend, match="needs Python"):
        load_backend("interpreter-pool")


def test_errors_name_what_is_unanswered() -> None:
    error = ChildStartFailed("a child died", range(12))
    assert str(error).endswith("unanswered items: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")
    assert error.unanswered == tuple(range(12))


def test_defaults_follow_the_cpus() -> None:
    defaults = {name: facts.default_concurrency(6) for name, facts in BACKENDS.items()}
    assert defaults == {
        "sequential": 1,
        "threading": 10,
        "multiprocessing": 6,
        "thread-pool": 10,
        "process-pool": 6,
        "interpreter-pool": 6,
        "asyncio": 10,
        "auto": 256,
    }
    assert BACKENDS["thread-pool"].default_concurrency(64) == 32


@pytest.mark.parametrize("name", [name for name, facts in BACKENDS.items() if facts.is_supported])
def test_each_backend_can_be_loaded(name: str) -> None:
    assert load_backend(name).__doc__
