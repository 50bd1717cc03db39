"""How far a freeze is can be read by whoever looks, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.freeze_progress import kept_progress, read_progress
from snapshotter.freeze import FreezeProgress
from workstation.layout import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project("studio", tmp_path / "studio")


def test_what_is_told_is_read_by_others_until_the_freeze_ends(project: Project) -> None:
    now = FreezeProgress("read", 3, 10, 300, 1000, "custom_nodes/a/__init__.py")
    assert read_progress(project) is None
    with kept_progress(project) as tell:
        tell(now)
        assert read_progress(project) == now
    assert read_progress(project) is None
    assert list(project.run.iterdir()) == []


def test_a_freeze_that_fails_leaves_nothing_either(project: Project) -> None:
    with pytest.raises(RuntimeError), kept_progress(project) as tell:
        tell(FreezeProgress("scan"))
        raise RuntimeError
    assert read_progress(project) is None
