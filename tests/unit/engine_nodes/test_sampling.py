"""KSampler and its kin on the tiny weights, against a loop written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from online_runtime.engine import progress
from online_runtime.engine.errors import Interrupted
from online_runtime.engine.models.errors import ConditioningUnusable, LatentUnusable, SamplerUnavailable
from online_runtime.engine.nodes.conditioning import (
    CLIPSetLastLayer,
    CLIPTextEncode,
    ConditioningAverage,
    ConditioningCombine,
    ConditioningConcat,
    ConditioningZeroOut,
)
from online_runtime.engine.nodes.latent import (
    EmptyLatentImage,
    LatentUpscale,
    SetLatentNoiseMask,
    VAEDecode,
    VAEEncode,
    VAEEncodeForInpaint,
)
from online_runtime.engine.nodes.loaders import CheckpointLoaderSimple
from online_runtime.engine.nodes.sampling import KSampler, KSamplerAdvanced

pytestmark = pytest.mark.slow

Parts = tuple[Any, Any, Any, Any, Any]


@pytest.fixture
def parts(tiny: Path) -> Parts:
    """MODEL, CLIP, VAE, a positive and a negative conditioning."""
    model, clip, vae = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    (positive,) = CLIPTextEncode().encode(clip, "a red cat")
    (negative,) = CLIPTextEncode().encode(clip, "")
    return model, clip, vae, positive, negative


def empty(batch: int = 1) -> dict[str, Any]:
    return EmptyLatentImage().generate(64, 64, batch)[0]


def run(parts: Parts, latent: dict[str, Any] | None = None, **changes: Any) -> Any:
    model, _, _, positive, negative = parts
    inputs = {
        "seed": 42, "steps": 3, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal",
        "positive": positive, "negative": negative, "latent_image": latent or empty(), **changes,
    }  # fmt: skip
    return KSampler().sample(model, **inputs)[0]["samples"]


def reference_euler(unet: Any, positive: Any, negative: Any, steps: int, cfg: float, seed: int) -> Any:
    """Euler's method over the published schedule, written out; nothing of the engine is used."""
    import torch

    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    signal = torch.cumprod(1 - betas, 0)
    trained = ((1 - signal) / signal).sqrt()
    sigmas = []
    for time in torch.linspace(999, 0, steps, dtype=torch.float64):
        low, high = int(time.floor()), int(time.ceil())
        part = float(time) - low
        sigmas.append(math.exp((1 - part) * math.log(trained[low]) + part * math.log(trained[high])))
    sigmas.append(0.0)
    torch.manual_seed(seed)
    x = torch.randn(1, 4, 8, 8) * math.sqrt(1 + sigmas[0] ** 2)
    with torch.no_grad():
        for now, following in pairwise(sigmas):
            time = (trained.log() - math.log(now)).abs().argmin()
            scaled = x / math.sqrt(now**2 + 1)
            wanted = unet(scaled, time, positive, return_dict=False)[0]
            unwanted = unet(scaled, time, negative, return_dict=False)[0]
            x = x + (unwanted + cfg * (wanted - unwanted)) * (following - now)
    return x / 0.18215


def test_euler_gives_what_a_loop_written_by_hand_gives(parts: Parts) -> None:
    import torch

    from online_runtime.engine.models.tiny import make_parts

    unet, _, _ = make_parts(0)
    _, _, _, positive, negative = parts
    expected = reference_euler(unet, positive[0][0], negative[0][0], steps=5, cfg=4.0, seed=42)
    given = run(parts, steps=5)
    assert float((given - expected).abs().max()) < 1e-3 * float(expected.std())
    assert not torch.allclose(given, run(parts, steps=5, cfg=5.0))


def test_equal_inputs_give_equal_latents_and_another_seed_another(parts: Parts) -> None:
    import torch

    torch.manual_seed(1)
    first = run(parts, sampler_name="euler_ancestral")
    torch.manual_seed(2)
    assert torch.equal(first, run(parts, sampler_name="euler_ancestral"))
    assert not torch.allclose(first, run(parts, sampler_name="euler_ancestral", seed=43))


def test_the_largest_seed_works(parts: Parts) -> None:
    run(parts, seed=2**64 - 1, steps=1)


def test_without_denoising_the_latent_stays_as_it_was(parts: Parts) -> None:
    import torch

    latent = {"samples": torch.randn(1, 4, 8, 8)}
    assert torch.equal(run(parts, latent, denoise=0.0), latent["samples"])


def test_a_little_denoising_stays_nearer_to_the_latent_than_much(parts: Parts) -> None:
    import torch

    latent = {"samples": torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))}
    little, much = (run(parts, latent, denoise=d, cfg=1.0) for d in (0.1, 0.9))
    distance = [float((given - latent["samples"]).abs().mean()) for given in (little, much)]
    assert distance[0] < distance[1]


def test_two_nodes_that_share_the_steps_give_what_one_gives(parts: Parts) -> None:
    import torch

    model, _, _, positive, negative = parts
    advanced = {
        "noise_seed": 42, "steps": 4, "cfg": 4.0, "sampler_name": "euler", "scheduler": "karras",
        "positive": positive, "negative": negative,
    }  # fmt: skip
    (half,) = KSamplerAdvanced().sample(
        model, "enable", latent_image=empty(), start_at_step=0, end_at_step=2,
        return_with_leftover_noise="enable", **advanced,
    )  # fmt: skip
    (whole,) = KSamplerAdvanced().sample(
        model, "disable", latent_image=half, start_at_step=2, end_at_step=10000,
        return_with_leftover_noise="disable", **advanced,
    )  # fmt: skip
    assert torch.allclose(whole["samples"], run(parts, steps=4, scheduler="karras"), rtol=1e-4, atol=1e-2)
    assert not torch.allclose(whole["samples"], half["samples"])


def test_a_mask_keeps_the_latent_where_it_is_zero(parts: Parts) -> None:
    import torch

    samples = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    (masked,) = SetLatentNoiseMask().set_mask({"samples": samples}, mask)
    given = run(parts, masked)
    assert torch.allclose(given[..., :4], samples[..., :4], atol=1e-5)
    assert not torch.allclose(given[..., 4:], samples[..., 4:], atol=0.1)


def test_each_step_is_told_with_a_preview_when_one_is_wanted(parts: Parts) -> None:
    watching = Watching(wants_previews=True)
    with_progress(watching, lambda: run(parts, steps=3))
    assert [told[:2] for told in watching.told] == [(1, 3), (2, 3), (3, 3)]
    assert all(preview.size == (8, 8) for _, _, preview in watching.told)
    silent = Watching(wants_previews=False)
    with_progress(silent, lambda: run(parts, steps=2))
    assert [told[2] for told in silent.told] == [None, None]


def test_an_interrupt_ends_the_run_at_the_next_step(parts: Parts) -> None:
    watching = Watching(wants_previews=False, interrupt_after=2)
    with pytest.raises(Interrupted):
        with_progress(watching, lambda: run(parts, steps=50))
    assert len(watching.told) == 2


class Watching:
    """A progress that remembers what it was told."""

    def __init__(self, wants_previews: bool, interrupt_after: int | None = None) -> None:
        self.wants_previews = wants_previews
        self.told: list[tuple[int, int, Any]] = []
        self._interrupt_after = interrupt_after

    def update(self, value: int, total: int, preview: Any = None) -> None:
        self.told.append((value, total, preview))

    def check_interrupted(self) -> None:
        if self._interrupt_after is not None and len(self.told) >= self._interrupt_after:
            raise Interrupted


def with_progress(watching: Watching, call: Callable[[], object]) -> None:
    token = progress.use(watching)
    try:
        call()
    finally:
        progress.restore(token)


def test_texts_of_different_length_guide_together(parts: Parts) -> None:
    import torch

    _, _, _, positive, negative = parts
    (long,) = ConditioningConcat().concat(positive, negative)
    assert long[0][0].shape == (1, 154, 32)
    assert torch.isfinite(run(parts, positive=long)).all()


def test_combined_conditionings_count_as_their_mean(parts: Parts) -> None:
    import torch

    _, _, _, positive, _ = parts
    (both,) = ConditioningCombine().combine(positive, positive)
    assert torch.allclose(run(parts, positive=both), run(parts), rtol=1e-3, atol=1e-2)


def test_mixing_and_zeroing_conditionings(parts: Parts) -> None:
    import torch

    _, _, _, positive, negative = parts
    (mixed,) = ConditioningAverage().addWeighted(positive, negative, 0.25)
    assert torch.allclose(mixed[0][0], positive[0][0] * 0.25 + negative[0][0] * 0.75)
    (zero,) = ConditioningZeroOut().zero_out(positive)
    assert not zero[0][0].any() and not zero[0][1]["pooled_output"].any() and positive[0][0].any()


def test_a_weight_of_zero_makes_a_word_count_as_nothing(parts: Parts) -> None:
    import torch

    _, clip, _, _, negative = parts
    nothing = negative[0][0]
    assert torch.allclose(clip.encode("(cat:0)").tokens[:, :4], nothing[:, :4], atol=1e-5)
    plain, strong = clip.encode("a cat").tokens, clip.encode("a (cat:1.5)").tokens
    assert torch.allclose(plain[:, :2], strong[:, :2])
    assert torch.allclose((strong - nothing)[:, 2], (plain - nothing)[:, 2] * 1.5, atol=1e-5)


def test_stopping_at_an_earlier_layer_changes_the_text_and_not_the_clip_given(parts: Parts) -> None:
    import torch

    _, clip, _, positive, _ = parts
    (stopped,) = CLIPSetLastLayer().set_last_layer(clip, -2)
    assert not torch.allclose(stopped.encode("a red cat").tokens, positive[0][0])
    assert torch.equal(clip.encode("a red cat").tokens, positive[0][0])


def test_what_cannot_be_honoured_is_refused_before_the_first_step(parts: Parts) -> None:
    import torch

    watching = Watching(wants_previews=False)
    unknown = [[parts[3][0][0], {"gligen": object()}]]
    wide = [[torch.zeros(1, 77, 768), {}]]
    for error, word, changes in (
        (SamplerUnavailable, "dpm_adaptive", {"sampler_name": "dpm_adaptive"}),
        (ConditioningUnusable, "gligen", {"positive": unknown}),
        (ConditioningUnusable, "different families", {"negative": wide}),
        (ConditioningUnusable, "empty", {"positive": []}),
        (LatentUnusable, "16", {"latent": {"samples": torch.zeros(1, 16, 8, 8)}}),
    ):
        with pytest.raises(error, match=word):
            with_progress(watching, lambda changes=changes: run(parts, **changes))
    assert not watching.told


def test_a_batch_samples_each_picture_from_its_own_noise(parts: Parts) -> None:
    import torch

    samples = run(parts, empty(2))
    assert samples.shape == (2, 4, 8, 8) and not torch.allclose(samples[0], samples[1])


def test_pictures_go_through_the_vae_and_back(parts: Parts) -> None:
    import torch

    _, _, vae, _, _ = parts
    pixels = torch.rand(2, 70, 65, 3)
    (latent,) = VAEEncode().encode(vae, pixels)
    assert latent["samples"].shape == (2, 4, 8, 8)
    assert torch.equal(latent["samples"], VAEEncode().encode(vae, pixels)[0]["samples"])
    (pictures,) = VAEDecode().decode(vae, latent)
    assert pictures.shape == (2, 64, 64, 3) and pictures.dtype == torch.float32
    assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    with pytest.raises(LatentUnusable, match="smaller than one latent"):
        VAEEncode().encode(vae, torch.rand(1, 4, 64, 3))


def test_inpainting_greys_what_is_painted_and_grows_its_mask(parts: Parts) -> None:
    import torch

    _, _, vae, _, _ = parts
    mask = torch.zeros(1, 64, 64)
    mask[:, 24:40, 24:40] = 1
    (latent,) = VAEEncodeForInpaint().encode(vae, torch.rand(1, 64, 64, 3), mask, 6)
    grown = latent["noise_mask"]
    assert grown.shape == (1, 1, 64, 64) and int(grown.sum()) == (16 + 6) ** 2
    assert torch.isfinite(run(parts, latent)).all()


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])
def test_latents_are_resized_and_then_sampled(parts: Parts, method: str) -> None:
    import torch

    latent = {"samples": torch.randn(1, 4, 8, 8)}
    (larger,) = LatentUpscale().upscale(latent, method, 128, 96, "center")
    assert larger["samples"].shape == (1, 4, 12, 16) and torch.isfinite(larger["samples"]).all()
    assert latent["samples"].shape == (1, 4, 8, 8)


def test_bislerp_keeps_the_length_of_latent_vectors() -> None:
    import torch

    latent = torch.nn.functional.normalize(torch.randn(1, 4, 8, 8), dim=1)
    (larger,) = LatentUpscale().upscale({"samples": latent}, "bislerp", 128, 128, "disabled")
    assert torch.allclose(larger["samples"].norm(dim=1), torch.ones(1, 16, 16), atol=1e-4)
