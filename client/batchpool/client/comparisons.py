"""Comparisons from the client's side: ordered, followed, read and exported."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from batchpool.client.follow import follow_events, wait_ended
from batchpool.client.resources import Event, Resource
from batchpool.client.transport import Call, Transport

_PATH = "/v1/comparisons"


class Comparison(Resource):
    """A comparison; `data` is the whole JSON document."""

    @property
    def progress(self) -> dict[str, Any]:
        """How many runs of the plan are done, and what runs or is waited for."""
        found: dict[str, Any] = self.data["progress"]
        return found

    @property
    def arms(self) -> list[dict[str, Any]]:
        """What the rounds of each arm came to; empty until the end."""
        return list(self.data.get("arms") or ())

    @property
    def verdicts(self) -> dict[str, str | None]:
        """By name of the arm: faster, slower, no difference shown, or None."""
        return {arm["name"]: arm["verdict"] for arm in self.arms}

    @property
    def conclusion(self) -> list[str]:
        """A few plain sentences made from the data; empty until the end."""
        return list(self.data.get("conclusion") or ())


class Comparisons:
    """The comparisons of one service; a `Client` has one."""

    def __init__(self, transport: Transport, patience_s: float) -> None:
        self._transport = transport
        self._patience_s = patience_s

    def submit(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Comparison:
        """Order a comparison and return it as accepted.

        Args:
            body: the fields of `POST /v1/comparisons`.
        Raises:
            InvalidRequest: the service cannot run that; `.fields` names the fields.
        """
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return Comparison(self._transport.json(Call("POST", _PATH, body=dict(body), headers=key)))

    def get(self, comparison: Comparison | str) -> Comparison:
        """Load a comparison as it is now."""
        return Comparison(self._transport.json(Call("GET", _path(comparison))))

    def list(
        self, *, state: str | None = None, task: str | None = None, limit: int | None = None
    ) -> Iterator[Comparison]:
        """Iterate over the comparisons, newest first, page by page; without their results."""
        query = {"state": state, "task": task, "limit": limit}
        return map(Comparison, self._transport.pages(_PATH, "comparisons", query))

    def wait(self, comparison: Comparison | str, timeout_s: float | None = None) -> Comparison:
        """Wait until the comparison has ended and return it.

        Raises:
            WaitTimeout: it has not ended within `timeout_s`.
        """
        what = f"comparison {_id(comparison)}"
        return Comparison(wait_ended(self._transport, _path(comparison), what, timeout_s))

    def events(self, comparison: Comparison | str) -> Iterator[Event]:
        """Iterate over its events until it has ended; a cut stream is taken up again."""
        what, path = f"comparison {_id(comparison)}", f"{_path(comparison)}/events"
        return follow_events(self._transport, path, what, self._patience_s)

    def export(self, comparison: Comparison | str, format: str) -> str:
        """The results as text: `json`, `markdown`, `csv` or `hyperfine` (JSON)."""
        call = Call("GET", _path(comparison), query={"format": format}, headers={"Accept": "*/*"})
        return self._transport.call(call).text

    def cancel(self, comparison: Comparison | str) -> Comparison:
        """Cancel a comparison, and the run that is under way."""
        return Comparison(self._transport.json(Call("POST", f"{_path(comparison)}/cancel")))

    def delete(self, comparison: Comparison | str) -> None:
        """Forget a comparison that has ended, with all its jobs."""
        self._transport.call(Call("DELETE", _path(comparison)))


def comparison_body(
    task: str,
    arms: Sequence[Mapping[str, Any]] | None,
    count: int | None,
    items: Iterable[Any] | None,
    spec: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of an order, without what was not said."""
    body: dict[str, Any] = {"task": task, **spec}
    if arms is not None:
        body["arms"] = [dict(arm) for arm in arms]
    if count is not None:
        body["count"] = count
    if items is not None:
        body["items"] = list(items)
    return body


def _id(comparison: Comparison | str) -> str:
    return comparison if isinstance(comparison, str) else comparison.id


def _path(comparison: Comparison | str) -> str:
    return f"{_PATH}/{_id(comparison)}"
