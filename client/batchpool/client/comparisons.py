"""Client side of comparisons: submit, follow, load, export."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from batchpool.client.follow import follow_events, wait_ended
from batchpool.client.resources import Event, Resource, id_of
from batchpool.client.transport import Call, Transport
from batchpool.json_value import JsonObject

_PATH = "/v1/comparisons"


class Comparison(Resource):
    """A comparison; `data` is the whole JSON document."""

    @property
    def progress(self) -> JsonObject:
        """Runs done and planned, the current run, and the reason for waiting, if any."""
        found: JsonObject = self.data["progress"]
        return found

    @property
    def arms(self) -> list[JsonObject]:
        """Results of each arm; empty until the end."""
        return list(self.data.get("arms") or ())

    @property
    def verdicts(self) -> dict[str, str | None]:
        """Verdict by name of arm: faster, slower, no difference shown, or None."""
        return {arm["name"]: arm["verdict"] for arm in self.arms}

    @property
    def conditions(self) -> list[JsonObject]:
        """Outcome of each condition of `fail_unless`; empty until the end."""
        return list(self.data.get("conditions") or ())

    @property
    def outcome(self) -> str | None:
        """The worst outcome of its conditions: failed, not proven or passed; None without any."""
        outcomes = {each["outcome"] for each in self.conditions}
        return next((each for each in ("failed", "not proven", "passed") if each in outcomes), None)

    @property
    def conclusion(self) -> list[str]:
        """The conclusion in sentences; empty until the end."""
        return list(self.data.get("conclusion") or ())


class Comparisons:
    """The comparisons of one service, as `Client.comparisons`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Comparison:
        """Submit a comparison and return it as accepted.

        Args:
            body: the fields of `POST /v1/comparisons`.
        Raises:
            InvalidRequest: the service cannot run that; `.fields` names the fields.
        """
        key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return Comparison(self._transport.json(Call("POST", _PATH, body=dict(body), headers=key)))

    def dry_run(self, body: JsonObject) -> JsonObject:
        """Plan a comparison as `submit`, raise what would refuse it, and store nothing."""
        call = Call("POST", _PATH, body=dict(body), query={"dry_run": "1"})
        return dict(self._transport.json(call))

    def get(self, comparison: Comparison | str) -> Comparison:
        """Load the current state of a comparison."""
        return Comparison(self._transport.json(Call("GET", _path(comparison))))

    def list(
        self, *, state: str | None = None, task: str | None = None, limit: int | None = None
    ) -> Iterator[Comparison]:
        """Iterate over the comparisons, newest first, page by page; without their results."""
        query = {"state": state, "task": task, "limit": limit}
        return map(Comparison, self._transport.pages(_PATH, "comparisons", query))

    def wait(self, comparison: Comparison | str, wait_s: float | None = None) -> Comparison:
        """Wait until the comparison has ended and return it.

        Raises:
            WaitTimeout: it has not ended within `wait_s`.
        """
        what = f"comparison {id_of(comparison)}"
        return Comparison(wait_ended(self._transport, _path(comparison), what, wait_s))

    def events(self, comparison: Comparison | str) -> Iterator[Event]:
        """Iterate over its events until it has ended; reconnects when the stream is cut."""
        what, path = f"comparison {id_of(comparison)}", f"{_path(comparison)}/events"
        return follow_events(self._transport, path, what)

    def export(self, comparison: Comparison | str, format: str) -> str:
        """Return the results as text: `json`, `markdown`, `csv`, `hyperfine` or `card`."""
        call = Call("GET", _path(comparison), query={"format": format}, headers={"Accept": "*/*"})
        return self._transport.call(call).text

    def report(self, comparison: Comparison | str) -> str:
        """Return the report: one HTML file that loads nothing and opens from a disk."""
        call = Call("GET", f"{_path(comparison)}/report", headers={"Accept": "text/html"})
        return self._transport.call(call).text

    def card(self, comparison: Comparison | str) -> str:
        """Return the result card: an SVG picture that stands alone."""
        path = f"{_path(comparison)}/report"
        call = Call("GET", path, query={"chart": "card"}, headers={"Accept": "image/svg+xml"})
        return self._transport.call(call).text

    def cancel(self, comparison: Comparison | str) -> Comparison:
        """Cancel a comparison and its current run."""
        return Comparison(self._transport.json(Call("POST", f"{_path(comparison)}/cancel")))

    def delete(self, comparison: Comparison | str) -> None:
        """Delete a comparison that has ended, with all its jobs."""
        self._transport.call(Call("DELETE", _path(comparison)))


def _path(comparison: Comparison | str) -> str:
    return f"{_PATH}/{id_of(comparison)}"
