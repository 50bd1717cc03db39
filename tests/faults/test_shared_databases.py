"""Several processes open one home's databases at the same moment; a fresh one, too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from online_runtime.jobs.database import open_jobs
from publisher.db.control import open_control

OPENERS = 8


@pytest.mark.parametrize("opening", [open_jobs, open_control])
def test_a_fresh_database_opened_by_several_at_once_is_opened_by_all(
    tmp_path: Path, opening: Callable[[str], object]
) -> None:
    for attempt in range(10):
        start = threading.Barrier(OPENERS)

        def open_it(place: Path = tmp_path / f"{attempt}.db", start: threading.Barrier = start) -> None:
            start.wait(timeout=10)
            opening(f"sqlite:///{place}").close()  # type: ignore[attr-defined]

        with ThreadPoolExecutor(OPENERS) as pool:
            for opened in [pool.submit(open_it) for _ in range(OPENERS)]:
                opened.result(timeout=60)
