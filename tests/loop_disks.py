"""File systems of all kinds for tests: made in a sparse file, mounted from it, gone with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workstation.mounting import make_overlay

IMAGE_BYTES = 400 << 20  # The smallest xfs has 300 MB; the image is sparse.
LIMIT_SECONDS = 120


@contextmanager
def loop_disk(kind: str, folder: Path) -> Iterator[Path]:
    """An empty file system of that kind, mounted at `folder`/KIND. Skips the test where it cannot be had."""
    tool = f"mkfs.{kind}"
    if os.geteuid() != 0 or shutil.which(tool) is None:
        pytest.skip(f"needs root and {tool}")
    image, place = folder / f"{kind}.image", folder / kind
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([tool, "-q", image], check=True, capture_output=True, timeout=LIMIT_SECONDS)
    mount = ["mount", "-o", "loop", image, place]
    if subprocess.run(mount, capture_output=True, timeout=LIMIT_SECONDS).returncode:
        pytest.skip(f"{kind} cannot be mounted here")
    try:
        yield place
    finally:
        _unmount(place)
        image.unlink()


def require_overlay(folder: Path) -> None:
    """Skip the test where no overlay can be mounted over `folder`."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    trial = folder / "trial"
    for name in ("lower", "upper", "work"):
        (trial / name).mkdir(parents=True)
    try:
        os.close(make_overlay([trial / "lower"], trial / "upper", trial / "work"))
    except OSError as error:
        pytest.skip(f"no overlay can be mounted here: {error.strerror}")
    finally:
        shutil.rmtree(trial)


def _unmount(place: Path) -> None:
    """What a test started in the background, such as a remover, may be about to end."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while (done := subprocess.run(["umount", place], capture_output=True, text=True)).returncode:
        assert time.monotonic() < deadline, f"{place} is busy for {LIMIT_SECONDS} s: {done.stderr}"
        time.sleep(0.05)
