"""Send one request with retries; turn problem documents into exceptions."""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import httpx

from batchpool.client.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unreachable,
)
from batchpool.json_value import JsonObject

Query = Mapping[str, str | int | float | bool | None]

_CONNECT_TIMEOUT_S = 5.0

_ERRORS: dict[int, type[ApiError]] = {
    400: InvalidRequest,
    404: NotFound,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
}
_LATER = frozenset({429, 503, 507})
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Call:
    """One request, the same in each try."""

    method: str
    path: str
    query: Query | None = None
    body: Any = None
    """A JSON object, or bytes that are one."""
    pieces: Callable[[], Iterator[bytes]] | None = None
    """Makes the pieces of a body that is sent while it is read; instead of `body`."""
    is_once: bool = False
    """Whether `pieces` can be made once only, so that a cut request cannot be repeated."""
    headers: Mapping[str, str] | None = None
    extra_timeout_s: float = 0.0
    retry_on_503: bool = False
    """Ask again while the service answers that it cannot now: it has no Redis, say."""


class Transport:
    """Sends requests; retries for a while once a service that has answered is unreachable."""

    def __init__(self, url: str, retry_for_s: float, timeout_s: float) -> None:
        check_seconds(retry_for_s=retry_for_s, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._url = url
        self.retry_for_s = retry_for_s
        self._answered = False
        try:
            # trust_env off: a proxy for the way out has no business with a service on this machine.
            # verify: loading the CA certificates takes 20 ms, for nothing where there is no TLS.
            # No httpx.Client: its cookies, redirects and joined URLs take half of a request's time.
            self._pool = httpx.HTTPTransport(trust_env=False, verify=url.startswith("https:"))
            self._headers = _authorization(httpx.URL(url))
        except httpx.InvalidURL as error:
            raise InvalidInput("url", f"{url!r} is not a URL: {error}") from None

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def json(self, call: Call) -> Any:
        """Send a request and return the JSON of the response."""
        return self.call(call).json()

    def pages(
        self, path: str, name: str, query: Query, *, retry_on_503: bool = False
    ) -> Iterator[Any]:
        """Iterate over a list, page by page; query parameters that are None are left out."""
        wanted = {key: value for key, value in query.items() if value is not None}
        while True:
            page = self.json(Call("GET", path, query=wanted, retry_on_503=retry_on_503))
            yield from page[name]
            if not page["next"]:
                return
            wanted["cursor"] = page["next"]

    def call(self, call: Call) -> httpx.Response:
        """Send a request and return the response; a problem document is raised as an `ApiError`."""

        is_encoded = call.body is None or isinstance(call.body, bytes)
        content = call.body if is_encoded else encode_json(call.body)
        headers = {**(_JSON if content is not None else {}), **(call.headers or {})}

        def ask() -> httpx.Response:
            sent = call.pieces() if call.pieces else content
            with closing(self._send(call, headers, sent)) as answer:
                answer.read()
            return answer

        answer = self._with_retries(ask, retry_on_503=call.retry_on_503, is_once=call.is_once)
        if answer.is_success:
            return answer
        _raise_for(answer)

    def _send(
        self, call: Call, headers: Mapping[str, str], content: bytes | Iterator[bytes] | None = None
    ) -> httpx.Response:
        """Send a request; the body of the response is not read yet."""
        connect_s = min(_CONNECT_TIMEOUT_S, self._timeout_s)
        timeout = httpx.Timeout(self._timeout_s + call.extra_timeout_s, connect=connect_s)
        query = f"?{httpx.QueryParams(call.query)}" if call.query else ""
        request = httpx.Request(
            call.method,
            self._url + call.path + query,
            headers={**self._headers, **headers},
            content=content,
            extensions={"timeout": timeout.as_dict()},
        )
        return self._pool.handle_request(request)

    def _with_retries(
        self,
        ask: Callable[[], httpx.Response],
        *,
        retry_on_503: bool = False,
        is_once: bool = False,
    ) -> httpx.Response:
        pause_s = 0.1
        # Counted from the first failure: a long poll may have lasted longer before it was cut.
        deadline: float | None = None
        while True:
            try:
                answer = ask()
                self._answered = True
                if answer.status_code != 503 or not retry_on_503 or _is_over(deadline):
                    return answer
            except httpx.TransportError as error:
                if is_once or not self._answered or _is_over(deadline):
                    reason = str(error) or type(error).__name__
                    raise Unreachable(f"no answer from {self._url}: {reason}") from error
            except httpx.InvalidURL as error:
                raise InvalidInput("url", f"{self._url!r} is not a URL: {error}") from None
            deadline = deadline or time.monotonic() + self.retry_for_s
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def stream(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str]
    ) -> closing[httpx.Response]:
        """Open a response that is read in chunks, and closed at the end of a `with`."""
        call = Call("GET", path, query=query)
        answer = self._with_retries(lambda: self._send(call, headers))
        if not answer.is_success:
            answer.read()
            answer.close()
            _raise_for(answer)
        return closing(answer)


def _authorization(url: httpx.URL) -> dict[str, str]:
    """The header for the name and password in a URL, if it has them."""
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.InvalidURL("must begin with http:// or https://, and name a host")
    if not url.userinfo:
        return {}
    flow = httpx.BasicAuth(url.username, url.password).auth_flow(httpx.Request("GET", url))
    return {"Authorization": next(flow).headers["Authorization"]}


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def _raise_for(answer: httpx.Response) -> NoReturn:
    try:
        problem = answer.json()
    except ValueError:
        problem = {"detail": answer.text[:200]}
    if not isinstance(problem, dict):
        problem = {"detail": str(problem)[:200]}
    raise error_of(answer.status_code, problem, _retry_after_s(answer))


def error_of(status: int, problem: JsonObject, retry_after_s: float | None = None) -> ApiError:
    """The exception that stands for a problem document."""
    if status in _LATER:
        return Unavailable(status, problem, retry_after_s)
    return _ERRORS.get(status, ApiError)(status, problem)


def _retry_after_s(answer: httpx.Response) -> float | None:
    try:
        return float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return None


def request_body(
    task: str,
    count: int | None,
    items: Iterable[Any] | None,
    spec: Mapping[str, Any],
    arms: Sequence[Mapping[str, Any]] | None = None,
) -> JsonObject:
    """Build the body of a job or comparison, without fields that are None."""
    given = {
        "arms": None if arms is None else [dict(arm) for arm in arms],
        "count": count,
        "items": None if items is None else list(items),
    }
    return {"task": task, **spec, **{k: v for k, v in given.items() if v is not None}}


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Encode a request body as JSON.

    Raises:
        InvalidInput: a value is not JSON (NaN, an object), is nested too deeply, or holds text that
            is not Unicode; it names the field, and the index of an item.
    """
    try:
        return _dump(body)
    except (ValueError, TypeError, RecursionError) as error:
        field, value = _first_bad(body)
        raise InvalidInput(field, _reason(value, error)) from None


def check_seconds(**given: float | None) -> None:
    """Refuse a time that is no number, with which no wait would end.

    Raises:
        InvalidInput: one is NaN.
    """
    for name, value in given.items():
        if value is not None and math.isnan(value):
            raise InvalidInput(name, "must be a number of seconds, got NaN")


def encode_item(item: Any) -> bytes:
    """Encode one item as JSON.

    Raises:
        InvalidInput: it is not JSON.
    """
    return encode_json({"item": item})[len('{"item":') : -1]


def _dump(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def _first_bad(body: Mapping[str, Any]) -> tuple[str, Any]:
    for name, value in body.items():
        parts: Iterable[tuple[str, Any]] = [(name, value)]
        if isinstance(value, Mapping):
            parts = ((f"{name}.{key}", {key: each}) for key, each in value.items())
        elif isinstance(value, list):
            parts = ((f"{name}[{index}]", each) for index, each in enumerate(value))
        for field, each in parts:
            try:
                _dump(each)
            except (ValueError, TypeError, RecursionError):
                return field.encode("utf-8", "replace").decode(), each
    return "body", body


def _reason(value: Any, error: Exception) -> str:
    match error:
        case UnicodeEncodeError():
            return "must be Unicode text without half surrogates"
        case RecursionError():
            return "is nested too deeply"
        case TypeError():
            return f"must be JSON data, got {_odd_type(value)}"
        case _ if "circular" in str(error).lower():
            return "must not contain itself"
        case _:
            return "must be a finite number or other JSON data; NaN and Infinity are not JSON"


def _odd_type(value: Any) -> str:
    """The type of the innermost part that has no JSON form."""
    parts = value.values() if isinstance(value, dict) else value
    for part in parts if isinstance(value, dict | list | tuple) else ():
        with suppress(ValueError, RecursionError):
            try:
                _dump(part)
            except TypeError:
                return _odd_type(part)
    return type(value).__name__
