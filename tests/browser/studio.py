"""A project with a tiny checkpoint and a plugin that brings a script, its workstation running."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.running_platform import Platform
from workstation.home import open_home
from workstation.layout import Project

CHECKPOINT = "tiny.safetensors"
PLUGIN = '''
class Faulty:
    """Raises with a path of this machine in its message."""
    CATEGORY = "painter"
    FUNCTION = "run"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"picture": ("IMAGE",)}}

    def run(self, picture):
        raise RuntimeError(f"cannot read {__file__}")


NODE_CLASS_MAPPINGS = {"Faulty": Faulty}
WEB_DIRECTORY = "web"
'''
SCRIPT = """
import { app } from "../../scripts/app.js";
app.registerExtension({
  name: "painter.mark",
  async setup() {
    const mark = document.createElement("div");
    mark.id = "painter-mark";
    mark.textContent = "painter is here";
    mark.style = "position:fixed;bottom:4px;left:45%;z-index:99;background:gold;color:black;padding:2px 8px";
    document.body.append(mark);
  },
});
"""
ABSOLUTE = """
import { app } from "/scripts/app.js";
import { words } from "/extensions/painter/words.js";
window.painterWords = app ? words : "";
"""


def make_studio(platform: Platform, name: str = "studio") -> Project:
    """The project `name`, made and started."""
    home = open_home(platform.home)
    platform.cli("project", "create", name)
    weights = home.models / "checkpoints" / CHECKPOINT
    maker = [sys.executable, "-m", "online_runtime.engine.models.tiny", str(weights)]
    subprocess.run(maker, check=True, capture_output=True, timeout=300)
    project = home.project(name)
    plugin = project.workstation.custom_nodes / "painter"
    (plugin / "web").mkdir(parents=True)
    (plugin / "__init__.py").write_text(PLUGIN)
    (plugin / "web" / "mark.js").write_text(SCRIPT)
    (plugin / "web" / "absolute.js").write_text(ABSOLUTE)
    (plugin / "web" / "words.js").write_text('export const words = "from its absolute path";\n')
    platform.cli("workstation", "start", name, "--cpu", limit_seconds=300)
    return project


def picture_workflow(steps: int = 6) -> dict[str, Any]:
    """A 64 by 64 picture in API format."""
    return {
        "1": _node("CheckpointLoaderSimple", ckpt_name=CHECKPOINT),
        "2": _node("CLIPTextEncode", text="a lighthouse at dusk", clip=["1", 1]),
        "3": _node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "4": _node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "5": _node(
            "KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], seed=7,
            steps=steps, cfg=4.0, sampler_name="euler", scheduler="normal", denoise=1.0,
        ),
        "6": _node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": _node("SaveImage", images=["6", 0], filename_prefix="lighthouse"),
    }  # fmt: skip


def faulty_workflow() -> dict[str, Any]:
    """One whose last node raises."""
    workflow = picture_workflow(1)
    return {**workflow, "7": _node("Faulty", picture=["6", 0])}


def _node(class_type: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
