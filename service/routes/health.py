"""/healthz, /readyz and /metrics: is this process alive, would it accept a job, how is it all."""

from flask import Blueprint, Response, request

from service.context import service
from service.readiness import look
from service.web import answer

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def get_healthz() -> Response:
    return answer({"status": "alive"})


@blueprint.get("/readyz")
def get_readyz() -> Response:
    found = look(service().redis)
    headers = {"Cache-Control": "no-store"}
    if found.ready:
        return answer(found.show(), headers=headers)
    return answer(found.show(), 503, headers | {"Retry-After": "2"})


@blueprint.get("/metrics")
def get_metrics() -> Response:
    text, content_type = service().metrics.render(request.headers.get("Accept", ""))
    return Response(text, content_type=content_type, headers={"Cache-Control": "no-store"})
