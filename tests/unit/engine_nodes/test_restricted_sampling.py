"""Texts that count in a part of the picture or the run, runs put together from parts, ControlNets, tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from online_runtime.engine.models.errors import ConditioningUnusable
from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow


def call(name: str, *inputs: Any, **named: Any) -> Any:
    node = NODE_CLASS_MAPPINGS[name]()
    return getattr(node, node.FUNCTION)(*inputs, **named)


@pytest.fixture
def parts(tiny: Path) -> tuple[Any, ...]:
    """MODEL, VAE, two texts and the empty one."""
    model, clip, vae = call("CheckpointLoaderSimple", "tiny.safetensors")
    texts = [call("CLIPTextEncode", clip, text)[0] for text in ("a red cat", "the sea at night", "")]
    return model, vae, *texts


def sampled(model: Any, positive: Any, negative: Any, steps: int = 2, **changes: Any) -> Any:
    (latent,) = call("EmptyLatentImage", 128, 64, 1)
    inputs = {"cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", **changes}
    return call(
        "KSampler",
        model,
        seed=7,
        steps=steps,
        positive=positive,
        negative=negative,
        latent_image=latent,
        **inputs,
    )[0]["samples"]


def test_a_text_outside_of_its_time_counts_nothing_and_within_it_all(parts: Any) -> None:
    import torch

    model, _, cat, sea, empty = parts
    early = call("ConditioningSetTimestepRange", sea, 0.0, 0.5)[0]
    late = call("ConditioningSetTimestepRange", cat, 0.5, 1.0)[0]
    (both,) = call("ConditioningCombine", early, late)
    whole = call("ConditioningSetTimestepRange", cat, 0.0, 1.0)[0]
    assert torch.equal(sampled(model, whole, empty), sampled(model, cat, empty))
    mixed = sampled(model, both, empty, steps=4)
    assert not torch.allclose(mixed, sampled(model, cat, empty, steps=4))
    assert not torch.allclose(mixed, sampled(model, sea, empty, steps=4))


def test_a_mask_gives_each_half_its_own_text(parts: Any) -> None:
    """One step: there each cell's noise is guided by its own text alone."""
    import torch

    model, _, cat, sea, empty = parts
    left = torch.zeros(1, 64, 128)
    left[:, :, :64] = 1
    halves = call(
        "ConditioningCombine",
        call("ConditioningSetMask", cat, left, "default", 1.0)[0],
        call("ConditioningSetMask", sea, 1 - left, "default", 1.0)[0],
    )[0]
    mixed = sampled(model, halves, empty, steps=1)
    only_cat, only_sea = (sampled(model, text, empty, steps=1) for text in (cat, sea))
    assert torch.allclose(mixed[..., :8], only_cat[..., :8], atol=1e-4)
    assert torch.allclose(mixed[..., 8:], only_sea[..., 8:], atol=1e-4)
    assert not torch.allclose(only_cat, only_sea, atol=1e-3)


def test_an_area_changes_its_place_only_and_one_outside_of_the_picture_is_refused(parts: Any) -> None:
    import torch

    model, _, cat, sea, empty = parts
    right = call("ConditioningSetArea", sea, 64, 64, 64, 0, 1.0)[0]
    share = call("ConditioningSetAreaPercentage", sea, 0.5, 1.0, 0.5, 0.0, 1.0)[0]
    both, same = (call("ConditioningCombine", cat, area)[0] for area in (right, share))
    mixed, plain = (sampled(model, text, empty, steps=1) for text in (both, cat))
    assert torch.allclose(mixed[..., :8], plain[..., :8], atol=1e-4)
    assert not torch.allclose(mixed[..., 8:], plain[..., 8:], atol=1e-3)
    assert torch.equal(mixed, sampled(model, same, empty, steps=1))
    outside = call("ConditioningSetArea", sea, 64, 64, 512, 0, 1.0)[0]
    with pytest.raises(ConditioningUnusable, match="outside"):
        sampled(model, outside, empty)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_sde"])
def test_a_run_put_together_from_parts_is_ksamplers(parts: Any, sampler: str) -> None:
    import torch

    model, _, cat, _, empty = parts
    expected = sampled(model, cat, empty, steps=3, sampler_name=sampler, scheduler="karras")
    (latent,) = call("EmptyLatentImage", 128, 64, 1)
    (solver,), (levels,) = call("KSamplerSelect", sampler), call("BasicScheduler", model, "karras", 3, 1.0)
    (own,) = call("KarrasScheduler", 3, model.noise.highest, model.noise.lowest, 7.0)
    assert torch.allclose(own, levels)
    custom, clean = call("SamplerCustom", model, True, 7, 4.0, cat, empty, solver, levels, latent)
    # Levels pass between nodes in 32 bits, inside of KSampler in 64.
    assert torch.allclose(custom["samples"], expected, rtol=1e-3, atol=1e-2)
    assert clean["samples"].shape == expected.shape
    (guider,), (noise,) = call("CFGGuider", model, cat, empty, 4.0), call("RandomNoise", 7)
    advanced, _ = call("SamplerCustomAdvanced", noise, guider, solver, levels, latent)
    assert torch.equal(advanced["samples"], custom["samples"])


def test_a_run_in_two_parts_without_new_noise_is_the_whole_run(parts: Any) -> None:
    import torch

    model, _, cat, _, empty = parts
    (latent,) = call("EmptyLatentImage", 128, 64, 1)
    (solver,), (levels,) = call("KSamplerSelect", "euler"), call("BasicScheduler", model, "normal", 4, 1.0)
    (guider,) = call("CFGGuider", model, cat, empty, 4.0)
    high, low = call("SplitSigmas", levels, 2)
    half, _ = call("SamplerCustomAdvanced", call("RandomNoise", 7)[0], guider, solver, high, latent)
    rest, _ = call("SamplerCustomAdvanced", call("DisableNoise")[0], guider, solver, low, half)
    assert torch.allclose(rest["samples"], sampled(model, cat, empty, steps=4), atol=1e-4)


def test_models_can_be_told_what_their_output_means_and_how_to_be_guided(parts: Any) -> None:
    import torch

    model, _, cat, _, empty = parts
    plain = sampled(model, cat, empty)
    (told,) = call("ModelSamplingDiscrete", model, "eps", False)
    assert torch.equal(sampled(told, cat, empty), plain)
    for kind in ("v_prediction", "lcm", "x0"):
        (other,) = call("ModelSamplingDiscrete", model, kind, False)
        changed = sampled(other, cat, empty, sampler_name="lcm" if kind == "lcm" else "euler")
        assert bool(changed.isfinite().all()) and not torch.allclose(changed, plain)
    (none,) = call("RescaleCFG", model, 0.0)
    assert torch.allclose(sampled(none, cat, empty), plain, atol=1e-3)
    (full,) = call("RescaleCFG", model, 1.0)
    assert sampled(full, cat, empty, cfg=15.0).std() < sampled(model, cat, empty, cfg=15.0).std()


def control_file(folder: Path, checkpoint_layout: bool) -> Path:
    """A random ControlNet for the tiny checkpoint, in one of the two layouts."""
    import torch
    from diffusers import ControlNetModel
    from safetensors.torch import save_file

    from online_runtime.engine.models.control_shape import _own_names
    from online_runtime.engine.models.renaming import inverted, renamed
    from online_runtime.engine.models.tiny import _unet_shape

    shape = _unet_shape()
    config = shape.diffusers(None)
    del config["up_block_types"], config["out_channels"]
    torch.manual_seed(5)
    net = ControlNetModel(**config, conditioning_embedding_out_channels=(16, 32, 96, 256))
    for name, weight in net.named_parameters():
        if name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(weight, std=0.1)  # published ones begin with zeros, and learn
    tensors = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    if checkpoint_layout:
        table = inverted(shape.prefixes() | _own_names(shape))
        tensors = {f"control_model.{renamed(name, table)}": tensor for name, tensor in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"control-{checkpoint_layout}.safetensors"
    save_file(tensors, path)
    return path


def test_a_control_net_steers_by_its_picture_in_both_layouts(parts: Any, tiny: Path) -> None:
    import torch

    model, _, cat, _, empty = parts
    folder = tiny / "models/controlnet"
    nets = [call("ControlNetLoader", control_file(folder, kind).name)[0] for kind in (True, False)]
    picture = torch.rand(1, 64, 128, 3)
    plain = sampled(model, cat, empty)
    steered = [
        sampled(model, *call("ControlNetApplyAdvanced", cat, empty, net, picture, 1.0, 0.0, 1.0))
        for net in nets
    ]
    assert torch.equal(*steered) and not torch.allclose(steered[0], plain, atol=1e-3)
    other = call("ControlNetApplyAdvanced", cat, empty, nets[0], 1 - picture, 1.0, 0.0, 1.0)
    assert not torch.allclose(sampled(model, *other), steered[0], atol=1e-3)
    (simple,) = call("ControlNetApply", cat, nets[0], picture, 1.0)
    assert torch.allclose(sampled(model, simple, empty), steered[0], rtol=1e-3, atol=1e-2)
    never = call("ControlNetApplyAdvanced", cat, empty, nets[0], picture, 0.0, 0.0, 1.0)
    assert torch.equal(sampled(model, *never), plain)


def test_large_pictures_go_through_the_vae_square_by_square(parts: Any) -> None:
    import torch

    _, vae, *_ = parts
    latent = {"samples": torch.randn(1, 4, 12, 20)}
    (whole,) = call("VAEDecode", vae, latent)
    (small,) = call("VAEDecodeTiled", vae, latent, 512, 64)
    assert torch.equal(whole, small)
    (tiled,) = call("VAEDecodeTiled", vae, latent, 64, 16)
    assert tiled.shape == whole.shape == (1, 96, 160, 3)
    # The tiny weights look at the whole picture, so that squares differ; seams would differ far more.
    assert float((tiled - whole).abs().mean()) < 0.25
    (encoded,) = call("VAEEncodeTiled", vae, whole, 64, 32)
    assert encoded["samples"].shape == (1, 4, 12, 20)


def test_an_upscaler_without_its_library_is_an_error_that_names_it(tiny: Path, monkeypatch: Any) -> None:
    from online_runtime.engine.nodes import upscaling
    from online_runtime.engine.nodes.errors import UpscalerLibraryMissing

    monkeypatch.setattr(upscaling.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UpscalerLibraryMissing, match="spandrel"):
        call("UpscaleModelLoader", "any.safetensors")
