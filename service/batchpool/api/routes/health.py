"""/healthz, /readyz and /metrics: liveness, readiness, metrics."""

from flask import Blueprint, Response, request

from batchpool.api.context import service
from batchpool.api.http import json_response
from batchpool.api.readiness import check

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def get_healthz() -> Response:
    return json_response({"status": "alive"})


@blueprint.get("/readyz")
def get_readyz() -> Response:
    found = check(service().redis)
    headers = {"Cache-Control": "no-store"}
    if found.ready:
        return json_response(found.show(), headers=headers)
    return json_response(found.show(), 503, headers | {"Retry-After": "2"})


@blueprint.get("/metrics")
def get_metrics() -> Response:
    text, content_type = service().metrics.render(request.headers.get("Accept", ""))
    return Response(text, content_type=content_type, headers={"Cache-Control": "no-store"})
