from __future__ import annotations

import stat
from pathlib import Path

import pytest

from snapshotter.rules import ComponentSource, Link, exclusion, link_refusal, special_file_refusal

PLUGIN = ComponentSource("custom_nodes/a", "plugin", Path("/w/custom_nodes/a"), "custom_nodes/a")
VENV = ComponentSource("dependencies", "dependencies", Path("/w/venv"), "venv")
MODELS = (b"/w/models", b"/shared/models")


def verdict(source: ComponentSource, path: bytes, target: bytes, resolved: bytes) -> str | None:
    return link_refusal(source, Link(path, target, resolved), str(source.root).encode(), MODELS)


@pytest.mark.parametrize(
    ("path", "target", "resolved"),
    [
        (b"x", b"y", b"/w/custom_nodes/a/y"),
        (b"sub/x", b"../y", b"/w/custom_nodes/a/y"),
        (b"x", b"/w/custom_nodes/a/y", b"/w/custom_nodes/a/y"),
        (b"weights", b"../../models/loras", b"/shared/models/loras"),
        (b"weights", b"/shared/models/loras", b"/shared/models/loras"),
        (b"again", b"weights/x", b"/shared/models/loras/x"),
        (b"loop", b"loop", b"/w/custom_nodes/a/loop"),
    ],
)
def test_a_link_that_stays_in_the_component_or_leads_to_models_is_kept(
    path: bytes, target: bytes, resolved: bytes
) -> None:
    assert verdict(PLUGIN, path, target, resolved) is None


@pytest.mark.parametrize(
    ("path", "target", "resolved"),
    [
        (b"x", b"/etc", b"/etc"),
        (b"x", b"../b/y", b"/w/custom_nodes/b/y"),
        (b"x", b"../../models-of-mine", b"/w/models-of-mine"),
        (b"x", b"../../models/../engine", b"/w/engine"),
        (b"x", b"sub/../y", b"/etc/y"),
        (b"", b"/home/dev/a", b"/home/dev/a"),
        (b"bin/python", b"/usr/bin/python3", b"/usr/bin/python3"),
    ],
)
def test_a_link_that_leaves_the_component_is_refused(path: bytes, target: bytes, resolved: bytes) -> None:
    assert "leaves the component" in (verdict(PLUGIN, path, target, resolved) or "")


def test_only_a_virtual_environments_python_may_lead_to_the_interpreter_outside() -> None:
    assert verdict(VENV, b"bin/python3", b"/usr/bin/python3", b"/usr/bin/python3") is None
    assert verdict(VENV, b"bin/sh", b"/bin/sh", b"/bin/sh") is not None
    assert verdict(VENV, b"lib/bin/python3", b"/usr/bin/python3", b"/usr/bin/python3") is not None


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFBLK, stat.S_IFCHR])
def test_special_files_are_refused_by_kind(kind: int) -> None:
    assert special_file_refusal(kind | 0o644)


def test_a_star_in_an_exclusion_does_not_cross_a_folder() -> None:
    pattern = exclusion(("pip", "*.log"))
    assert pattern is not None
    assert pattern.fullmatch(b"pip")
    assert pattern.fullmatch(b"comfyui.log")
    assert not pattern.fullmatch(b"keep/comfyui.log")
    assert not pattern.fullmatch(b"pipeline")
    assert exclusion(()) is None
