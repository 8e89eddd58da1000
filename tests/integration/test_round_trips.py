"""Round trips to a real Valkey: answers belong to their commands, whatever became of the last."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from batchpool.ledger.connection import connect, round_trips


def test_a_refused_command_does_not_stop_those_after_it(redis: Redis) -> None:
    redis.set("text", "x")
    refused, length = round_trips(redis)(["LPUSH", "text", "y"], ["STRLEN", "text"])
    assert isinstance(refused, ResponseError)
    assert length == 1


def test_a_connection_that_the_server_has_closed_is_replaced(redis_url: str, redis: Redis) -> None:
    with connect(redis_url, name="closed") as client:
        exchange = round_trips(client)
        exchange(["PING"])
        killed = [each["id"] for each in redis.client_list() if each["name"] == "closed"]
        assert len(killed) == 1
        redis.client_kill_filter(_id=killed[0])
        assert exchange(["ECHO", "again"]) == [b"again"]


def test_an_answer_that_came_too_late_is_not_taken_for_the_next(redis_url: str) -> None:
    with connect(redis_url, socket_timeout_s=0.2) as client:
        exchange = round_trips(client)
        with pytest.raises(RedisTimeoutError):
            exchange(["BLPOP", "nothing", 0.4])
        assert exchange(["ECHO", "next"]) == [b"next"]


def test_an_interrupted_round_trip_leaves_no_answer(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(redis_url) as client:
        exchange = round_trips(client)
        exchange(["PING"])
        (connection,) = exchange._idle
        read = connection.read_response

        def interrupt() -> Any:
            raise KeyboardInterrupt

        monkeypatch.setattr(connection, "read_response", interrupt)
        with pytest.raises(KeyboardInterrupt):
            exchange(["ECHO", "interrupted"])
        monkeypatch.setattr(connection, "read_response", read)
        assert exchange(["ECHO", "next"]) == [b"next"]


def test_threads_do_not_share_a_connection(redis_url: str) -> None:
    with connect(redis_url) as client, ThreadPoolExecutor(8) as threads:
        exchange = round_trips(client)
        numbers = list(map(str, range(400)))
        answers = threads.map(lambda each: exchange(["ECHO", each], ["ECHO", each]), numbers)
        assert list(answers) == [[each.encode()] * 2 for each in numbers]


def _send_client_id(exchange: Any, link: Any) -> None:
    link.send(exchange(["CLIENT", "ID"]))


def test_a_forked_child_has_connections_of_its_own(redis_url: str) -> None:
    with connect(redis_url) as client:
        exchange = round_trips(client)
        mine = exchange(["CLIENT", "ID"])
        ours, theirs = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=_send_client_id, args=(exchange, theirs))
        child.start()
        assert ours.recv() != mine
        child.join()
        assert exchange(["CLIENT", "ID"]) == mine


def test_an_unreachable_server_is_an_error_until_it_is_back(redis_url: str, redis: Redis) -> None:
    with connect(redis_url) as client:
        exchange = round_trips(client)
        exchange(["PING"])
        client.close()
        assert exchange(["ECHO", "back"]) == [b"back"]
    with connect("unix:///nowhere.sock") as client, pytest.raises(RedisConnectionError):
        round_trips(client)(["PING"])
