"""/docs and /openapi.json: the API, to read and for programs."""

from flask import Blueprint, Response

from batchpool.api.http import json_response
from batchpool.api.openapi import openapi_document
from batchpool.api.operations import OPERATIONS
from batchpool.api.page_response import page

blueprint = Blueprint("reference_page", __name__)


@blueprint.get("/openapi.json")
def get_openapi() -> Response:
    return json_response(openapi_document())


@blueprint.get("/docs")
def get_docs() -> Response:
    return page("reference.html", "API", operations=OPERATIONS)
