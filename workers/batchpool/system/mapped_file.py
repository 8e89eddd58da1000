"""Files that several processes map."""

import os


def reserve_space(descriptor: int, size: int) -> None:
    """Give an empty file its size, with the space for it.

    A file that was only made longer has none: where the file system is full, the first write into
    its mapping ends the process with SIGBUS.

    Raises:
        OSError: there is no space.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.pwrite(descriptor, bytes(size), 0)
