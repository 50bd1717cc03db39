"""Digests of models: right, remembered while the file is the same, and never of a file in the making."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from blake3 import blake3

from workstation import models
from workstation.digesting import digest_all, start_digesting
from workstation.errors import ModelKeepsChanging
from workstation.home import open_home
from workstation.layout import Home
from workstation.models import compute_digest, digest_of, find_model, known_digest

LIMIT_SECONDS = 20.0


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture
def weights(here: Home) -> Path:
    path = here.models / "checkpoints" / "sd" / "small.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights" * 1_000_000)
    settle(path)
    return path


def settle(path: Path) -> None:
    """Until the file's stamp is old enough to show the next change."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.time() - path.stat().st_ctime <= models._RACY_SECONDS:
        assert time.monotonic() < deadline


def test_a_digest_is_of_the_bytes_and_computed_once(here, weights, monkeypatch) -> None:
    assert known_digest(here, weights) is None
    wanted = blake3(weights.read_bytes()).hexdigest()
    assert digest_of(here, weights) == wanted == known_digest(here, weights)
    monkeypatch.setattr(models, "_read_digest", lambda *_: pytest.fail("it was read again"))
    assert digest_of(here, weights) == wanted


def test_other_bytes_under_the_old_size_and_mtime_are_not_taken_for_the_old_ones(here, weights) -> None:
    digest_of(here, weights)
    before = weights.stat()
    with weights.open("r+b") as file:
        file.write(b"W")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.stat().st_size == before.st_size
    assert known_digest(here, weights) is None
    assert digest_of(here, weights) == blake3(weights.read_bytes()).hexdigest()


def test_a_file_in_the_making_has_no_digest(here, weights) -> None:
    def grow(_count: int) -> None:
        with weights.open("ab") as file:
            file.write(b"more")

    with pytest.raises(ModelKeepsChanging, match=r"small\.safetensors changed during each of 2"):
        compute_digest(here, weights, grow)
    assert known_digest(here, weights) is None


def test_a_lost_or_damaged_memory_costs_only_time(here, weights) -> None:
    wanted = digest_of(here, weights)
    for remembered in (here.run / "model-digests").iterdir():
        remembered.write_text("{")
    assert known_digest(here, weights) is None
    assert digest_of(here, weights) == wanted == known_digest(here, weights)
    shutil.rmtree(here.run / "model-digests")
    assert digest_of(here, weights) == wanted


def test_a_model_is_found_as_a_workflow_names_it(here, weights) -> None:
    (here.models / "clip" / "t5.safetensors").write_bytes(b"1")
    (here.models / "embeddings" / "sharp.pt").write_bytes(b"22")
    folder = here.models / "diffusers" / "tiny" / "unet"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"333")
    sizes = {
        name: find_model(here, kind, name).size_bytes
        for kind, name in (
            ("checkpoints", "sd/small.safetensors"),
            ("text_encoders", "t5.safetensors"),
            ("embeddings", "sharp"),
            ("diffusers", "tiny"),
        )
    }
    assert sizes == {"sd/small.safetensors": 7_000_000, "t5.safetensors": 1, "sharp": 2, "tiny": 3}


@pytest.mark.parametrize("name", ["../../home.toml", "/etc/hostname", "", ".", "..", "a\0b", "absent.pt"])
def test_no_name_leads_out_of_its_folder(here, name) -> None:
    assert find_model(here, "checkpoints", name) is None


def test_models_are_hashed_in_the_background_by_one_process(here, weights) -> None:
    assert start_digesting(here, []) is None
    pid = start_digesting(here, [weights, here.models / "gone.pt"])
    assert pid is not None
    deadline = time.monotonic() + LIMIT_SECONDS
    while (found := known_digest(here, weights)) is None:
        assert time.monotonic() < deadline, (here.run / "digesting.log").read_text()
        os.sched_yield()
    assert found == blake3(weights.read_bytes()).hexdigest()


def test_a_second_process_leaves_the_work_to_the_first(here, weights) -> None:
    import fcntl

    with (here.run / "digesting.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not digest_all(here, [weights])
    assert known_digest(here, weights) is None
    assert digest_all(here, [weights])
    assert known_digest(here, weights) is not None
