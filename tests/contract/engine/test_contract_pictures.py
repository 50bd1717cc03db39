"""A picture from weights to PNG, through the door: the engine's own nodes on a tiny checkpoint."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def workflow(seed: int) -> dict:
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a (house:1.2)", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["4", 0],
                "seed": seed,
                "steps": 2,
                "cfg": 4.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "tiny"}},
    }


@pytest.fixture(scope="session")
def checkpoint(engine):
    path = engine.base / "models" / "checkpoints" / "tiny.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [sys.executable, "-m", "online_runtime.engine.models.tiny", str(path)]
    subprocess.run(made, check=True, timeout=120)
    return path


async def test_a_workflow_gives_a_picture_that_carries_it_with_previews_and_steps(client, checkpoint):
    entry = await client.run(workflow(1), extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
    assert entry["status"]["completed"], entry["status"]
    (image,) = entry["outputs"]["7"]["images"]
    _, body = await client.get("/view", params=image)
    picture = Image.open(io.BytesIO(body))
    assert picture.size == (64, 64)
    assert json.loads(picture.text["prompt"])["5"]["inputs"]["seed"] == 1
    assert json.loads(picture.text["workflow"]) == {"id": "w"}
    steps = [data["value"] for name, data in client.events if name == "progress" and data["node"] == "5"]
    assert steps == [1, 2]
    assert client.frames

    client.events.clear()
    await client.run(workflow(2))
    ran = [data["node"] for name, data in client.events if name == "executing" and data["node"]]
    assert ran == ["5", "6", "7"]


async def test_a_missing_checkpoint_is_told_before_anything_runs(client, checkpoint):
    prompt = workflow(1)
    prompt["1"]["inputs"]["ckpt_name"] = "none.safetensors"
    status, answer = await client.post("/prompt", {"prompt": prompt})
    assert (status, answer["node_errors"]["1"]["errors"][0]["type"]) == (400, "value_not_in_list")
