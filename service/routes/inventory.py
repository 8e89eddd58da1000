"""/v1/workers, /v1/backends and /v1/tasks: what there is to run jobs with."""

from typing import Any

from flask import Blueprint, Response

from service.context import service
from service.inventory import show_backends, show_tasks, show_workers
from service.models import NoQuery
from service.web import answer, check_accepts, read_query

blueprint = Blueprint("inventory", __name__, url_prefix="/v1")


@blueprint.get("/workers")
def get_workers() -> Response:
    _check_request()
    return answer(show_workers(service().presence.workers()))


@blueprint.get("/backends")
def get_backends() -> Response:
    _check_request()
    return answer(show_backends(*_fleet()))


@blueprint.get("/tasks")
def get_tasks() -> Response:
    _check_request()
    return answer(show_tasks(*_fleet()))


def _check_request() -> None:
    check_accepts()
    read_query(NoQuery)


def _fleet() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    presence = service().presence
    return presence.classes(), presence.workers()
