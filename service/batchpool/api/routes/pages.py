"""/openapi.json, /docs and /: the description of the API."""

from html import escape

from flask import Blueprint, Response

from batchpool.api.http import json_response
from batchpool.api.openapi import openapi_document
from batchpool.api.operations import OPERATIONS

blueprint = Blueprint("pages", __name__)

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; }}
code {{ font-family: ui-monospace, monospace; }}
td {{ padding: .2rem 1rem .2rem 0; vertical-align: top; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


@blueprint.get("/openapi.json")
def get_openapi() -> Response:
    return json_response(openapi_document())


@blueprint.get("/docs")
def get_docs() -> Response:
    rows = "\n".join(
        f"<tr><td><code>{operation.method.upper()}</code></td>"
        f"<td><code>{escape(operation.path)}</code></td><td>{escape(operation.summary)}</td></tr>"
        for operation in OPERATIONS
    )
    described = '<p>In full, with every field: <a href="/openapi.json">/openapi.json</a>.</p>'
    return _page("batchpool API", f"<table>\n{rows}\n</table>\n{described}")


@blueprint.get("/")
def get_root() -> Response:
    links = (
        ("/docs", "the API"),
        ("/v1/jobs", "jobs"),
        ("/v1/comparisons", "comparisons"),
        ("/v1/workers", "workers"),
        ("/v1/backends", "backends"),
        ("/v1/tasks", "tasks"),
        ("/readyz", "readiness"),
        ("/metrics", "metrics"),
    )
    rows = "\n".join(f'<li><a href="{path}">{text}</a></li>' for path, text in links)
    return _page("batchpool", f"<p>A job service for Python.</p>\n<ul>\n{rows}\n</ul>")


def _page(title: str, body: str) -> Response:
    return Response(_PAGE.format(title=escape(title), body=body), content_type="text/html")
