"""What the demo works with: a tiny pure-Python package as a wheel, a plugin in a git repository, a workflow.

Everything is written here from nothing, so that the demo needs no network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

CHECKPOINT = "demo-random-weights.safetensors"
PLUGIN = "demo-stamp"
WHEEL = "demo_ink-1.0-py3-none-any.whl"
GIT_LIMIT_SECONDS = 30.0

INK = '''"""Draws digits onto a picture, without any other package."""

ROWS = {
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}


def draw(image, text, size=3):
    """A copy of the picture (batch, height, width, channels) with `text` in its upper left corner."""
    drawn = image.clone()
    drawn[:, : 7 * size, : (4 * len(text) + 1) * size, :] = 0.0
    for place, digit in enumerate(text):
        for row, bits in enumerate(ROWS[digit]):
            for column in range(3):
                if bits & (4 >> column):
                    top, left = (row + 1) * size, (1 + 4 * place + column) * size
                    drawn[:, top : top + size, left : left + size, :] = 1.0
    return drawn
'''

NODE = '''"""A plugin that stamps its version onto the picture, so that one sees which snapshot answered."""

from pathlib import Path

import demo_ink


class DemoStamp:
    """Reads version.txt beside this file at every run."""

    CATEGORY = "demo"
    FUNCTION = "stamp"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    @classmethod
    def IS_CHANGED(cls, image):
        return float("nan")  # never answered from a cache: the file may have changed

    def stamp(self, image):
        version = (Path(__file__).parent / "version.txt").read_text().strip()
        return (demo_ink.draw(image, version),)


NODE_CLASS_MAPPINGS = {"DemoStamp": DemoStamp}
NODE_DISPLAY_NAME_MAPPINGS = {"DemoStamp": "Stamp the plugin's version"}
'''


def write_plugin(folder: Path) -> str:
    """Make the plugin's git repository in the new folder; returns its first commit."""
    (folder / "wheels").mkdir(parents=True)
    write_wheel(folder / "wheels" / WHEEL)
    (folder / "__init__.py").write_text(NODE, encoding="utf-8")
    (folder / "version.txt").write_text("1\n", encoding="utf-8")
    (folder / "requirements.txt").write_text(f"wheels/{WHEEL}\n", encoding="utf-8")
    _git(folder, "init", "--quiet", "--initial-branch", "main")
    _git(folder, "add", "--all")
    _git(
        folder,
        "-c",
        "user.name=Stillframe demo",
        "-c",
        "user.email=demo@localhost",
        "commit",
        "--quiet",
        "-m",
        "Stamp 1",
    )
    return _git(folder, "rev-parse", "HEAD").strip()


def write_wheel(path: Path) -> None:
    """A wheel of the package `demo-ink` 1.0, the same bytes every time."""
    info = "demo_ink-1.0.dist-info"
    files = {
        "demo_ink/__init__.py": INK,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: demo-ink\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: demo\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text.encode())}\n" for name, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)


def workflow() -> dict[str, Any]:
    """The demo's workflow in API format: a 64 by 64 picture in two steps, stamped and saved."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT),
        "2": _node("CLIPTextEncode", text="a lighthouse at dusk", clip=["1", 1]),
        "3": _node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "4": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": _node(
            "KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], seed=7,
            steps=2, cfg=4.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        ),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("DemoStamp", image=["6", 0]),
        "8": _node("SaveImage", images=["7", 0], filename_prefix="demo"),
    }  # fmt: skip


def write_workflow(path: Path) -> None:
    path.write_text(json.dumps(workflow(), indent=1), encoding="utf-8")


def _node(class_type: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_LIMIT_SECONDS, check=True)
    return done.stdout
