"""/docs and /openapi.json: the API, to read, to try, and for programs."""

from functools import lru_cache

from flask import Blueprint, Response, request

from batchpool.api.http import json_response
from batchpool.api.openapi import openapi_document
from batchpool.api.page_response import page
from batchpool.api.problems import NotFound
from batchpool.pages.guides.reference import Reference, address_of, build_reference

blueprint = Blueprint("reference_page", __name__)
try_blueprint = Blueprint("try_page", __name__)
"""Not an operation of the API: it only leads to them."""


@blueprint.get("/openapi.json")
def get_openapi() -> Response:
    return json_response(openapi_document())


@blueprint.get("/docs")
def get_docs() -> Response:
    return page("reference.html", "API", view=_reference(request.host_url.rstrip("/")))


@try_blueprint.get("/docs/try")
@try_blueprint.post("/docs/try")
def try_operation() -> Response:
    """Lead a plain form to the operation that it names; 307 keeps the method."""
    given = {**request.args.to_dict(), **request.form.to_dict()}
    operation = given.get("operation", "")
    if not operation:
        return Response(status=303, headers={"Location": "/docs"})
    address = address_of(openapi_document(), operation, given)
    if address is None:
        raise NotFound(f"no operation {operation[:80]!r}, or no id for it")
    return Response(status=307, headers={"Location": address})


@lru_cache(4)
def _reference(url: str) -> Reference:
    return build_reference(openapi_document(), url)
