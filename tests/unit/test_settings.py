"""The environment, read once."""

import os

import pytest

from batchpool.api.settings import ApiSettings
from batchpool.settings import (
    BadSetting,
    ReconcilerSettings,
    StackSettings,
    WorkerSettings,
    declared_settings,
)

OWNERS = (WorkerSettings, ApiSettings, ReconcilerSettings)


@pytest.mark.parametrize("owner", OWNERS)
def test_each_variable_is_declared_once_and_its_default_is_allowed(
    owner: type[StackSettings],
) -> None:
    declared = declared_settings(owner).values()
    assert len({each.variable for each in declared}) == len(declared)
    for each in declared:
        default = each.default() if callable(each.default) else each.default
        assert each.read({each.variable: str(default)}) == default


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = ApiSettings.from_env({"BATCHPOOL_API_PORT": " "})
    assert settings.port == 8000
    assert settings.max_body_bytes == 64 << 20
    assert settings.result_ttl_s == 7 * 86400
    assert settings == ApiSettings()


def test_a_worker_without_a_name_is_called_by_host_and_pid() -> None:

    assert WorkerSettings.from_env({}).name.endswith(f"-{os.getpid()}")
    assert WorkerSettings.from_env({"BATCHPOOL_WORKER_NAME": "w1"}).name == "w1"


def test_values_have_the_type_of_their_default() -> None:
    settings = ApiSettings.from_env(
        {
            "BATCHPOOL_API_PORT": "0",
            "BATCHPOOL_WAIT_CAP_S": "2",
            "REDIS_URL": "unix:///x",
            "BATCHPOOL_LOG_LEVEL": "DEBUG",
        }
    )
    assert settings.port == 0
    assert settings.wait_cap_s == 2.0
    assert settings.redis_url == "unix:///x"
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("BATCHPOOL_API_PORT", "http", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_API_PORT", "65536", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_API_PORT", "80.5", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_WAIT_CAP_S", "nan", "a number from 0 to 600"),
        ("BATCHPOOL_WAIT_CAP_S", "-1", "a number from 0 to 600"),
        ("BATCHPOOL_LEASE_S", "0.5", "a number from 1 to 3,600"),
        ("BATCHPOOL_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_bad_value_is_refused_with_variable_value_and_bounds(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        ApiSettings.from_env({variable: value})
    assert str(caught.value) == f"{variable}={value!r}: must be {allowed}"


def test_streams_and_waits_must_leave_threads_for_the_rest() -> None:
    with pytest.raises(BadSetting, match="BATCHPOOL_API_THREADS = 80"):
        ApiSettings.from_env({"BATCHPOOL_API_MAX_EVENT_STREAMS": "60"})
