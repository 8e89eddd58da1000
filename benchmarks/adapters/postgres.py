"""A PostgreSQL server for a peer, of Debian's packages, on a unix socket of its own."""

import glob
import os
import shutil
import subprocess
import tempfile
import time

from benchmarks.adapters.base import die_with_parent

_READY_S = 20.0
_UNSYNCED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Postgres:
    """The server; it ends with this process.

    Args:
        is_synced: whether each commit is on disk before it is answered, the server's default.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """

    def __init__(self, is_synced: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bp-")
        folder = self._folder.name
        os.chmod(folder, 0o755)
        data = os.path.join(folder, "data")
        os.mkdir(data, 0o700)
        # It refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
            shutil.chown(data, user)
        setting_up = [_program("initdb"), "-D", data, "-A", "trust", "-U", "bench", "--no-sync"]
        subprocess.run(setting_up, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        command = [_program("postgres"), "-D", data, "-k", folder, "-c", "listen_addresses="]
        for setting in () if is_synced else _UNSYNCED:
            command += ["-c", setting]
        log = open(os.environ["BENCH_LOG"], "ab")
        with log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
                preexec_fn=die_with_parent,
            )
        self.dsn = f"postgresql://bench@/postgres?host={folder}"
        self._wait_ready()

    def _wait_ready(self) -> None:
        until_s = time.monotonic() + _READY_S
        asking = [_program("pg_isready"), "-q", "-h", self._folder.name]
        while subprocess.run(asking).returncode:
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.05)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


def _program(name: str) -> str:
    found = shutil.which(name) or next(iter(glob.glob(f"/usr/lib/postgresql/*/bin/{name}")), None)
    if found is None:
        raise RuntimeError(f"{name} is missing; on Debian and Ubuntu: apt install postgresql")
    return found
