"""The demo's hands: `stillframe` commands as processes, and the `stillframe up` they need."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from web.errors import DemoFailed

COMMAND_LIMIT_SECONDS = 900.0
UP_LIMIT_SECONDS = 150.0
END_LIMIT_SECONDS = 120.0  # instances get 30 s each to end by themselves


def stillframe(home: Path, *words: str) -> Any:
    """Run one command with --json and return its answer.

    Raises DemoFailed with the command's own sentence.
    """
    command = [sys.executable, "-m", "web.cli.main", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_LIMIT_SECONDS, check=False)
    if done.returncode != 0:
        told = _sentence(done.stdout or done.stderr)
        raise DemoFailed(f"stillframe {' '.join(words)}", told or f"exit code {done.returncode}")
    return json.loads(done.stdout)


class Platform:
    """A `stillframe up` of the demo's home."""

    def __init__(self, home: Path, *, port: int, gateway_port: int) -> None:
        command = [
            sys.executable,
            "-m",
            "web.cli.main",
            "up",
            "--home",
            str(home),
            "--stop-instances",
            "--json",
        ]
        command += ["--port", str(port), "--gateway-port", str(gateway_port)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.serving = self._wait()

    def wait(self) -> None:
        """Return when it has ended."""
        self._process.wait()

    def end(self) -> None:
        """End it with its instances, within a limit."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DemoFailed(
                "ending `stillframe up`", f"it did not end within {END_LIMIT_SECONDS:.0f} s"
            ) from None

    def _wait(self) -> dict[str, Any]:
        """The line that says it serves."""
        assert self._process.stdout is not None
        deadline, said = time.monotonic() + UP_LIMIT_SECONDS, b""
        while not said.endswith(b"\n"):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 65_536) if ready else b""
            if not piece:
                raise DemoFailed("stillframe up", self._failure(said))
            said += piece
        answer = dict(json.loads(said))
        if "url" not in answer:
            raise DemoFailed("stillframe up", str(answer.get("detail", answer)))
        return answer

    def _failure(self, said: bytes) -> str:
        if self._process.poll() is None and self._still_runs():
            self._process.kill()
            return f"it did not serve within {UP_LIMIT_SECONDS:.0f} s"
        assert self._process.stderr is not None
        told = self._process.stderr.read().decode("utf-8", "replace")
        return _sentence(said.decode("utf-8", "replace") or told)

    def _still_runs(self) -> bool:
        try:
            self._process.wait(5.0)  # its output has ended; its exit follows
        except subprocess.TimeoutExpired:
            return True
        return False


def _sentence(told: str) -> str:
    """The sentence in a problem document, or the last lines as they are."""
    start = told.find("{")
    try:
        return str(json.loads(told[start:])["detail"]) if start >= 0 else told.strip()
    except (ValueError, KeyError):
        return told.strip()[-2000:]
