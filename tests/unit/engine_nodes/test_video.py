"""SVD on tiny weights, and the files that videos become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from online_runtime.engine.models.errors import ConditioningUnusable, UnknownFamily
from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS, encoding
from online_runtime.engine.nodes.errors import AudioUnusable, VideoLibraryMissing

pytestmark = pytest.mark.slow

FRAMES = 3


def call(name: str, *inputs: Any, **named: Any) -> Any:
    node = NODE_CLASS_MAPPINGS[name]()
    return getattr(node, node.FUNCTION)(*inputs, **named)


@pytest.fixture(scope="session")
def video_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    from online_runtime.engine.models.tiny_video import write_video_checkpoint

    folder = tmp_path_factory.mktemp("video")
    return {
        kind: write_video_checkpoint(folder / f"{kind}.safetensors", temporal=kind) for kind in (True, False)
    }


@pytest.fixture
def svd(base: Path, video_checkpoints: dict[bool, Path]) -> Any:
    (base / "models/checkpoints/svd.safetensors").hardlink_to(video_checkpoints[True])
    return call("ImageOnlyCheckpointLoader", "svd.safetensors")


@pytest.mark.parametrize("temporal", [True, False])
def test_a_file_in_svds_layout_loads_to_the_very_weights_it_was_written_from(
    video_checkpoints: dict[bool, Path], temporal: bool
) -> None:
    import torch

    from online_runtime.engine.models.tiny_video import make_video_parts
    from online_runtime.engine.models.video_loading import load_video_checkpoint

    loaded = load_video_checkpoint(video_checkpoints[temporal])
    networks = (loaded.model.unet.module, loaded.vision.network.module, loaded.vae.network)
    for network, original in zip(networks, make_video_parts(0, temporal), strict=True):
        weights = network.state_dict()
        for name, wanted in original.state_dict().items():
            assert "quant_conv" in name or torch.equal(weights[name], wanted), name
    assert loaded.vae.temporal is temporal


def conditioned(svd: Any, image: Any, augmentation: float = 0.0) -> Any:
    _, vision, vae = svd
    return call("SVD_img2vid_Conditioning", vision, image, vae, 64, 64, FRAMES, 127, 7, augmentation)


def test_the_model_is_asked_as_diffusers_pipeline_asks_it(svd: Any) -> None:
    """One call of the network by hand: scaled latent beside the unscaled first picture, rate minus one."""
    import math

    import torch

    model = svd[0]
    image = torch.rand(1, 80, 96, 3)
    positive, negative, latent = conditioned(svd, image)
    assert latent["samples"].shape == (FRAMES, 4, 8, 8) and not negative[0][0].any()
    context, options = positive[0]
    noisy, sigma = torch.randn(FRAMES, 4, 8, 8) * 20, 20.0
    given = model.denoised(
        noisy, sigma, context.expand(FRAMES, -1, -1), model.added(options, latent["samples"])
    )
    first = options["concat_latent_image"].expand(FRAMES, -1, -1, -1)
    videos = torch.cat([noisy / math.sqrt(sigma**2 + 1), first], 1)[None]
    with torch.no_grad():
        velocity = model.unet.module(
            videos, 0.25 * math.log(sigma), context, added_time_ids=torch.tensor([[6.0, 127.0, 0.0]]),
            return_dict=False,
        )[0][0]  # fmt: skip
    expected = noisy / (sigma**2 + 1) - velocity * sigma / math.sqrt(sigma**2 + 1)
    assert torch.allclose(given, expected, atol=1e-4)


def test_guidance_grows_from_frame_to_frame(svd: Any) -> None:
    import torch

    wanted, unwanted = torch.ones(5, 4, 2, 2), torch.zeros(5, 4, 2, 2)
    (linear,) = call("VideoLinearCFGGuidance", svd[0], 1.0)
    scales = linear.rule(wanted, unwanted, 3.0, wanted, 1.0)[:, 0, 0, 0]
    assert scales.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    (triangle,) = call("VideoTriangleCFGGuidance", svd[0], 1.0)
    scales = triangle.rule(wanted, unwanted, 3.0, wanted, 1.0)[:, 0, 0, 0]
    assert scales.tolist() == [1.0, 2.0, 3.0, 2.0, 1.0]


def test_a_video_is_the_same_for_equal_inputs_and_another_for_another_picture(svd: Any) -> None:
    import torch

    (guided,) = call("VideoLinearCFGGuidance", svd[0], 1.0)

    def video(image: Any) -> Any:
        positive, negative, latent = conditioned(svd, image, augmentation=0.2)
        (solved,) = call(
            "KSampler", guided, seed=3, steps=2, cfg=2.5, sampler_name="euler_ancestral", scheduler="karras",
            positive=positive, negative=negative, latent_image=latent,
        )  # fmt: skip
        return call("VAEDecode", svd[2], solved)[0]

    image = torch.rand(1, 64, 64, 3)
    frames = video(image)
    assert frames.shape == (FRAMES, 64, 64, 3) and bool(frames.isfinite().all())
    assert torch.equal(frames, video(image)) and not torch.allclose(frames, video(1 - image))
    assert not torch.allclose(frames[0], frames[1], atol=1e-2)


def test_conditioning_of_texts_is_refused_by_a_video_model_and_the_wrong_loader_named(
    svd: Any, tiny_checkpoint: Path, base: Path
) -> None:
    import torch

    text = [[torch.zeros(1, 77, 32), {}]]
    with pytest.raises(ConditioningUnusable, match="SVD_img2vid_Conditioning"):
        call(
            "KSampler", svd[0], seed=3, steps=1, cfg=2.5, sampler_name="euler", scheduler="karras",
            positive=text, negative=text, latent_image={"samples": torch.zeros(FRAMES, 4, 8, 8)},
        )  # fmt: skip
    (base / "models/checkpoints/tiny.safetensors").hardlink_to(tiny_checkpoint)
    with pytest.raises(UnknownFamily, match="CheckpointLoaderSimple"):
        call("ImageOnlyCheckpointLoader", "tiny.safetensors")


def combined(**changes: Any) -> Any:
    import torch

    # Each frame has one brightness, so that its place can be read in the video.
    images = torch.linspace(0.1, 0.9, 4).reshape(4, 1, 1, 1).expand(4, 33, 50, 3).clone()
    inputs = {"frame_rate": 12.5, "loop_count": 0, "filename_prefix": "clips/x", "format": "video/h264-mp4",
              "pingpong": False, "save_output": True}  # fmt: skip
    return call("VHS_VideoCombine", images, **{**inputs, **changes})


def decoded(base: Path, answer: Any) -> tuple[Any, list[int]]:
    """The video stream's facts and each frame's brightness in tenths."""
    import av

    (shown,) = answer["ui"]["gifs"]
    with av.open(str(base / shown["type"] / shown["subfolder"] / shown["filename"])) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        facts = (float(stream.average_rate), frames[0].shape, len(container.streams.audio))
    return facts, [round(float(frame.mean()) / 25.5) for frame in frames]


def test_a_video_has_its_frames_rate_and_even_sides(base: Path) -> None:
    answer = combined()
    assert answer["ui"]["gifs"] == [
        {"filename": "x_00001.mp4", "subfolder": "clips", "type": "output", "format": "video/h264-mp4"}
    ]
    assert decoded(base, answer) == ((12.5, (34, 50, 3), 0), [1, 4, 6, 9])
    again = combined(save_output=False)
    assert again["ui"]["gifs"][0]["type"] == "temp" and again["result"][0][0] is False
    assert [path.name for path in (base / "output/clips").iterdir()] == ["x_00001.mp4"]


def test_a_video_goes_back_and_repeats(base: Path) -> None:
    assert decoded(base, combined(pingpong=True))[1] == [1, 4, 6, 9, 6, 4]
    assert decoded(base, combined(loop_count=1))[1] == [1, 4, 6, 9] * 2


def test_sound_goes_into_a_video_and_nowhere_else(base: Path) -> None:
    import torch

    audio = {"waveform": torch.rand(1, 2, 2000) - 0.5, "sample_rate": 16000}
    facts, frames = decoded(base, combined(audio=audio, trim_to_audio=True))
    assert facts[2] == 1 and len(frames) == 2
    with pytest.raises(AudioUnusable, match="image/gif"):
        combined(audio=audio, format="image/gif")
    with pytest.raises(AudioUnusable):
        combined(audio={"waveform": torch.rand(1, 9, 10), "sample_rate": 16000})
    assert [path.suffix for path in (base / "output/clips").iterdir()] == [".mp4"], "no half file stays"


def test_without_the_library_its_name_is_told(base: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(encoding.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VideoLibraryMissing, match="package av"):
        combined()


def test_the_packs_own_node_takes_the_place_of_ours(base: Path) -> None:
    from online_runtime.engine.registry import BUILTIN, NodeRegistry

    class Theirs:
        pass

    registry = NodeRegistry()
    registry.add(BUILTIN, dict(NODE_CLASS_MAPPINGS), {})
    registry.add("custom_nodes.pack", {"VHS_VideoCombine": Theirs, "KSampler": Theirs}, {})
    assert registry.classes["VHS_VideoCombine"] is Theirs
    assert registry.classes["KSampler"] is NODE_CLASS_MAPPINGS["KSampler"]


def test_a_vae_alone_in_diffusers_own_layout_is_the_same_vae(base: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from online_runtime.engine.models.tiny import make_parts

    _, _, vae = make_parts(0)
    tensors = {name.replace("to_q", "query"): tensor.clone() for name, tensor in vae.state_dict().items()}
    save_file(tensors, base / "models/vae/own.safetensors")
    (loaded,) = call("VAELoader", "own.safetensors")
    latent = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        expected = ((vae.decode(latent, return_dict=False)[0] + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(loaded.decode(latent), expected, atol=1e-6)
