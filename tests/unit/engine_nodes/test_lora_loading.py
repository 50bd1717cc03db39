"""LoRA files on top of the tiny weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from online_runtime.engine.models.errors import LoraUnusable, PickleRefused
from online_runtime.engine.nodes.loaders import CheckpointLoaderSimple, LoraLoader, LoraLoaderModelOnly

pytestmark = pytest.mark.slow

UNET_WEIGHT = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
TEXT_WEIGHT = "encoder.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def loaded(tiny: Path) -> tuple[Any, Any]:
    model, clip, _ = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    return model, clip


def predicted(model: Any) -> Any:
    import torch

    noisy = torch.ones(1, 4, 8, 8)
    return model.denoised(noisy, 3.0, torch.ones(1, 77, 32), {})


def save(base: Path, tensors: dict[str, Any]) -> str:
    from safetensors.torch import save_file

    save_file(tensors, base / "models/loras/made.safetensors")
    return "made.safetensors"


def pair(base: str, down: str = "lora_down", up: str = "lora_up", out: int = 32) -> dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(3)
    return {
        f"{base}.{down}.weight": torch.randn(2, 32, generator=generator),
        f"{base}.{up}.weight": torch.randn(out, 2, generator=generator),
    }


def difference(tensors: dict[str, Any], strength: float) -> Any:
    down, up = (next(t for n, t in tensors.items() if half in n) for half in ("down", "up"))
    return strength * (up @ down)


def test_a_kohya_lora_changes_pictures_and_texts_and_leaves_the_shared_weights(
    loaded: tuple[Any, Any],
) -> None:
    import torch

    model, clip = loaded
    before = {name: tensor.clone() for name, tensor in model.unet.module.state_dict().items()}
    plain, text = predicted(model), clip.encode("cat").tokens
    changed, changed_clip = LoraLoader().load_lora(model, clip, "tiny-lora.safetensors", 0.5, 0.5)
    assert len(changed.unet.changes) > 90 and len(changed_clip.encoders[0].network.changes) == 8
    assert not torch.allclose(predicted(changed), plain)
    assert not torch.allclose(changed_clip.encode("cat").tokens, text)
    assert torch.equal(predicted(model), plain) and torch.equal(clip.encode("cat").tokens, text)
    assert all(torch.equal(before[n], t) for n, t in model.unet.module.state_dict().items())


@pytest.mark.parametrize(
    ("module", "down", "up"),
    [
        ("lora_unet_" + UNET_WEIGHT.removesuffix(".weight").replace(".", "_"), "lora_down", "lora_up"),
        ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
        ("unet." + UNET_WEIGHT.removesuffix(".weight"), "lora_A", "lora_B"),
        ("unet." + UNET_WEIGHT.removesuffix(".weight"), "lora.down", "lora.up"),
        ("base_model.model." + UNET_WEIGHT.removesuffix(".weight"), "lora_A", "lora_B"),
        (
            "unet." + UNET_WEIGHT.removesuffix(".to_q.weight") + ".processor.to_q_lora",
            "down",
            "up",
        ),
    ],
)
def test_every_writing_of_a_lora_reaches_the_same_weight(
    tiny: Path, loaded: tuple[Any, Any], module: str, down: str, up: str
) -> None:
    import torch

    model, _ = loaded
    tensors = pair(module, down, up)
    (changed,) = LoraLoaderModelOnly().load_lora_model_only(model, save(tiny, tensors), 0.5)
    assert set(changed.unet.changes) == {UNET_WEIGHT}
    delta = changed.unet.changes[UNET_WEIGHT][0].difference(torch.Size([32, 32]))
    a, b = tensors.values()
    assert torch.allclose(delta, 0.5 * (b @ a))


@pytest.mark.parametrize(
    "prefix", ["lora_te_text_model_", "lora_te1_text_model_", "text_encoder.text_model."]
)
def test_text_encoder_changes_are_found_in_every_writing(
    tiny: Path, loaded: tuple[Any, Any], prefix: str
) -> None:
    name = TEXT_WEIGHT.removesuffix(".weight")
    module = prefix + (name if prefix.endswith(".") else name.replace(".", "_"))
    _, changed = LoraLoader().load_lora(*loaded, save(tiny, pair(module)), 1.0, 1.0)
    assert set(changed.encoders[0].network.changes) == {TEXT_WEIGHT}


def test_alpha_scales_a_lora_by_its_rank(tiny: Path, loaded: tuple[Any, Any]) -> None:
    import torch

    module = "lora_unet_" + UNET_WEIGHT.removesuffix(".weight").replace(".", "_")
    tensors = {**pair(module), f"{module}.alpha": torch.tensor(1.0)}
    changed, _ = LoraLoader().load_lora(*loaded, save(tiny, tensors), 1.0, 0.0)
    assert changed.unet.changes[UNET_WEIGHT][0].scale == pytest.approx(0.5)


def test_two_loras_add_up(loaded: tuple[Any, Any]) -> None:
    import torch

    model, clip = loaded
    once, _ = LoraLoader().load_lora(model, clip, "tiny-lora.safetensors", 0.5, 0)
    twice, _ = LoraLoader().load_lora(once, clip, "tiny-lora.safetensors", 0.5, 0)
    whole, _ = LoraLoader().load_lora(model, clip, "tiny-lora.safetensors", 1.0, 0)
    weights, expected = twice.unet._weights(), whole.unet._weights()
    assert all(torch.allclose(weights[name], expected[name], atol=1e-6) for name in expected)
    assert torch.allclose(predicted(twice), predicted(whole), atol=1e-3)
    assert not torch.allclose(predicted(once), predicted(whole), atol=1e-3)


def test_strength_zero_returns_what_was_given(loaded: tuple[Any, Any]) -> None:
    model, clip = loaded
    assert LoraLoader().load_lora(model, clip, "tiny-lora.safetensors", 0, 0) == (model, clip)


@pytest.mark.parametrize(
    ("name", "out", "word"),
    [
        ("lora_unet_somewhere_else", 32, "none of its 1 changes fits"),
        ("lora_unet_" + UNET_WEIGHT.removesuffix(".weight").replace(".", "_"), 64, "another shape"),
    ],
)
def test_a_lora_for_other_weights_is_an_error(
    tiny: Path, loaded: tuple[Any, Any], name: str, out: int, word: str
) -> None:
    with pytest.raises(LoraUnusable, match=word):
        LoraLoader().load_lora(*loaded, save(tiny, pair(name, out=out)), 1.0, 1.0)


def test_other_makes_and_pickles_are_refused_by_name(tiny: Path, loaded: tuple[Any, Any]) -> None:
    import torch

    with pytest.raises(LoraUnusable, match="LoHa"):
        LoraLoader().load_lora(*loaded, save(tiny, {"lora_unet_x.hada_w1_a": torch.zeros(1)}), 1.0, 1.0)
    (tiny / "models/loras/old.pt").write_bytes(b"x")
    with pytest.raises(PickleRefused):
        LoraLoader().load_lora(*loaded, "old.pt", 1.0, 1.0)


def test_what_fits_nothing_is_told_in_the_log(
    tiny: Path, loaded: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    good = pair("lora_unet_" + UNET_WEIGHT.removesuffix(".weight").replace(".", "_"))
    LoraLoader().load_lora(*loaded, save(tiny, {**good, **pair("lora_unet_elsewhere")}), 1.0, 1.0)
    assert "1 of its changes fit nothing here" in caplog.text and "lora_unet_elsewhere" in caplog.text
