"""Private folders whose paths are short enough for the sockets in them."""

import os
import tempfile
from pathlib import Path

_LONGEST_ROOT_BYTES = 60


def temp_root() -> str:
    """The folder for temporary folders: that of TMPDIR, unless its path is too long.

    The fork server's socket lies in them, and the address of a Unix socket has 108 bytes.
    """
    root = tempfile.gettempdir()
    return root if len(os.fsencode(root)) <= _LONGEST_ROOT_BYTES else "/tmp"  # noqa: S108


def make_temp_folder(prefix: str) -> Path:
    """Make a folder of mode 0700; its root too, which a task may have removed."""
    root = temp_root()
    os.makedirs(root, mode=0o700, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=root))
