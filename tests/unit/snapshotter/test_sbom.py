"""The SBOM names what a snapshot is made of, and is valid for the library that wrote it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snapshotter.components import BaseFacts
from snapshotter.manifest import Snapshot
from snapshotter.sbom import sbom
from tests.unit.snapshotter.conftest import Desk

COMMIT = "a" * 40
MODEL = {
    "kind": "checkpoints",
    "name": "sd/one.safetensors",
    "workflows": ["portrait.json"],
    "size_bytes": 7,
    "digest": "blake3:" + "b" * 64,
}


def installed(site: Path, name: str, version: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "RECORD").write_text(f"{name}/__init__.py,,\n")


@pytest.fixture
def snapshot(desk: Desk) -> Snapshot:
    installed(desk.root / "venv" / "lib" / "python3.11" / "site-packages", "Einops_X", "0.8.1")
    base = desk.root.parent / "base"
    installed(base, "torch", "2.13.0")
    desk.base = BaseFacts("torch-2", base, "f" * 16, {"version": "3.11.9"})
    (desk.root / "custom_nodes" / "mine").mkdir()
    (desk.root / "custom_nodes" / "mine" / "__init__.py").write_text("")
    facts = {
        "engine": {"kind": "comfyui", "version": "0.3.9", "commit": COMMIT},
        "custom_nodes/stamp": {
            "name": "stamp",
            "remote": "https://ana:hush@github.com/Somebody/Stamp.git",
            "commit": COMMIT,
            "branch": "main",
            "local_edits": True,
        },
        "custom_nodes/mine": {"name": "mine", "remote": "https://git.example.org/a b/mine.git"},
    }
    frozen = desk.freeze(facts).snapshot
    models = [MODEL, {"kind": "loras", "name": "gone.safetensors", "size_bytes": None, "digest": None}]
    return replace(frozen, facts={**frozen.facts, "models": models})


def parts(text: str) -> dict[str, dict[str, Any]]:
    return {part["bom-ref"]: part for part in json.loads(text)["components"]}


def stated(part: dict[str, Any]) -> dict[str, str]:
    return {item["name"].removeprefix("stillframe:"): item["value"] for item in part.get("properties", ())}


def test_the_document_is_valid(desk: Desk, snapshot: Snapshot) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom(desk.store, snapshot)) is None


def test_packages_have_a_purl_and_the_digest_of_their_record(desk: Desk, snapshot: Snapshot) -> None:
    found = parts(sbom(desk.store, snapshot))
    einops, torch = found["dependencies:einops-x@0.8.1"], found["base:torch@2.13.0"]
    assert (einops["purl"], torch["purl"]) == ("pkg:pypi/einops-x@0.8.1", "pkg:pypi/torch@2.13.0")
    assert len(stated(einops)["record-blake3"]) == 64
    assert stated(torch)["component"] == "base"


def test_packages_are_read_from_the_bytes_when_the_manifest_does_not_list_them(
    desk: Desk, snapshot: Snapshot
) -> None:
    bare = replace(snapshot, components=tuple(replace(one, facts={}) for one in snapshot.components))
    assert "dependencies:einops-x@0.8.1" in parts(sbom(desk.store, bare))


def test_plugins_say_their_remote_and_commit_and_nobodys_password(desk: Desk, snapshot: Snapshot) -> None:
    text = sbom(desk.store, snapshot)
    found = parts(text)
    stamp, mine = found["custom_nodes/stamp"], found["custom_nodes/mine"]
    assert stamp["purl"] == f"pkg:github/somebody/stamp@{COMMIT}"
    assert stamp["externalReferences"][0]["url"] == "https://github.com/Somebody/Stamp.git"
    assert stated(stamp)["local-edits"] == "true"
    assert mine["purl"].startswith("pkg:generic/mine?vcs_url=git")
    assert "hush" not in text


def test_engine_python_and_models_are_named(desk: Desk, snapshot: Snapshot) -> None:
    found = parts(sbom(desk.store, snapshot))
    assert (found["engine"]["name"], found["engine"]["version"]) == ("comfyui", "0.3.9")
    assert found["python@3.11.9"]["type"] == "platform"
    model = found["model:checkpoints/sd/one.safetensors"]
    assert model["hashes"] == [{"alg": "BLAKE3", "content": "b" * 64}]
    assert "hashes" not in found["model:loras/gone.safetensors"]


def test_the_same_snapshot_gives_the_same_text(desk: Desk, snapshot: Snapshot) -> None:
    document = json.loads(sbom(desk.store, snapshot))
    assert sbom(desk.store, snapshot) == sbom(desk.store, snapshot)
    assert document["metadata"]["component"]["bom-ref"] == f"snapshot:{snapshot.id}"
    root = next(one for one in document["dependencies"] if one["ref"] == f"snapshot:{snapshot.id}")
    assert len(root["dependsOn"]) == len(document["components"])
