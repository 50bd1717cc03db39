"""What ComfyUI's own nodes compute, seen through PNGs: pictures, masks and texts of known values."""

from __future__ import annotations

import io
import uuid

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

MASK_SIZE = (64, 48)


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def solid(colour: int, width=64, height=48, count=1):
    return node("EmptyImage", width=width, height=height, batch_size=count, color=colour)


async def shown(client, prompt, last: str) -> list[Image.Image]:
    """The pictures that output 0 of node `last` gives."""
    prompt = prompt | {"save": node("SaveImage", images=[last, 0], filename_prefix=uuid.uuid4().hex)}
    entry = await client.run(prompt)
    assert entry["status"]["status_str"] == "success", entry["status"]
    pictures = []
    for image in entry["outputs"]["save"]["images"]:
        status, body = await client.get("/view", params=image)
        assert status == 200
        pictures.append(Image.open(io.BytesIO(body)))
    return pictures


async def one(client, prompt, last: str) -> Image.Image:
    (picture,) = await shown(client, prompt, last)
    return picture


async def mask_picture(client, prompt, last: str) -> Image.Image:
    """A mask as a picture, white where it is 1."""
    return (await one(client, prompt | {"as": node("MaskToImage", mask=[last, 0])}, "as")).convert("L")


def mask(value: float):
    return node("SolidMask", value=value, width=MASK_SIZE[0], height=MASK_SIZE[1])


def near(pixel, expected, tolerance=1) -> bool:
    pixel = pixel if isinstance(pixel, tuple) else (pixel,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, expected, strict=True))


@pytest.mark.parametrize("colour", [0x000000, 0xFF8040, 0xFFFFFF])
async def test_a_flat_picture_has_its_colour(client, colour):
    picture = await one(client, {"1": solid(colour)}, "1")
    assert (picture.mode, picture.size) == ("RGB", (64, 48))
    assert picture.getpixel((5, 7)) == (colour >> 16, (colour >> 8) & 255, colour & 255)


async def test_a_batch_is_saved_as_pictures_that_count_on(client):
    assert len(await shown(client, {"1": solid(0x102030, count=3)}, "1")) == 3


async def test_inverting(client):
    picture = await one(client, {"1": solid(0xFF8040), "2": node("ImageInvert", image=["1", 0])}, "2")
    assert near(picture.getpixel((0, 0)), (0, 127, 191))


async def test_batching_scales_the_second_to_the_first(client):
    prompt = {
        "1": solid(0xFF0000),
        "2": solid(0x0000FF, width=32, height=32),
        "3": node("ImageBatch", image1=["1", 0], image2=["2", 0]),
    }
    first, second = await shown(client, prompt, "3")
    assert (first.size, second.size) == ((64, 48), (64, 48))
    assert (first.getpixel((0, 0)), second.getpixel((63, 47))) == ((255, 0, 0), (0, 0, 255))


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
async def test_scaling_by_every_method_keeps_a_flat_colour(client, method):
    scaled = node("ImageScale", image=["1", 0], upscale_method=method, width=40, height=30, crop="disabled")
    picture = await one(client, {"1": solid(0x336699), "2": scaled}, "2")
    assert picture.size == (40, 30)
    assert near(picture.getpixel((20, 15)), (0x33, 0x66, 0x99))


@pytest.mark.parametrize(
    ("width", "height", "size"), [(32, 0, (32, 24)), (0, 96, (128, 96)), (0, 0, (64, 48))]
)
async def test_a_side_of_zero_follows_from_the_other(client, width, height, size):
    scaled = node(
        "ImageScale", image=["1", 0], upscale_method="bilinear", width=width, height=height, crop="disabled"
    )
    assert (await one(client, {"1": solid(0x336699), "2": scaled}, "2")).size == size


async def test_scaling_by_a_factor(client):
    scaled = node("ImageScaleBy", image=["1", 0], upscale_method="nearest-exact", scale_by=1.5)
    assert (await one(client, {"1": solid(0x336699), "2": scaled}, "2")).size == (96, 72)


async def test_cropping_a_picture(client):
    cropped = node("ImageCrop", image=["1", 0], width=20, height=10, x=50, y=40)
    assert (await one(client, {"1": solid(0x336699), "2": cropped}, "2")).size == (14, 8)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("normal", 0xCC),
        ("multiply", 0x66),
        ("screen", 0xE6),
        ("overlay", 0xCC),
        ("soft_light", 0x9F),
        ("difference", 0x00),
    ],
)
async def test_blending_two_pictures(client, mode, expected):
    prompt = {
        "1": solid(0x808080),
        "2": solid(0xCCCCCC),
        "3": node("ImageBlend", image1=["1", 0], image2=["2", 0], blend_factor=1.0, blend_mode=mode),
    }
    assert near((await one(client, prompt, "3")).getpixel((3, 3))[0], expected, tolerance=2)


@pytest.mark.parametrize(("kind", "inputs"), [("ImageBlur", {}), ("ImageSharpen", {"alpha": 1.0})])
async def test_an_effect_of_radius_leaves_a_flat_picture_as_it_is(client, kind, inputs):
    effect = node(kind, image=["1", 0], sigma=1.0, **{f"{kind[5:].lower()}_radius": 2}, **inputs)
    picture = await one(client, {"1": solid(0x336699), "2": effect}, "2")
    assert near(picture.getpixel((30, 20)), (0x33, 0x66, 0x99))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
async def test_a_mask_as_a_picture(client, value):
    picture = await mask_picture(client, {"1": mask(value)}, "1")
    assert picture.size == MASK_SIZE
    assert near(picture.getpixel((1, 1)), int(value * 255))


async def test_an_inverted_mask(client):
    picture = await mask_picture(client, {"1": mask(0.25), "2": node("InvertMask", mask=["1", 0])}, "2")
    assert near(picture.getpixel((0, 0)), 191)


@pytest.mark.parametrize(("channel", "expected"), [("red", 0xFF), ("green", 0x80), ("blue", 0x40)])
async def test_a_channel_as_a_mask(client, channel, expected):
    prompt = {"1": solid(0xFF8040), "2": node("ImageToMask", image=["1", 0], channel=channel)}
    assert near((await mask_picture(client, prompt, "2")).getpixel((0, 0)), expected)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.3), ("add", 1.0), ("subtract", 0.1), ("and", 1.0), ("or", 1.0), ("xor", 0.0)],
)
async def test_two_masks_are_joined_where_they_overlap(client, operation, expected):
    joined = node("MaskComposite", destination=["1", 0], source=["2", 0], x=32, y=24, operation=operation)
    picture = await mask_picture(client, {"1": mask(0.6), "2": mask(0.501), "3": joined}, "3")
    assert near(picture.getpixel((40, 30)), round(expected * 255), tolerance=2)
    assert near(picture.getpixel((10, 10)), 153)


async def test_a_mask_feathered_from_the_left_and_the_top(client):
    feathered = node("FeatherMask", mask=["1", 0], left=4, top=2, right=0, bottom=0)
    picture = await mask_picture(client, {"1": mask(1.0), "2": feathered}, "2")
    assert near(tuple(picture.getpixel((x, 30)) for x in range(5)), (63, 127, 191, 255, 255))
    assert near(tuple(picture.getpixel((30, y)) for y in range(3)), (127, 255, 255))


async def test_a_mask_feathered_from_the_right_and_the_bottom(client):
    feathered = node("FeatherMask", mask=["1", 0], left=0, top=0, right=4, bottom=2)
    picture = await mask_picture(client, {"1": mask(1.0), "2": feathered}, "2")
    assert near(tuple(picture.getpixel((63 - x, 20)) for x in range(5)), (63, 127, 191, 255, 255))
    assert near(tuple(picture.getpixel((30, 47 - y)) for y in range(3)), (127, 255, 255))


@pytest.mark.parametrize(("tapered", "corner"), [(True, 0), (False, 255)])
async def test_a_grown_mask(client, tapered, corner):
    prompt = {
        "1": mask(0.0),
        "2": node("SolidMask", value=1.0, width=4, height=4),
        "3": node("MaskComposite", destination=["1", 0], source=["2", 0], x=30, y=20, operation="add"),
        "4": node("GrowMask", mask=["3", 0], expand=2, tapered_corners=tapered),
    }
    picture = await mask_picture(client, prompt, "4")
    assert [picture.getpixel(at) for at in ((30, 18), (28, 20), (30, 17), (28, 18))] == [255, 255, 0, corner]


async def test_a_cropped_mask(client):
    cropped = node("CropMask", mask=["1", 0], x=10, y=10, width=20, height=5)
    assert (await mask_picture(client, {"1": mask(1.0), "2": cropped}, "2")).size == (20, 5)


async def test_a_picture_laid_on_another_where_the_mask_is(client):
    prompt = {
        "1": solid(0xFF0000),
        "2": solid(0x0000FF, width=16, height=16),
        "3": node("SolidMask", value=0.5, width=16, height=16),
        "4": node(
            "ImageCompositeMasked",
            destination=["1", 0],
            source=["2", 0],
            mask=["3", 0],
            x=8,
            y=8,
            resize_source=False,
        ),
    }
    picture = await one(client, prompt, "4")
    assert near(picture.getpixel((10, 10)), (127, 0, 127))
    assert picture.getpixel((30, 30)) == (255, 0, 0)


async def test_padding_for_outpainting_gives_a_picture_and_its_mask(client):
    padded = node("ImagePadForOutpaint", image=["1", 0], left=8, top=0, right=0, bottom=16, feathering=0)
    picture = await one(client, {"1": solid(0xFF0000), "2": padded}, "2")
    assert picture.size == (72, 64)
    assert picture.getpixel((8, 0)) == (255, 0, 0)
    assert near(picture.getpixel((2, 2)), (127, 127, 127))


async def upload(client, picture: Image.Image) -> str:
    import aiohttp

    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    form = aiohttp.FormData()
    form.add_field("image", buffer.getvalue(), filename=f"{uuid.uuid4().hex}.png")
    async with client.session.post("/upload/image", data=form) as answer:
        return (await answer.json())["name"]


async def test_an_uploaded_picture_is_loaded_and_its_transparency_is_the_mask(client):
    source = Image.new("RGBA", (8, 8), (10, 200, 30, 255))
    source.putpixel((2, 3), (10, 200, 30, 0))
    name = await upload(client, source)
    picture = await one(client, {"1": node("LoadImage", image=name)}, "1")
    assert picture.getpixel((0, 0)) == (10, 200, 30)
    seen = await mask_picture(client, {"1": node("LoadImageMask", image=name, channel="alpha")}, "1")
    assert (seen.getpixel((2, 3)), seen.getpixel((0, 0))) == (255, 0)


async def test_a_picture_that_is_not_there_is_refused_before_anything_runs(client):
    prompt = {"1": node("LoadImage", image="no-such.png"), "2": node("PreviewImage", images=["1", 0])}
    status, answer = await client.post("/prompt", {"prompt": prompt})
    assert status == 400
    (error,) = answer["node_errors"]["1"]["errors"]
    assert (error["type"], error["extra_info"]["input_name"]) == ("custom_validation_failed", "image")


async def test_a_preview_goes_to_temp(client):
    entry = await client.run({"1": solid(0x010203), "2": node("PreviewImage", images=["1", 0])})
    (image,) = entry["outputs"]["2"]["images"]
    assert image["type"] == "temp"
    assert (await client.get("/view", params=image))[0] == 200


@pytest.mark.parametrize("kind", ["SaveAnimatedWEBP", "SaveAnimatedPNG"])
async def test_an_animation_has_its_frames(client, kind):
    prefix = uuid.uuid4().hex
    inputs = {"images": ["1", 0], "filename_prefix": prefix, "fps": 5.0}
    if kind == "SaveAnimatedWEBP":
        inputs |= {"lossless": True, "quality": 80, "method": "default"}
    else:
        inputs |= {"compress_level": 4}
    prompt = {
        "a": solid(0xFF0000),
        "b": solid(0x00FF00),
        "1": node("ImageBatch", image1=["a", 0], image2=["b", 0]),
        "2": node(kind, **inputs),
    }
    entry = await client.run(prompt)
    assert entry["outputs"]["2"]["animated"] == [True]
    (image,) = entry["outputs"]["2"]["images"]
    _, body = await client.get("/view", params=image)
    moving = Image.open(io.BytesIO(body))
    assert moving.n_frames == 2


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("PrimitiveString", "word"),
        ("PrimitiveStringMultiline", "two\nlines"),
        ("PrimitiveInt", 7),
        ("PrimitiveFloat", 0.25),
        ("PrimitiveBoolean", True),
    ],
)
async def test_a_primitive_gives_its_value(client, kind, value):
    prompt = {"1": node(kind, value=value), "2": node("RuleShow", value=["1", 0])}
    assert (await client.run(prompt))["outputs"]["2"]["value"] == [value]


async def test_a_saved_picture_carries_prompt_and_workflow(client):
    import json

    prompt = {"1": solid(0x111111), "2": node("SaveImage", images=["1", 0], filename_prefix="meta")}
    entry = await client.run(prompt, extra_data={"extra_pnginfo": {"workflow": {"id": "w", "é": 1}}})
    (image,) = entry["outputs"]["2"]["images"]
    _, body = await client.get("/view", params=image)
    text = Image.open(io.BytesIO(body)).text
    assert json.loads(text["prompt"]) == prompt
    assert json.loads(text["workflow"]) == {"id": "w", "é": 1}


async def test_a_prefix_may_name_a_folder_and_the_size(client):
    mark = uuid.uuid4().hex
    prefix = f"{mark}/%width%x%height%"
    prompt = {"1": solid(0x111111), "2": node("SaveImage", images=["1", 0], filename_prefix=prefix)}
    (image,) = (await client.run(prompt))["outputs"]["2"]["images"]
    assert (image["subfolder"], image["filename"]) == (mark, "64x48_00001_.png")


async def test_a_prefix_that_leads_out_fails(client):
    prompt = {"1": solid(0x111111), "2": node("SaveImage", images=["1", 0], filename_prefix="../../up")}
    assert (await client.run(prompt))["status"]["status_str"] == "error"
