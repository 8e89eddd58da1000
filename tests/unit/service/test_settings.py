"""The environment, read once."""

from dataclasses import fields

import pytest

from batchpool.api.settings import SETTINGS, BadSetting, Settings


def test_every_field_is_in_the_table_and_the_table_has_no_other() -> None:
    assert [setting.field for setting in SETTINGS] == [field.name for field in fields(Settings)]


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({"BATCHPOOL_API_PORT": " "})
    assert settings.port == 8000
    assert settings.max_body_bytes == 64 << 20
    assert settings.result_ttl_s == 7 * 86400


def test_values_have_the_type_of_their_default() -> None:
    settings = Settings.from_env(
        {"BATCHPOOL_API_PORT": "0", "BATCHPOOL_WAIT_CAP_S": "2", "REDIS_URL": "unix:///x"}
    )
    assert settings.port == 0
    assert settings.wait_cap_s == 2.0
    assert settings.redis_url == "unix:///x"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("BATCHPOOL_API_PORT", "http", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_API_PORT", "65536", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_API_PORT", "80.5", "a whole number from 0 to 65,535"),
        ("BATCHPOOL_WAIT_CAP_S", "nan", "a number from 0 to 600"),
        ("BATCHPOOL_WAIT_CAP_S", "-1", "a number from 0 to 600"),
        ("BATCHPOOL_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_bad_value_is_refused_with_variable_value_and_bounds(
    variable: str, value: str, allowed: str
) -> None:
    with pytest.raises(BadSetting) as caught:
        Settings.from_env({variable: value})
    assert str(caught.value) == f"{variable}={value!r}: allowed is {allowed}"


def test_streams_and_waits_must_leave_threads_for_the_rest() -> None:
    with pytest.raises(BadSetting, match="BATCHPOOL_API_THREADS = 64"):
        Settings.from_env({"BATCHPOOL_API_MAX_EVENT_STREAMS": "40"})
