"""`stillframe workstation status --timings`, on an engine that runs."""

from __future__ import annotations

import pytest

from tests.contract.engine.conftest import start, stop
from web.cli.workstation_timings import lines_of, startup_of
from web.errors import EngineUnreachable

pytestmark = pytest.mark.slow


def test_stages_and_plugins_of_a_start_are_told_slowest_plugin_first(tmp_path) -> None:
    for name, seconds in (("quick", 0), ("slow", 0.3)):
        pack = tmp_path / "base" / "custom_nodes" / name
        pack.mkdir(parents=True)
        (pack / "__init__.py").write_text(f"import time\ntime.sleep({seconds})\nNODE_CLASS_MAPPINGS = {{}}\n")
    bench = start(tmp_path / "base")
    try:
        lines = lines_of(startup_of(bench.url), "studio")
    finally:
        stop(bench)
    assert lines[0].startswith("Ready ")
    assert [line.split()[1] for line in lines if line.startswith("  plugin ")] == ["slow", "quick"]
    with pytest.raises(EngineUnreachable):
        startup_of(bench.url)


def test_an_engine_that_does_not_tell_is_said_so() -> None:
    (line,) = lines_of({}, "studio")
    assert "stillframe plugin imports studio" in line
