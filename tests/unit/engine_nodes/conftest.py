"""Folders of an engine in tmp_path, and the tiny weights, made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from online_runtime.engine import folders


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from online_runtime.engine.models.tiny import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def tiny_lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from online_runtime.engine.models.tiny import write_lora

    return write_lora(tmp_path_factory.mktemp("weights") / "tiny-lora.safetensors")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An engine's base directory, in use."""
    for name in (
        "models/checkpoints",
        "models/loras",
        "models/vae",
        "input",
        "output",
        "temp",
        "custom_nodes",
    ):
        (tmp_path / name).mkdir(parents=True)
    folders.use(folders.Folders.below(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(base: Path, tiny_checkpoint: Path, tiny_lora: Path) -> Path:
    """The same, with the tiny weights in their folders."""
    (base / "models/checkpoints/tiny.safetensors").hardlink_to(tiny_checkpoint)
    (base / "models/loras/tiny-lora.safetensors").hardlink_to(tiny_lora)
    return base
