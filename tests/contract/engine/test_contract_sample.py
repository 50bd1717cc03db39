"""The sample workflow that users know from their cloud's documentation: picture, animated WEBP and mp4.

Nodes, links and inputs are as published; only lengths (sides, frames, steps) are cut, so that it runs in
seconds without a GPU.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
FRAMES = 5
SHORTER = {
    "3": {"steps": 2},
    "5": {"width": 72, "height": 128},
    "13": {"steps": 2},
    "16": {"width": 64, "height": 96, "video_frames": FRAMES},
}
VIDEO_KINDS = {"svd_xt.safetensors": "--svd", "svd_xt_image_decoder.safetensors": "--svd-image-decoder"}


def published(name: str) -> dict:
    return json.loads((HERE / name).read_text())


def shortened(workflow: dict) -> dict:
    for node_id, inputs in SHORTER.items():
        workflow[node_id]["inputs"] |= inputs
    return workflow


@pytest.fixture(scope="session")
def sample_weights(engine) -> None:
    folder = engine.base / "models" / "checkpoints"
    tiny = [sys.executable, "-m", "online_runtime.engine.models.tiny"]
    subprocess.run([*tiny, str(folder / "LandscapeBING_v10.safetensors")], check=True, timeout=120)
    for name, kind in VIDEO_KINDS.items():
        subprocess.run([*tiny, str(folder / name), kind], check=True, timeout=120)


async def download(client, shown: dict) -> bytes:
    names = {key: shown[key] for key in ("filename", "subfolder", "type")}
    status, body = await client.get("/view", params=names)
    assert status == 200
    return body


@pytest.mark.parametrize("name", ["sample_workflow.json", "sample_workflow_older.json"])
async def test_the_sample_workflow_gives_a_picture_an_animated_webp_and_a_video(
    client, sample_weights, name: str
) -> None:
    import av

    entry = await client.run(shortened(published(name)))
    assert entry["status"]["status_str"] == "success", entry["status"]
    outputs = entry["outputs"]
    assert set(outputs) == {"9", "15", "19"}

    (picture,) = outputs["9"]["images"]
    assert set(picture) == {"filename", "subfolder", "type"} and picture["filename"].endswith(".png")
    assert Image.open(io.BytesIO(await download(client, picture))).size == (72, 128)

    (webp,) = outputs["15"]["images"]
    assert outputs["15"]["animated"] == [True] and webp["filename"].endswith(".webp")
    moving = Image.open(io.BytesIO(await download(client, webp)))
    moving.load()  # Pillow tells durations frame by frame
    # 1000 ms by 10.000000000000002 frames a second, whole milliseconds, as ComfyUI cuts them
    assert (moving.n_frames, moving.size) == (FRAMES, (64, 96)) and moving.info["duration"] in (99, 100)
    assert moving.getexif()[0x0110].startswith('prompt:{"3"')

    (video,) = outputs["19"]["gifs"]
    assert set(video) == {"filename", "subfolder", "type", "format"}
    assert video["format"] == "video/h264-mp4" and video["filename"].startswith("comfyUI_0000")
    with av.open(io.BytesIO(await download(client, video))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate)) == ("h264", 10.0)
        assert json.loads(container.metadata["prompt"])["18"]["class_type"] == "ImageOnlyCheckpointLoader"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert [frame.shape for frame in frames] == [(96, 64, 3)] * FRAMES
    assert frames[0].std() > 5 and abs(frames[0].astype(int) - frames[-1]).mean() > 1


async def test_every_file_of_the_sample_counts_on_and_a_repeated_call_gives_the_same_files(
    client, sample_weights
) -> None:
    first = await client.run(shortened(published("sample_workflow.json")))
    again = await client.run(shortened(published("sample_workflow.json")))
    assert again["outputs"] == first["outputs"]
    changed = shortened(published("sample_workflow.json"))
    changed["19"]["inputs"]["format"] = "image/gif"
    entry = await client.run(changed)
    (shown,) = entry["outputs"]["19"]["gifs"]
    assert (
        shown["format"] == "image/gif" and shown["filename"] != first["outputs"]["19"]["gifs"][0]["filename"]
    )
    assert Image.open(io.BytesIO(await download(client, shown))).n_frames == FRAMES


async def test_a_video_checkpoint_in_the_wrong_loader_is_told_with_the_right_one(client, sample_weights):
    workflow = shortened(published("sample_workflow.json"))
    workflow["4"]["inputs"]["ckpt_name"] = "svd_xt.safetensors"
    entry = await client.run(workflow)
    (told,) = [data for name, data in entry["status"]["messages"] if name == "execution_error"]
    assert "ImageOnlyCheckpointLoader" in told["exception_message"]
