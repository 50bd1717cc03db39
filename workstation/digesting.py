"""Digests of models, computed by a process of its own that takes only what the machine has to spare.

    python -m workstation.digesting HOME < paths, each ended by a zero byte

One such process works in a home. A second one ends at once; what it would have done is asked for again at the
next freeze, or done by `stillframe model digest --missing`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from workstation.errors import ModelKeepsChanging
from workstation.layout import Home
from workstation.models import digest_of

LOG = "digesting.log"
LOCK = "digesting.lock"
_LOWEST_PRIORITY = 19


def start_digesting(home: Home, paths: Sequence[Path]) -> int | None:
    """Have these models hashed in the background. Returns the process's pid; None without any paths."""
    if not paths:
        return None
    with (home.run / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workstation.digesting", str(home.root)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives whoever asked for it
        )
    if process.stdin is not None:
        with process.stdin as pipe:  # before this process may end: what was not told is not hashed
            pipe.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
    # A worker lives long, and nobody else would take the process's end in.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def digest_all(home: Home, paths: Sequence[Path]) -> bool:
    """Compute what is not known yet. False when another process does so in this home already."""
    lock = os.open(home.run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in paths:
            _digest(home, path)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _digest(home: Home, path: Path) -> None:
    try:
        sys.stdout.write(f"{path} {digest_of(home, path)}\n")
    except (OSError, ModelKeepsChanging) as error:  # the others are hashed all the same
        sys.stdout.write(f"{path}: {error}\n")


def main(arguments: Sequence[str]) -> None:
    """Entry point of the process."""
    paths = [Path(os.fsdecode(path)) for path in sys.stdin.buffer.read().split(b"\0") if path]
    os.nice(_LOWEST_PRIORITY)
    psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    digest_all(Home(Path(arguments[0])), paths)


if __name__ == "__main__":
    main(sys.argv[1:])
