"""Bad input that the builtin engine answers with a sentence and survives; ComfyUI is not asked."""

from __future__ import annotations

import io
import os
import threading
import uuid
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("STILLFRAME_CONTRACT_ENGINE" in os.environ, reason="about the builtin engine"),
]

BOMB_SIDE = 20_000  # 400 megapixels, one bit each: 50 KB as a file


@pytest.fixture(scope="module")
def bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (BOMB_SIDE, BOMB_SIDE)).save(buffer, "PNG")
    return buffer.getvalue()


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


async def uploaded(client, content: bytes, path="/upload/image", **fields) -> tuple[int, dict]:
    form = aiohttp.FormData()
    form.add_field("image", content, filename=f"{uuid.uuid4().hex}.png")
    for key, value in fields.items():
        form.add_field(key, value)
    async with client.session.post(path, data=form) as answer:
        return answer.status, await answer.json()


async def error_of(client, prompt) -> str:
    entry = await client.run(prompt)
    assert entry["status"]["status_str"] == "error", entry["status"]
    return entry["status"]["messages"][-1][1]["exception_message"]


async def test_a_picture_of_400_megapixels_is_stored_but_never_opened(client, bomb) -> None:
    status, stored = await uploaded(client, bomb)
    assert status == 200
    prompt = {"1": node("LoadImage", image=stored["name"]), "2": node("PreviewImage", images=["1", 0])}
    assert "cannot be read as a picture" in await error_of(client, prompt)
    query = {"filename": stored["name"], "type": "input"}
    for more in ({"preview": "webp"}, {"channel": "rgb"}, {"channel": "a"}):
        status, body = await client.get("/view", params=query | more)
        assert (status, b"cannot be read as a picture" in body) == (400, True)
    ref = f'{{"filename": "{stored["name"]}", "type": "input"}}'
    small = io.BytesIO()
    Image.new("RGBA", (4, 4)).save(small, "PNG")
    assert (await uploaded(client, small.getvalue(), "/upload/mask", original_ref=ref))[0] == 400
    assert (await client.json("/prompt"))["exec_info"]["queue_remaining"] == 0


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
async def test_a_file_that_is_no_picture_is_said_so(client, content) -> None:
    _, stored = await uploaded(client, content)
    status, _ = await client.get(
        "/view", params={"filename": stored["name"], "type": "input", "preview": "webp"}
    )
    assert status == 400
    prompt = {"1": node("LoadImage", image=stored["name"]), "2": node("PreviewImage", images=["1", 0])}
    assert "cannot be read as a picture" in await error_of(client, prompt)


async def test_values_that_are_no_numbers_are_not_written_as_a_picture(client) -> None:
    prompt = {
        "1": node("RuleNaN"),
        "2": node("PreviewImage", images=["1", 0]),
    }
    assert "no numbers (NaN)" in await error_of(client, prompt)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it has 0 bytes"),
        (b"\xff" * 64, "does not begin with the length of a header"),
        (b"\x10\0\0\0\0\0\0\0" + b"{" * 16, "header is not JSON"),
    ],
)
async def test_a_damaged_checkpoint_fails_its_prompt_with_what_was_found(
    client, engine, content, says
) -> None:
    name = f"{uuid.uuid4().hex}.safetensors"
    folder = engine.base / "models" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    prompt = {
        "1": node("CheckpointLoaderSimple", ckpt_name=name),
        "2": node("CLIPTextEncode", text="a", clip=["1", 1]),
        "3": node("RuleShow", value=["2", 0]),
    }
    assert says in await error_of(client, prompt)


async def test_a_pickle_fails_its_prompt_without_being_read(client, engine, tmp_path) -> None:
    folder = engine.base / "models" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    trap = f"cposix\nsystem\n(S'touch {tmp_path / 'ran'}'\ntR."
    (folder / "trap.ckpt").write_text(trap)
    prompt = {
        "1": node("CheckpointLoaderSimple", ckpt_name="trap.ckpt"),
        "3": node("RuleShow", value=["1", 0]),
    }
    assert "pickle" in await error_of(client, prompt)
    assert not (tmp_path / "ran").exists()


def test_a_plugin_that_does_not_come_back_is_named_while_it_blocks(tmp_path, monkeypatch, caplog) -> None:
    from online_runtime.engine import plugins
    from online_runtime.engine.folders import Folders
    from online_runtime.engine.registry import NodeRegistry

    monkeypatch.setattr(plugins, "SLOW_SECONDS", 0.2)
    release = tmp_path / "release"
    pack = tmp_path / "custom_nodes" / "sleeper"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text(
        "import os, time\n"
        f"while not os.path.exists({str(release)!r}):\n    time.sleep(0.01)\n"
        "NODE_CLASS_MAPPINGS = {}\n"
    )
    named = threading.Event()

    class Listener(plugins.logging.Handler):
        def emit(self, record) -> None:
            # the first looks may find it before its loop, on a busy machine
            if "is not imported after" in (told := record.getMessage()) and "time.sleep(0.01)" in told:
                named.text = told
                named.set()
                Path(release).touch()

    listener = Listener()
    plugins.log.addHandler(listener)
    try:
        (loaded,) = plugins.load_all(Folders.below(tmp_path), NodeRegistry())
    finally:
        plugins.log.removeHandler(listener)
    assert loaded.success and named.is_set()
    assert str(pack) in named.text
