"""/v1/workers, /v1/classes, /v1/backends and /v1/tasks."""

from flask import Blueprint, Response

from batchpool.api.context import service
from batchpool.api.http import json_response, negotiate, read_query
from batchpool.api.inventory import show_backends, show_classes, show_tasks, show_workers
from batchpool.jobs.fleet import Fleet
from batchpool.schemas.job_requests import NoQuery

blueprint = Blueprint("inventory", __name__, url_prefix="/v1")


@blueprint.get("/workers")
def get_workers() -> Response:
    _check_request()
    return json_response(show_workers(service().presence.workers()))


@blueprint.get("/classes")
def get_classes() -> Response:
    _check_request()
    return json_response(show_classes(_fleet(), service().presence.samples()))


@blueprint.get("/backends")
def get_backends() -> Response:
    _check_request()
    return json_response(show_backends(_fleet()))


@blueprint.get("/tasks")
def get_tasks() -> Response:
    _check_request()
    return json_response(show_tasks(_fleet()))


def _check_request() -> None:
    negotiate()
    read_query(NoQuery)


def _fleet() -> Fleet:
    presence = service().presence
    return Fleet(presence.classes(), presence.workers())
