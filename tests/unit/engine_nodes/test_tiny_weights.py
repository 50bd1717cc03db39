"""The tiny weights, made as a person makes them, and a whole picture from them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import online_runtime.engine
from online_runtime.engine.models.single_file import read_header
from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow


def test_a_copied_engine_makes_the_same_bytes_by_file_and_labels_them(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    source = Path(online_runtime.engine.__file__).parent
    shutil.copytree(source, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path / "weights" / "tiny.safetensors"
    command = [sys.executable, "-P", "engine/models/tiny.py", str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == tiny_checkpoint.read_bytes()
    assert "random weights" in read_header(out).metadata["stillframe"]
    assert 10e6 < out.stat().st_size < 17e6
    assert [path.name for path in out.parent.iterdir()] == ["tiny.safetensors"]


def test_another_seed_makes_other_weights(tmp_path: Path, tiny_checkpoint: Path) -> None:
    from online_runtime.engine.models.tiny import write_checkpoint

    other = write_checkpoint(tmp_path / "other.safetensors", seed=1)
    assert other.read_bytes() != tiny_checkpoint.read_bytes()


def test_the_default_graph_makes_a_picture_that_the_seed_and_the_text_decide(tiny: Path) -> None:
    node = {name: cls() for name, cls in NODE_CLASS_MAPPINGS.items()}
    model, clip, vae = node["CheckpointLoaderSimple"].load_checkpoint("tiny.safetensors")

    def picture(text: str, seed: int) -> bytes:
        (positive,) = node["CLIPTextEncode"].encode(clip, text)
        (negative,) = node["CLIPTextEncode"].encode(clip, "")
        (latent,) = node["EmptyLatentImage"].generate(64, 64)
        (latent,) = node["KSampler"].sample(
            model, seed, 2, 8.0, "euler", "normal", positive, negative, latent
        )
        (image,) = node["VAEDecode"].decode(vae, latent)
        assert image.shape == (1, 64, 64, 3) and image.std() > 0.05
        saved = node["SaveImage"].save_images(image, "demo")["ui"]["images"][0]
        return (tiny / "output" / saved["filename"]).read_bytes()

    first = picture("a red cat", 1)
    assert picture("a red cat", 1) == first
    assert picture("a red cat", 2) != first
    assert picture("the sea at night", 1) != first
