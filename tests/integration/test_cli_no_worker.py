"""Whoever waits for a deployment is told when nobody carries it out."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.running_platform import STANDIN, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_deployment_that_no_worker_carries_out_is_told_within_seconds_and_names_the_log(
    tmp_path: Path,
) -> None:
    checkout = tmp_path / "engine"
    checkout.mkdir()
    (checkout / "main.py").write_bytes(STANDIN.read_bytes())
    with running(tmp_path) as platform:
        platform.cli("project", "create", "studio", "--engine", str(checkout))
        # A stopped supervisor cannot start the worker again.
        record = platform.record()
        for pid in (record["supervisor"]["pid"], record["children"]["worker"]["pid"]):
            subprocess.run(
                ["kill", "-STOP" if pid == record["supervisor"]["pid"] else "-KILL", str(pid)], check=True
            )
        began = time.monotonic()
        told = platform.cli("deploy", "studio", "--json", code=None)
        subprocess.run(["kill", "-CONT", str(record["supervisor"]["pid"])], check=True)
        assert told.code == 8
        assert time.monotonic() - began < 60
        assert "worker.log" in json.loads(told.out)["detail"]
