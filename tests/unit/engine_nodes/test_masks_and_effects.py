"""Masks, effects on pictures and edits of latents, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS
from online_runtime.engine.nodes.__main__ import table

pytestmark = pytest.mark.slow


def call(name: str, *inputs: Any, **named: Any) -> Any:
    node = NODE_CLASS_MAPPINGS[name]()
    return getattr(node, node.FUNCTION)(*inputs, **named)


def test_masks_become_pictures_and_channels_become_masks() -> None:
    import torch

    (mask,) = call("SolidMask", 0.25, 3, 2)
    assert mask.shape == (1, 2, 3) and bool((mask == 0.25).all())
    (image,) = call("MaskToImage", mask)
    assert image.shape == (1, 2, 3, 3)
    image[..., 1] = 0.5
    assert float(call("ImageToMask", image, "green")[0][0, 0, 0]) == 0.5
    assert float(call("ImageToMask", image, "alpha")[0][0, 0, 0]) == 1.0
    assert torch.equal(call("InvertMask", mask)[0], 1 - mask)
    assert call("CropMask", mask, 1, 0, 5, 1)[0].shape == (1, 1, 2)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.3), ("add", 1.0), ("subtract", 0.1), ("and", 1.0), ("or", 1.0), ("xor", 0.0)],
)
def test_masks_are_joined_in_the_place_asked_for_and_nowhere_else(operation: str, expected: float) -> None:
    under, upper = call("SolidMask", 0.6, 4, 4)[0], call("SolidMask", 0.5001, 4, 4)[0]
    (joined,) = call("MaskComposite", under, upper, 2, 2, operation)
    assert float(joined[0, 3, 3]) == pytest.approx(expected, abs=1e-3)
    assert float(joined[0, 0, 0]) == pytest.approx(0.6) and joined.shape == (1, 4, 4)


def test_a_mask_grows_to_a_diamond_or_a_square_and_shrinks_back() -> None:
    import torch

    dot = torch.zeros(1, 7, 7)
    dot[0, 3, 3] = 1
    (diamond,) = call("GrowMask", dot, 2, True)
    assert int(diamond.sum()) == 13
    (square,) = call("GrowMask", dot, 2, False)
    assert int(square.sum()) == 25
    assert torch.equal(call("GrowMask", square, -2, False)[0], dot)


def test_a_feathered_mask_rises_from_the_edges_that_were_named() -> None:
    (mask,) = call("FeatherMask", call("SolidMask", 1.0, 6, 4)[0], 2, 0, 0, 4)
    assert mask[0, 0].tolist() == [0.5, 1, 1, 1, 1, 1]
    assert mask[0, :, 5].tolist() == [1, 0.75, 0.5, 0.25]


def test_crop_and_padding_for_outpainting() -> None:
    import torch

    image = torch.rand(1, 8, 10, 3)
    (part,) = call("ImageCrop", image, 4, 3, 2, 1)
    assert torch.equal(part, image[:, 1:4, 2:6])
    padded, mask = call("ImagePadForOutpaint", image, 0, 0, 8, 0, 3)
    assert padded.shape == (1, 8, 18, 3) and torch.equal(padded[:, :, :10], image)
    assert bool((mask[0, :, 10:] == 1).all()) and float(mask[0, 4, 0]) == 0
    assert float(mask[0, 4, 9]) == pytest.approx((2 / 3) ** 2)


def test_a_blur_keeps_flat_colours_and_the_sum_and_sharpening_is_its_opposite() -> None:
    import torch

    flat = torch.full((1, 9, 9, 3), 0.3)
    assert torch.allclose(call("ImageBlur", flat, 3, 1.0)[0], flat, atol=1e-6)
    dot = torch.zeros(1, 15, 15, 3)
    dot[0, 7, 7] = 1
    (blurred,) = call("ImageBlur", dot, 2, 1.0)
    assert float(blurred.sum()) == pytest.approx(3, abs=1e-4) and float(blurred.max()) < 0.2
    edge = torch.full((1, 9, 9, 1), 0.4)
    edge[:, :, 5:] = 0.6
    (sharp,) = call("ImageSharpen", edge, 1, 1.0, 0.1)
    assert float(sharp[0, 4, 5]) > 0.6 and float(sharp[0, 4, 4]) < 0.4


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("normal", 0.8), ("multiply", 0.4), ("screen", 0.9), ("overlay", 0.8), ("difference", 0.0)],
)
def test_blending_by_formula(mode: str, expected: float) -> None:
    import torch

    one, other = torch.full((1, 2, 2, 3), 0.5), torch.full((1, 2, 2, 3), 0.8)
    (mixed,) = call("ImageBlend", one, other, 1.0, mode)
    assert float(mixed[0, 0, 0, 0]) == pytest.approx(expected, abs=1e-6)
    assert torch.equal(call("ImageBlend", one, other, 0.0, mode)[0], one)


def test_a_picture_is_laid_on_another_where_the_mask_is() -> None:
    import torch

    under, upper = torch.zeros(2, 6, 6, 3), torch.ones(1, 4, 4, 3)
    mask = torch.zeros(1, 4, 4)
    mask[:, :, 2:] = 1
    (mixed,) = call("ImageCompositeMasked", under, upper, 3, 3, False, mask)
    assert float(mixed.sum()) == 2 * 3 * 3 * 1
    assert float(mixed[1, 5, 5, 0]) == 1 and float(mixed[1, 5, 4, 0]) == 0


def test_latents_are_counted_turned_cut_and_mixed() -> None:
    import torch

    samples = torch.arange(2 * 4 * 8 * 12, dtype=torch.float32).reshape(2, 4, 8, 12)
    latent = {"samples": samples, "noise_mask": torch.rand(2, 1, 64, 96)}
    (repeated,) = call("RepeatLatentBatch", latent, 3)
    assert repeated["samples"].shape[0] == repeated["noise_mask"].shape[0] == 6
    (one,) = call("LatentFromBatch", latent, 1, 5)
    assert torch.equal(one["samples"], samples[1:]) and one["noise_mask"].shape[0] == 1
    (turned,) = call("LatentRotate", latent, "90 degrees")
    assert turned["samples"].shape == (2, 4, 12, 8)
    assert float(turned["samples"][0, 0, 0, -1]) == float(samples[0, 0, 0, 0]), "clockwise"
    assert torch.equal(call("LatentFlip", latent, "y-axis: horizontally")[0]["samples"], samples.flip(3))
    (part,) = call("LatentCrop", latent, 64, 64, 64, 0)
    assert torch.equal(part["samples"], samples[:, :, :, 4:])
    (mixed,) = call("LatentBlend", latent, {"samples": samples * 0}, 0.25)
    assert torch.equal(mixed["samples"], samples * 0.25)
    upper = {"samples": torch.ones(1, 4, 4, 4)}
    (laid,) = call("LatentComposite", {"samples": samples * 0}, upper, 16, 8, 0)
    assert float(laid["samples"].sum()) == 2 * 4 * 16 and float(laid["samples"][0, 0, 1, 2]) == 1


def test_the_list_of_nodes_names_each_class_and_what_it_does() -> None:
    rows = table().splitlines()[2:]
    assert len(rows) == len(NODE_CLASS_MAPPINGS)
    assert all(row.split("|")[3].strip() for row in rows)
