"""Who comes to a parking waits while it is open, and no longer than its owner lives."""

import subprocess
import sys
import threading
from pathlib import Path

from batchpool.children.parking import Parking, wait_while_locked

_SOON_S = 0.1
_DEADLINE_S = 10.0


def _come(path: Path) -> threading.Thread:
    thread = threading.Thread(target=wait_while_locked, args=(path,))
    thread.start()
    return thread


def test_all_wait_until_it_is_closed(tmp_path: Path) -> None:
    parking = Parking(tmp_path / "parking")
    path = parking.open()
    waiting = [_come(path) for _ in range(3)]
    waiting[0].join(_SOON_S)
    assert parking.is_open and all(thread.is_alive() for thread in waiting)
    parking.close()
    for thread in waiting:
        thread.join(_DEADLINE_S)
        assert not thread.is_alive()
    assert not list(tmp_path.iterdir())


def test_who_comes_too_late_goes_on(tmp_path: Path) -> None:
    parking = Parking(tmp_path / "parking")
    path = parking.open()
    parking.close()
    wait_while_locked(path)
    assert not parking.is_open


def test_who_comes_too_late_does_not_wait_with_the_next_ones(tmp_path: Path) -> None:
    parking = Parking(tmp_path / "parking")
    before = parking.open()
    parking.close()
    assert parking.open() != before
    wait_while_locked(before)
    parking.close()


_HOLDER = """
import sys, time
from pathlib import Path
from batchpool.children.parking import Parking
parking = Parking(Path(sys.argv[1]))
path = parking.open()
print(path, flush=True)
time.sleep(60)
"""


def test_nobody_waits_for_one_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "parking")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        thread = _come(Path(owner.stdout.readline().decode().strip()))
        thread.join(_SOON_S)
        assert thread.is_alive()
        owner.kill()
        thread.join(_DEADLINE_S)
        assert not thread.is_alive()
