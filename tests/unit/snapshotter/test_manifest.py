from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from snapshotter.errors import ManifestDamaged, ManifestTooNew
from snapshotter.manifest import Component, Snapshot, from_json, snapshot_id, to_json

ENGINE = Component("engine", "engine", "engine", "", "ab" * 32, 3, 1, 100, {"version": "1"})
USER = Component("user", "user", "user", "", "cd" * 32, 1, 0, 5)
PARTS = (ENGINE, USER)


def snapshot(components: tuple[Component, ...] = PARTS, number: int = 7) -> Snapshot:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return Snapshot(
        snapshot_id(components), "portraits", number, now, None, "/home/w", components, {"a": [1]}
    )


def test_a_manifest_gives_back_the_snapshot() -> None:
    assert from_json(to_json(snapshot())) == snapshot()


def test_the_id_is_the_content_and_neither_order_number_time_nor_facts() -> None:
    assert snapshot_id((USER, ENGINE)) == snapshot_id(PARTS)
    assert snapshot_id((replace(ENGINE, facts={}), USER)) == snapshot_id(PARTS)
    for change in (
        {"tree": "ef" * 32},
        {"path": "other"},
        {"name": "x"},
        {"place": "/x"},
        {"kind": "plugin"},
    ):
        assert snapshot_id((replace(ENGINE, **change), USER)) != snapshot_id(PARTS)


def test_a_newer_manifest_is_refused_before_anything_else_of_it_is_read() -> None:
    with pytest.raises(ManifestTooNew) as caught:
        from_json('{"format": 2, "content": "nothing that this version knows"}')
    assert (caught.value.found, caught.value.known) == (2, 1)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "nonsense"])
def test_what_is_no_manifest_is_named_as_damaged(text: str) -> None:
    with pytest.raises(ManifestDamaged, match=r"x/manifest\.json"):
        from_json(text, "x/manifest.json")


@pytest.mark.parametrize(
    "path", [("snapshot", "facts"), ("snapshot", "number"), ("content", "components"), ("check",)]
)
def test_any_edit_of_a_manifest_is_noticed(path: tuple[str, ...]) -> None:
    document = json.loads(to_json(snapshot()))
    inside = document
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = 8
    with pytest.raises(ManifestDamaged):
        from_json(json.dumps(document))


def test_a_base_outside_the_workstation_keeps_its_own_place() -> None:
    base = Component("base", "base", "", "/opt/site-packages", "ab" * 32, 1, 0, 1)
    assert base.place_in(Path("/w")) == Path("/opt/site-packages")
    assert ENGINE.place_in(Path("/w")) == Path("/w/engine")
