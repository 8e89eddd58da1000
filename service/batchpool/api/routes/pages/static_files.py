"""/static: style sheet, scripts and icon."""

from flask import Blueprint, Response, request

from batchpool.api.problems import NotFound
from batchpool.pages.static_files import static_files

blueprint = Blueprint("static_files", __name__)

FOR_GOOD = "public, max-age=31536000, immutable"


@blueprint.get("/static/<name>")
def get_static(name: str) -> Response:
    found = static_files().get(name)
    if found is None:
        raise NotFound(f"no file {name[:80]!r}; known: {', '.join(sorted(static_files()))}")
    response = Response(found.content, content_type=found.media_type)
    response.set_etag(found.digest)
    kept = request.args.get("v") == found.digest
    response.headers["Cache-Control"] = FOR_GOOD if kept else "no-cache"
    response.make_conditional(request)
    return response
