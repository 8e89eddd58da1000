"""A stack per test on a Redis of its own, that the test may break."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from batchpool.api.app import create_app
from batchpool.api.settings import ApiSettings
from tests.faults.servers import Server
from tests.integration.conftest import Stage
from tests.support.stack_processes import StackProcesses

LEASE_S = 2.0
"""Short, so that a lost worker is noticed soon."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
def make_crew() -> Iterator[Callable[..., StackProcesses]]:
    """Makes crews on a given server; `environ` is what all their members see."""
    with ExitStack() as stack:

        def make(server: Server, **environ: str) -> StackProcesses:
            settings = {"BATCHPOOL_LEASE_S": str(LEASE_S)} | environ
            redis = stack.enter_context(server.client())
            api = ApiSettings.from_env(settings)
            client = stack.enter_context(server.client(api.redis_timeout_s))
            app = create_app(api, client)
            app.testing = False
            return stack.enter_context(
                StackProcesses(server.url, redis, Stage(redis, app), settings)
            )

        yield make


@pytest.fixture
def crew(server: Server, make_crew: Callable[..., StackProcesses]) -> StackProcesses:
    """A crew on the test's own server, without members yet."""
    return make_crew(server)
