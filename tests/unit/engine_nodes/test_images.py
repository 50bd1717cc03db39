"""Nodes on pictures and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from online_runtime.engine.errors import PathOutside
from online_runtime.engine.nodes.errors import ImagesUnlike, ImageUnreadable
from online_runtime.engine.nodes.image import EmptyImage, ImageBatch, ImageInvert, ImageScale, ImageScaleBy
from online_runtime.engine.nodes.image_files import LoadImage, LoadImageMask, PreviewImage, SaveImage

pytestmark = pytest.mark.slow

PROMPT = {"1": {"class_type": "SaveImage", "inputs": {"text": "grün 猫"}}}


def pictures(count: int = 1, width: int = 12, height: int = 8) -> Any:
    import torch

    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(1))


def test_saved_pictures_count_on_and_hold_the_prompt_and_the_workflow(base: Path) -> None:
    saved = SaveImage().save_images(pictures(2), "sub/pic", PROMPT, {"workflow": {"nodes": []}})
    expected = [{"filename": f"pic_0000{n}_.png", "subfolder": "sub", "type": "output"} for n in (1, 2)]
    assert saved == {"ui": {"images": expected}}
    with Image.open(base / "output/sub/pic_00001_.png") as file:
        assert file.size == (12, 8) and file.format == "PNG"
        assert json.loads(file.text["prompt"]) == PROMPT
        assert json.loads(file.text["workflow"]) == {"nodes": []}
    again = SaveImage().save_images(pictures(), "sub/pic")
    assert again["ui"]["images"][0]["filename"] == "pic_00003_.png"
    assert not list((base / "output/sub").glob(".*"))


def test_a_saved_picture_is_read_back_as_it_was(base: Path) -> None:
    import torch

    original = (pictures() * 255).floor() / 255
    SaveImage().save_images(original, "pic")
    loaded, mask = LoadImage().load_image("pic_00001_.png [output]")
    assert loaded.dtype == torch.float32 and torch.allclose(loaded, original, atol=1 / 255 + 1e-6)
    assert mask.shape == (1, 64, 64) and not mask.any()


def test_a_prefix_that_leads_out_of_the_output_folder_is_refused(base: Path) -> None:
    with pytest.raises(PathOutside):
        SaveImage().save_images(pictures(), "../pic")
    assert not list(base.rglob("*.png"))


def test_previews_go_to_temp_under_a_name_of_their_own(base: Path) -> None:
    one, two = (PreviewImage().save_images(pictures())["ui"]["images"][0] for _ in range(2))
    assert one["type"] == "temp" and one["filename"] != two["filename"]
    assert (base / "temp" / one["filename"]).is_file()


def test_transparency_becomes_the_mask(base: Path) -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 255, 51))
    image.save(base / "input/a.png")
    pixels, mask = LoadImage().load_image("a.png")
    assert pixels.tolist() == [[[[1, 0, 0], [0, 0, 1]]]]
    assert mask[0, 0].tolist() == pytest.approx([0, 0.8])
    assert LoadImageMask().load_image("a.png", "alpha")[0][0, 0].tolist() == pytest.approx([0, 0.8])
    assert LoadImageMask().load_image("a.png", "blue")[0].tolist() == [[[0, 1]]]


def test_all_frames_of_an_animation_become_a_batch(base: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "green", "blue")]
    frames[0].save(base / "input/a.gif", save_all=True, append_images=frames[1:])
    pixels, mask = LoadImage().load_image("a.gif")
    assert pixels.shape == (3, 4, 4, 3) and mask.shape[0] == 3


def test_a_picture_lies_as_its_camera_was_held(base: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 2)).save(base / "input/a.jpg", exif=exif)
    assert LoadImage().load_image("a.jpg")[0].shape == (1, 6, 2, 3)


def test_a_picture_of_16_bits_keeps_its_brightness(base: Path) -> None:
    Image.new("I;16", (2, 2), 32896).save(base / "input/a.png")
    assert LoadImage().load_image("a.png")[0].mean().item() == pytest.approx(0.5, abs=0.01)


def test_a_file_that_is_no_picture_is_named(base: Path) -> None:
    (base / "input/a.png").write_bytes(b"hello")
    with pytest.raises(ImageUnreadable, match=r"a\.png"):
        LoadImage().load_image("a.png")


def test_a_missing_picture_fails_validation_and_a_name_may_not_lead_out(base: Path) -> None:
    assert "gone.png" in str(LoadImage.VALIDATE_INPUTS("gone.png"))
    with pytest.raises(PathOutside):
        LoadImage.VALIDATE_INPUTS("../secret.png")


def test_a_picture_counts_as_changed_when_its_bytes_change(base: Path) -> None:
    path = base / "input/a.png"
    path.write_bytes(b"one")
    first = LoadImage.IS_CHANGED("a.png")
    path.touch()
    assert LoadImage.IS_CHANGED("a.png") == first
    path.write_bytes(b"two")
    assert LoadImage.IS_CHANGED("a.png") != first


def test_only_pictures_are_offered_for_loading(base: Path) -> None:
    for name in ("b.png", "a.webp", "c.txt"):
        (base / "input" / name).write_bytes(b"")
    assert LoadImage.INPUT_TYPES()["required"]["image"][0] == ["a.webp", "b.png"]


def test_an_empty_image_has_its_colour() -> None:
    (image,) = EmptyImage().generate(3, 2, 2, 0xFF8000)
    assert image.shape == (2, 2, 3, 3)
    assert image[1, 1, 2].tolist() == pytest.approx([1.0, 128 / 255, 0.0])


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_pictures_are_scaled_by_every_method(method: str) -> None:
    (image,) = EmptyImage().generate(12, 8, 1, 0x808080)
    (scaled,) = ImageScale().upscale(image, method, 6, 6, "center")
    assert scaled.shape == (1, 6, 6, 3)
    assert scaled.mean().item() == pytest.approx(128 / 255, abs=1e-3)


def test_a_side_of_zero_follows_from_the_other() -> None:
    image = pictures()
    assert ImageScale().upscale(image, "bilinear", 24, 0, "disabled")[0].shape == (1, 16, 24, 3)
    assert ImageScale().upscale(image, "bilinear", 0, 0, "disabled")[0] is image
    assert ImageScaleBy().upscale(image, "bilinear", 0.5)[0].shape == (1, 4, 6, 3)


def test_cropping_to_the_middle_cuts_instead_of_stretching() -> None:
    import torch

    image = torch.zeros(1, 4, 12, 3)
    image[:, :, 4:8] = 1
    (square,) = ImageScale().upscale(image, "nearest-exact", 4, 4, "center")
    assert bool((square == 1).all())


def test_inverting_and_batching() -> None:
    import torch

    image = pictures()
    assert torch.equal(ImageInvert().invert(image)[0], 1 - image)
    assert ImageBatch().batch(image, pictures(2, 20, 20))[0].shape == (3, 8, 12, 3)
    assert ImageBatch().batch(image, torch.rand(1, 8, 12, 4))[0].shape == (2, 8, 12, 4)
    with pytest.raises(ImagesUnlike, match="the other 1"):
        ImageBatch().batch(image, torch.rand(1, 8, 12, 1))
