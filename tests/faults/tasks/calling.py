"""A task that calls a server, which may refuse."""

from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

from batchpool.tasks import task


@dataclass(frozen=True)
class CallParams:
    """The server's URL."""

    url: str


@task("call", params=CallParams)
def call(item: Any, params: CallParams) -> Any:
    """Call the server; an answer above 399 is an HTTPError."""
    headers = {"X-Begun": repr(monotonic())}
    with urlopen(Request(params.url, headers=headers), timeout=10) as answer:
        answer.read()
    return item


@task("call-slowly", params=CallParams, rate="15/s")
def call_slowly(item: Any, params: CallParams) -> Any:
    """The same, at a rate of its own."""
    return call(item, params)
