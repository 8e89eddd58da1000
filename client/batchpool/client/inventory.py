"""What one service has: workers, backends, tasks, lessons; and whether it is ready."""

from batchpool.client.comparisons import Comparison
from batchpool.client.errors import Unavailable
from batchpool.client.resources import id_of
from batchpool.client.transport import Call, Transport
from batchpool.json_value import JsonObject


class Inventory:
    """The part of a client that loads what there is, besides jobs and comparisons."""

    _transport: Transport

    def workers(self) -> list[JsonObject]:
        """List the live workers."""
        return list(self._transport.json(Call("GET", "/v1/workers"))["workers"])

    def backends(self) -> list[JsonObject]:
        """List the backends, and what each can enforce."""
        return list(self._transport.json(Call("GET", "/v1/backends"))["backends"])

    def tasks(self) -> list[JsonObject]:
        """List the tasks, with the JSON Schema of their params."""
        return list(self._transport.json(Call("GET", "/v1/tasks"))["tasks"])

    def task_errors(self) -> list[JsonObject]:
        """List the tasks and modules that could not be loaded, and why."""
        return list(self._transport.json(Call("GET", "/v1/tasks"))["errors"])

    def lessons(self) -> list[JsonObject]:
        """List the guided experiments; `order` of each is the body of a comparison."""
        return list(self._transport.json(Call("GET", "/v1/lessons"))["lessons"])

    def lesson_run(self, lesson: str, comparison: Comparison | str) -> JsonObject:
        """Load what a comparison that ran a lesson showed so far."""
        found = id_of(comparison)
        return dict(self._transport.json(Call("GET", f"/v1/lessons/{id_of(lesson)}/{found}")))

    def lesson_file(self, lesson: str, comparison: Comparison | str) -> str:
        """Load what a run of a lesson showed as one HTML file."""
        found = id_of(comparison)
        call = Call("GET", f"/v1/lessons/{id_of(lesson)}/{found}", headers={"Accept": "text/html"})
        return self._transport.call(call).text

    def ready(self) -> JsonObject:
        """Load `/readyz`, whether its `status` is good or bad."""
        try:
            return dict(self._transport.json(Call("GET", "/readyz")))
        except Unavailable as error:
            return error.problem
