"""The builtin engine as a process: copied, limited, stopped."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import aiohttp
import pytest

import online_runtime.engine

pytestmark = pytest.mark.slow

SOURCE = Path(online_runtime.engine.__file__).parent


def test_the_copied_folder_runs_as_a_script_under_another_name(tmp_path, engines):
    base = tmp_path / "workstation"
    shutil.copytree(SOURCE, base / "my-engine", ignore=shutil.ignore_patterns("__pycache__"))
    bench = engines.start(base, command=[sys.executable, "my-engine/main.py"])
    with urllib.request.urlopen(f"{bench.url}/object_info/SaveImage", timeout=10) as response:
        assert b'"nodes"' in response.read()
    assert f"To see the GUI go to: {bench.url}" in bench.log.read_text()
    assert engines.stop(bench) == 0


def test_what_the_start_spent_is_told_by_stage_and_plugin(tmp_path, engines):
    pack = tmp_path / "base" / "custom_nodes" / "slow_pack"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("import time\ntime.sleep(0.3)\nNODE_CLASS_MAPPINGS = {}\n")
    bench = engines.start(tmp_path / "base")
    try:
        with urllib.request.urlopen(f"{bench.url}/system_stats", timeout=60) as response:
            told = json.load(response)["startup"]
    finally:
        engines.stop(bench)
    assert told["plugins"]["slow_pack"] >= 0.3
    assert next(iter(told["stages"])) == "interpreter" and told["stages"]["plugins"] >= 0.3
    assert told["ready_after"] == pytest.approx(sum(told["stages"].values()), abs=0.01)
    assert "s after the process began: interpreter" in bench.log.read_text()


def test_an_idle_engine_stops_within_two_seconds_of_sigterm(tmp_path, engines):
    bench = engines.start(tmp_path / "base")
    started = time.monotonic()
    assert engines.stop(bench) == 0
    assert time.monotonic() - started < 2


async def test_a_body_over_the_limit_is_413(tmp_path, engines):
    bench = engines.start(tmp_path / "base", "--max-upload-size", "0.01")
    try:
        async with aiohttp.ClientSession(bench.url) as session:
            async with session.post("/prompt", data=b"x" * 20_000) as response:
                assert response.status == 413
            form = aiohttp.FormData()
            form.add_field("image", b"x" * 20_000, filename="x.png")
            async with session.post("/upload/image", data=form) as response:
                assert response.status == 413
        assert list((bench.base / "input").iterdir()) == []
    finally:
        engines.stop(bench)


@pytest.mark.parametrize("arguments", [["--base-directory", "{empty}"], ["--port", "99999"]])
def test_bad_arguments_are_told_and_exit_with_2(tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "custom_nodes").mkdir()
    given = [argument.format(empty=tmp_path / "empty") for argument in arguments]
    ended = subprocess.run(
        [sys.executable, "-m", "online_runtime.engine", *given],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "cannot be used" in ended.stderr


def test_a_quick_test_imports_everything_and_ends(tmp_path):
    (tmp_path / "custom_nodes" / "broken").mkdir(parents=True)
    (tmp_path / "custom_nodes" / "broken" / "__init__.py").write_text("1 / 0")
    ended = subprocess.run(
        [sys.executable, "-m", "online_runtime.engine", "--quick-test-for-ci", "--cpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0
    assert "(IMPORT FAILED)" in ended.stderr
