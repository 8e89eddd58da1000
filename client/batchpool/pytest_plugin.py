"""The pytest plugin: `@pytest.mark.compare(...)` fails a test unless a comparison shows something.

    @pytest.mark.compare("process-pool:2 > 1.2 * sequential", task="cpu", count=8,
                         arms=["sequential", "process-pool:2"])
    def test_processes_are_worth_it(comparison): ...

pytest loads it by itself. What it needs besides pytest is imported when a test is marked.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from batchpool.client import Client
    from batchpool.client.comparisons import Comparison
    from batchpool.json_value import JsonObject

_MARKER = (
    "compare(*conditions, task, arms, confirm=False, **order): run the comparison and fail unless "
    "its conditions hold; the other arguments are the fields of POST /v1/comparisons"
)
_MEASURED = pytest.StashKey["tuple[Comparison, str | None]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("batchpool").addoption(
        "--compare-strict",
        action="store_true",
        help="a comparison that proves nothing fails its test instead of skipping it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def batchpool_client() -> "Iterator[Client]":
    """A client of BATCHPOOL_URL, or of a stack that lasts for the session."""
    from batchpool.client import Client

    with ExitStack() as stack:
        url = os.environ.get("BATCHPOOL_URL") or stack.enter_context(_local_stack()).url
        yield stack.enter_context(Client(url))


def _local_stack() -> Any:
    try:
        from batchpool.stack.local_stack import LocalStack, StackOptions
    except ModuleNotFoundError as error:
        pytest.fail(
            f"set BATCHPOOL_URL, or pip install 'batchpool[local]' for a stack of its own: {error}",
            pytrace=False,
        )
    return LocalStack(StackOptions(workers=os.cpu_count() or 1, temporary=True))


@pytest.fixture
def comparison(request: pytest.FixtureRequest) -> "Comparison":
    """The comparison that the test is marked with, when it has ended."""
    marker = request.node.get_closest_marker("compare")
    if marker is None:
        pytest.fail("the fixture `comparison` needs @pytest.mark.compare(...)", pytrace=False)
    client: Client = request.getfixturevalue("batchpool_client")
    found, outcome = _measure(client, marker)
    request.node.stash[_MEASURED] = found, outcome
    return found


def _measure(client: "Client", marker: pytest.Mark) -> "tuple[Comparison, str | None]":
    """The comparison, a second one if it has to be confirmed, and the outcome of its conditions."""
    from batchpool.client.errors import BatchpoolError

    try:
        order, confirm = _order(marker)
        found = client.comparisons.wait(client.comparisons.submit(order))
        if not confirm or found.outcome != "failed":
            return found, found.outcome
        again = order | {"seed": found["spec"]["seed"] ^ 1}
        found = client.comparisons.wait(client.comparisons.submit(again))
        return found, "not proven" if found.outcome == "passed" else found.outcome
    except (BatchpoolError, ValueError) as error:
        why = f"the comparison could not be made: {error}"
    # Not in the `except`: pytest would print the message twice.
    pytest.fail(why, pytrace=False)


def _order(marker: pytest.Mark) -> "tuple[JsonObject, bool]":
    """The comparison that a test is marked with, and whether a failure has to be confirmed."""
    order = dict(marker.kwargs)
    confirm = bool(order.pop("confirm", False))
    for name in ("arms", "fail_unless"):
        given = order.get(name, ())
        if isinstance(given, str):
            order[name] = [given]
        elif not isinstance(given, list | tuple):
            raise ValueError(f"{name} must be a list, got {given!r}")
    order["fail_unless"] = [*marker.args, *order.get("fail_unless", ())]
    if "arms" in order:
        order["arms"] = [_arm(arm) for arm in order["arms"]]
    return order, confirm


def _arm(arm: "str | JsonObject") -> "JsonObject":
    import click

    from batchpool.cli.arguments import parse_arm

    try:
        return parse_arm(arm) if isinstance(arm, str) else arm
    except click.UsageError as error:
        raise ValueError(error.message) from None


@pytest.fixture(autouse=True)
def _marked_comparison(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("compare") is not None:
        request.getfixturevalue("comparison")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Judge before the test runs; here, since what fails in a fixture is no failed test."""
    if _MEASURED not in item.stash:
        return
    found, outcome = item.stash[_MEASURED]
    if not found.succeeded:
        pytest.fail(f"comparison {found.id} ended {found.state}", pytrace=False)
    said = "; ".join(
        f"{each['condition']} {each['outcome']}: {each['why']}" for each in found.conditions
    )
    is_strict = item.config.getoption("compare_strict")
    if outcome == "failed" or (outcome == "not proven" and is_strict):
        pytest.fail(f"comparison {found.id}: {said}", pytrace=False)
    if outcome == "not proven":
        pytest.skip(said)
