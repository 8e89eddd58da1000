"""The `Idempotency-Key` header."""

from collections.abc import Mapping

from flask import request

from batchpool.api.context import ApiContext
from batchpool.api.problems import field_problem
from batchpool.jobs.items_digest import canonical_digest
from batchpool.ledger.job_creation import IdempotencyKey

MOST_KEY_CHARS = 255


def idempotency_key(context: ApiContext, asked: Mapping[str, object]) -> IdempotencyKey | None:
    """The Idempotency-Key of the current request, if any; `asked` is the request that it names."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (0 < len(key) <= MOST_KEY_CHARS and key.isascii() and key.isprintable()):
        raise field_problem(
            "Idempotency-Key", f"must be 1 to {MOST_KEY_CHARS} printable ASCII characters"
        )
    caller = canonical_digest(request.headers.get("Authorization", ""))
    return IdempotencyKey(
        scope=f"{request.method} {request.path} {caller}",
        key=key,
        body_sha256=canonical_digest(asked),
        ttl_s=context.settings.idempotency_ttl_s,
    )
