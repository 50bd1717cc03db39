"""Models that workflows name, cache entries, machine facts: what is there, what is missing, what failed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from snapshotter.describe import machine
from snapshotter.describe.cache import cache_entries
from snapshotter.describe.models import SMOKE, named_models
from workstation.home import open_home
from workstation.layout import Home, Workstation
from workstation.models import compute_digest, known_digest


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def desk(here: Home) -> Workstation:
    workstation = here.project("one").workstation
    workstation.workflows.mkdir(parents=True)
    return workstation


def test_models_of_saved_workflows_are_named_with_what_is_known(here, desk) -> None:
    weights = here.models / "checkpoints" / "sd.safetensors"
    weights.write_bytes(b"weights")
    limit = time.monotonic() + 10
    while known_digest(here, weights) is None:  # not before its stamp is old enough to show a change
        digest = compute_digest(here, weights)
        assert time.monotonic() < limit
    api = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd.safetensors"}}}
    (desk.workflows / "sub").mkdir()
    (desk.workflows / "sub" / "api.json").write_text(json.dumps(api))
    smoke = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "gone.pt"}}, **{"2": api["1"]}}
    models, problems = named_models(here, desk, smoke)
    assert problems == []
    assert [(m["kind"], m["name"], m["size_bytes"], m["workflows"]) for m in models] == [
        ("checkpoints", "sd.safetensors", 7, [SMOKE, "sub/api.json"]),
        ("vae", "gone.pt", None, [SMOKE]),
    ]
    assert [model["digest"] for model in models] == [f"blake3:{digest}", None]


def test_the_editors_own_form_is_read_too(here, desk) -> None:
    (here.models / "controlnet" / "depth.pth").write_bytes(b"12")
    document = {
        "nodes": [
            {"type": "LoraLoader", "widgets_values": ["style\\ink.safetensors", 0.5, 1]},
            {"type": "SomebodysLoader", "widgets_values": {"file": "depth.pth", "note": "two\nlines.pt"}},
            {
                "type": "SomebodysOther",
                "widgets_values": ["wan.gguf", "a prompt"],
                "properties": {"models": [{"name": "wan.gguf", "directory": "diffusion_models"}]},
            },
            {"type": "Odd", "widgets_values": None, "properties": None},
        ],
        "definitions": {"subgraphs": [{"nodes": [{"type": "VAELoader", "widgets_values": ["v.pt"]}]}]},
    }
    (desk.workflows / "ui.json").write_text(json.dumps(document))
    models, problems = named_models(here, desk)
    assert problems == []
    assert [(model["kind"], model["name"], model["size_bytes"]) for model in models] == [
        ("controlnet", "depth.pth", 2),
        ("diffusion_models", "wan.gguf", None),
        ("loras", "style/ink.safetensors", None),
        ("vae", "v.pt", None),
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"1": {"inputs": {}}}', "\udcff"])
def test_a_workflow_that_cannot_be_read_is_named(here, desk, text) -> None:
    (desk.workflows / "bad.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    models, problems = named_models(here, desk)
    assert models == [] and len(problems) == 1 and "bad.json" in problems[0]


def test_cache_entries_name_repositories_and_revisions(desk) -> None:
    hub = desk.cache / "huggingface" / "hub" / "models--org--tiny"
    (hub / "blobs").mkdir(parents=True)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("a" * 40)
    (hub / "blobs" / "x").write_bytes(b"123")
    (desk.cache / "torch" / "hub").mkdir(parents=True)
    (desk.cache / "pip").mkdir()
    found = {entry["name"]: entry for entry in cache_entries(desk)}
    assert set(found) == {"huggingface/hub/models--org--tiny", "torch/hub"}
    tiny = found["huggingface/hub/models--org--tiny"]
    assert (tiny["repository"], tiny["revisions"]) == ("org/tiny", {"main": "a" * 40})
    assert (tiny["files"], tiny["size_bytes"]) == (2, 43)
    assert found["torch/hub"]["repository"] is None


def nvidia(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_gpus_are_told_as_the_driver_tells_them(tmp_path, monkeypatch) -> None:
    nvidia(tmp_path, "echo '0, Some GPU, GPU-1, 24564, 570.1'", monkeypatch)
    (gpu,) = machine.nvidia_facts()["gpus"]
    assert (gpu["name"], gpu["memory.total"], gpu["driver_version"]) == ("Some GPU", "24564", "570.1")


@pytest.mark.parametrize("script", ["echo broken >&2; exit 9", "exec sleep 60"])
def test_a_driver_that_fails_or_hangs_is_named_and_does_not_hold_up(tmp_path, monkeypatch, script) -> None:
    monkeypatch.setattr(machine, "NVIDIA_SMI_SECONDS", 0.3)
    nvidia(tmp_path, script, monkeypatch)
    found = machine.machine_facts()
    assert found["nvidia"]["gpus"] == [] and "nvidia-smi failed" in found["nvidia"]["problem"]
    json.dumps(found)


def test_the_cuda_version_is_the_librarys_own_number(tmp_path) -> None:
    assert machine.driver_cuda(str(tmp_path / "libcuda.so.1")) is None
    assert machine.driver_cuda("libc.so.6") is None  # a library without that call
