from __future__ import annotations

from pathlib import Path

from snapshotter.components import BaseFacts, components_of
from workstation.layout import Project


def project(root: Path, *paths: str) -> Project:
    for path in paths:
        (root / "workstation" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "workstation" / path).write_text("")
    return Project("p", root)


def test_each_part_of_the_workstation_is_a_component_and_scratch_is_none(tmp_path: Path) -> None:
    made = project(
        tmp_path,
        *(
            "engine/main.py",
            "venv/pyvenv.cfg",
            ".cache/x",
            "user/y",
            "input/a",
            "output/b",
            "temp/c",
            "models/m",
        ),
        *("custom_nodes/a/__init__.py", "custom_nodes/b.disabled/__init__.py", "custom_nodes/single.py"),
        *("custom_nodes/.disabled/c/__init__.py", "custom_nodes/__pycache__/single.pyc"),
    )
    kinds = {source.name: source.kind for source in components_of(made, None, {})}
    assert kinds == {
        "engine": "engine",
        "dependencies": "dependencies",
        "cache": "cache",
        "user": "user",
        "custom_nodes/a": "plugin",
        "custom_nodes/b.disabled": "plugin",
        "custom_nodes/single.py": "plugin",
        "custom_nodes/.disabled/c": "plugin",
    }


def test_an_empty_workstation_has_no_components(tmp_path: Path) -> None:
    assert components_of(Project("p", tmp_path), None, {}) == []


def test_a_plugin_called_engine_does_not_get_the_engines_facts(tmp_path: Path) -> None:
    made = project(
        tmp_path, "engine/main.py", "custom_nodes/engine/__init__.py", "custom_nodes/a/__init__.py"
    )
    facts = {"engine": {"version": "1"}, "a": {"commit": "c"}, "custom_nodes/engine": {"commit": "d"}}
    found = {source.name: dict(source.facts) for source in components_of(made, None, facts)}
    assert found == {
        "engine": {"version": "1"},
        "custom_nodes/a": {"commit": "c"},
        "custom_nodes/engine": {"commit": "d"},
    }


def test_the_base_is_frozen_at_its_own_place(tmp_path: Path) -> None:
    base = BaseFacts("default", tmp_path / "site-packages", "f00d", {"version": "3.11"})
    (source,) = components_of(Project("p", tmp_path), base, {})
    assert (source.kind, source.path, source.place) == ("base", "", str(tmp_path / "site-packages"))
    assert source.facts == {"name": "default", "fingerprint": "f00d", "python": {"version": "3.11"}}
