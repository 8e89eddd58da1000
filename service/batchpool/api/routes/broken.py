"""/v1/broken: data in Redis that cannot be read."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import json_response, negotiate, read_query
from batchpool.api.problems import NotFound
from batchpool.json_value import JsonObject
from batchpool.ledger.broken import BrokenDatum
from batchpool.schemas.job_requests import NoQuery
from batchpool.timestamps import rfc3339

blueprint = Blueprint("broken", __name__, url_prefix="/v1/broken")


@blueprint.get("")
def get_broken() -> Response:
    negotiate()
    read_query(NoQuery)
    return json_response({"broken": [_show(each) for each in service().broken.all()]})


@blueprint.delete("/<broken_id>")
def delete_broken(broken_id: str) -> Response:
    read_query(NoQuery)
    found = service().broken.get(broken_id)
    if found is None:
        raise NotFound(f"nothing broken has the id {broken_id[:80]!r}")
    service().quarantine.remove(found)
    return Response(status=204)


def _show(datum: BrokenDatum) -> JsonObject:
    shown = datum.to_json()
    return shown | {"seen_at": rfc3339(shown.pop("seen_ms"))}
