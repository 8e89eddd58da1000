"""REDIS_URL: what is wrong with it is said without any part of it."""

import pytest

from batchpool.ledger.connection import connect
from batchpool.ledger.redis_url import FORM, BadRedisUrl, connection_options


@pytest.mark.parametrize(
    "url",
    [
        "redis://:se#cret@127.0.0.1:6379/0",
        "redis://:se/cret@127.0.0.1:6379/0",
        "'redis://:secret@127.0.0.1:6379/0'",
        "http://:secret@127.0.0.1:6379/0",
        "127.0.0.1:6379",
        "redis://:secret@127.0.0.1:port/0",
        "redis://:secret@[::1/0",
    ],
)
def test_a_url_of_another_form_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadRedisUrl) as refused:
        connection_options(url)
    assert str(refused.value) == FORM
    assert "cret" not in str(refused.value).replace("password", "")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(BadRedisUrl, match="unknown option 'nonsense' in its query; known: db,"):
        connection_options("redis://:secret@127.0.0.1/0?nonsense=secret")


def test_our_own_options_win() -> None:
    url = "redis://127.0.0.1/3?decode_responses=true&socket_timeout=900&protocol=3"
    with connect(url, socket_timeout_s=1.5) as redis:
        options = redis.connection_pool.connection_kwargs
    assert options["socket_timeout"] == 1.5
    assert options["db"] == 3
    assert not options.get("decode_responses")
    assert "protocol" not in options
