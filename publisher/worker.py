"""The control plane's worker: `python -m publisher.worker --home HOME [--settings FILE]`.

Celery brings messages, the sweep brings everything else. Killed anywhere, the next worker goes on.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import structlog

from online_runtime.gateway.log_lines import log_as_lines
from publisher.broker import give_back_taken
from publisher.db.control import open_control
from publisher.fleet import Fleet
from publisher.machinery import make_machinery
from publisher.settings import Settings
from publisher.sweep import Sweep
from publisher.tasks import QUEUE, make_app, register
from publisher.ticking import Ticker
from workstation.layout import Home

STOP_LIMIT_SECONDS = 20.0
# What workers tell each other is of no use here, and would poll the broker all the time.
_QUIETLY = ("--without-gossip", "--without-mingle", "--without-heartbeat")

log = structlog.get_logger("publisher.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM. Exit code 1 when another worker has this home."""
    asked = _parse(arguments)
    home = Home(asked.home.resolve())
    home.run.mkdir(parents=True, exist_ok=True)
    log_as_lines()
    with _only_worker(home) as alone:
        if not alone:
            print(f"Another worker already looks after {home.root}: stop it first.", file=sys.stderr)  # noqa: T201  (a door)
            return 1
        run(home, read_settings(asked.settings))
    return 0


def run(home: Home, settings: Settings) -> None:
    """Look after this home until Celery is told to stop."""
    control = open_control(settings.control_database(home))
    machinery = make_machinery(home, control, settings)
    sweep = Sweep(control, Ticker(machinery), Fleet(machinery), settings.tick_seconds)
    app = make_app(home, settings)
    give_back_taken(home)
    register(app, sweep.tick)
    sweep.start()
    log.info("worker_started", home=str(home.root), slots=len(machinery.slots))
    try:
        take_messages(app)
    finally:
        sweep.stop(STOP_LIMIT_SECONDS)
        control.close()


def take_messages(app: Any) -> None:
    """Carry out what messages say until SIGTERM."""
    app.worker_main(
        # One process, one thread for messages: a task only tells the sweep, which has threads of its own.
        ["--quiet", "worker", "--pool=solo", f"--queues={QUEUE}", "--loglevel=WARNING", *_QUIETLY]
    )


def read_settings(file: Path | None) -> Settings:
    """Settings from a JSON object of their field names; the defaults without a file. Raises ValueError."""
    if file is None:
        return Settings()
    values: dict[str, Any] = json.loads(file.read_text())
    unknown = values.keys() - {field.name for field in fields(Settings)}
    if unknown:
        raise ValueError(f"{file} has settings that do not exist: {', '.join(sorted(unknown))}")
    return Settings(**values)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m publisher.worker", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument(
        "--settings", type=Path, help="JSON object of settings, as publisher.settings names them"
    )
    return parser.parse_args(arguments)


@contextmanager
def _only_worker(home: Home) -> Iterator[bool]:
    """Several workers would be safe (leases decide), but on one machine a second one is a mistake."""
    with (home.run / "worker.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


if __name__ == "__main__":
    sys.exit(main())
