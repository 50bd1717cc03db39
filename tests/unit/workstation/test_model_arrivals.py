"""Models that arrive: in parts, from URLs, cut off and going on."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workstation.arrivals.download import add_model
from workstation.arrivals.errors import (
    ArrivalInProgress,
    DownloadCutOff,
    DownloadFailed,
    ModelBytesWrong,
    ModelExists,
    ModelNameUnusable,
    NoRoomForModel,
    PartElsewhere,
    PartTooLong,
)
from workstation.arrivals.receiving import Arriving
from workstation.home import open_home
from workstation.layout import Home
from workstation.model_use import kinds_in_use, used_by
from workstation.models import list_models
from workstation.project import create_project

BYTES = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def arriving(home: Home, **more) -> Arriving:
    return Arriving(home, "loras", "style/a.safetensors", len(BYTES), **more)


def sent(model: Arriving, first: int, data: bytes) -> None:
    with model.part(first) as part:
        part.write(data)


def test_a_model_appears_when_its_last_part_came_and_not_before(home) -> None:
    model = arriving(home, sha256=SHA256)
    sent(model, 0, BYTES[:1000])
    assert (list_models(home), model.received_bytes()) == ([], 1000)
    sent(arriving(home, sha256=SHA256), 1000, BYTES[1000:])
    done = model.finish()
    assert (done.kind, done.name, done.size_bytes) == ("loras", "style/a.safetensors", len(BYTES))
    assert done.path.read_bytes() == BYTES
    assert [one.name for one in list_models(home)] == ["style/a.safetensors"]
    assert model.arrived() == done


def test_a_part_goes_on_only_where_the_bytes_end_and_zero_begins_anew(home) -> None:
    model = arriving(home)
    sent(model, 0, b"abc")
    with pytest.raises(PartElsewhere) as refused:
        sent(model, 2, b"x")
    assert refused.value.received_bytes == 3
    sent(model, 0, b"z")
    assert model.partial.read_bytes() == b"z"


def test_more_bytes_than_were_told_are_refused(home) -> None:
    model = Arriving(home, "vae", "small.safetensors", 4)
    with pytest.raises(PartTooLong):
        sent(model, 0, b"12345")


def test_bytes_of_another_digest_are_refused_and_thrown_away(home) -> None:
    model = arriving(home, sha256="0" * 64)
    sent(model, 0, BYTES)
    with pytest.raises(ModelBytesWrong) as wrong:
        model.finish()
    assert wrong.value.found == SHA256
    assert (model.received_bytes(), list_models(home)) == (0, [])


def test_another_file_is_replaced_only_when_asked(home) -> None:
    place = home.models / "loras" / "style" / "a.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"other")
    with pytest.raises(ModelExists):
        sent(arriving(home, sha256=SHA256), 0, BYTES)
    model = arriving(home, replace=True)
    sent(model, 0, BYTES)
    assert place.read_bytes() == b"other"
    model.finish()
    assert place.read_bytes() == BYTES


def test_two_who_send_the_same_do_not_mix(home) -> None:
    model = arriving(home)
    with model.part(0) as part:
        part.write(b"a")
        with pytest.raises(ArrivalInProgress):
            sent(arriving(home), 0, b"b")


def test_a_model_that_does_not_fit_is_refused_before_its_first_byte(home) -> None:
    with pytest.raises(NoRoomForModel):
        sent(Arriving(home, "vae", "huge.safetensors", 10**18), 0, b"a")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("loras", "../a.safetensors"),
        ("loras", "/etc/passwd"),
        ("loras", ".hidden"),
        ("loras", "a/../../b"),
        ("loras", ""),
        ("loras", "a\\b"),
        ("loras", "a\0b"),
        ("loras", "x" * 250),
        ("..", "a.safetensors"),
        ("a/b", "c"),
        ("", "a"),
        ("loras", "folder"),
    ],
)
def test_names_that_lead_out_or_cannot_be_are_refused(home, kind, name) -> None:
    (home.models / "loras" / "folder").mkdir(parents=True)
    with pytest.raises(ModelNameUnusable):
        Arriving(home, kind, name)


class _Files(http.server.BaseHTTPRequestHandler):
    """Serves BYTES with ranges; `cut` ends the first answer early, `etag` changes make another file."""

    cut: int | None = None
    etag = '"one"'
    asked: list[str | None]

    def do_GET(self) -> None:
        type(self).asked.append(self.headers.get("Range"))
        if self.path == "/gone":
            self.send_error(404)
            return
        first, status = 0, 200
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == self.etag:
            first, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
        self.send_response(status)
        self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(BYTES) - first))
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(BYTES) - 1}/{len(BYTES)}")
        self.end_headers()
        end = len(BYTES) if type(self).cut is None else type(self).cut
        type(self).cut = None
        self.wfile.write(BYTES[first:end])

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def files() -> Iterator[tuple[type[_Files], str]]:
    handler = type("Files", (_Files,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(home, files) -> None:
    handler, url = files
    handler.cut = 300_000
    with pytest.raises(DownloadCutOff) as cut:
        add_model(home, "checkpoints", f"{url}/big.safetensors", sha256=SHA256)
    assert cut.value.received_bytes == 300_000
    seen: list[int] = []
    done = add_model(
        home, "checkpoints", f"{url}/big.safetensors", sha256=SHA256, progress=lambda n, _: seen.append(n)
    )
    assert handler.asked == [None, "bytes=300000-"]
    assert (done.name, done.path.read_bytes(), seen[-1]) == ("big.safetensors", BYTES, len(BYTES))
    assert [one.name for one in done.path.parent.iterdir()] == ["big.safetensors"]
    assert add_model(home, "checkpoints", f"{url}/big.safetensors", sha256=SHA256) == done
    assert len(handler.asked) == 2


def test_a_file_that_changed_meanwhile_is_downloaded_anew(home, files) -> None:
    handler, url = files
    handler.cut = 1000
    with pytest.raises(DownloadCutOff):
        add_model(home, "vae", f"{url}/a.safetensors")
    handler.etag = '"two"'
    assert add_model(home, "vae", f"{url}/a.safetensors").path.read_bytes() == BYTES


@pytest.mark.parametrize(
    "source", ["{url}/gone", "http://127.0.0.1:1/a", "ftp://x/a", "/no/such/file", "http://"]
)
def test_a_source_that_does_not_give_it_is_told(home, files, source) -> None:
    with pytest.raises(DownloadFailed):
        add_model(home, "vae", source.format(url=files[1]), name="a.safetensors")
    assert list_models(home) == []


def test_a_file_of_this_machine_is_copied_whole(home, tmp_path) -> None:
    source = tmp_path / "mine.safetensors"
    source.write_bytes(BYTES)
    assert add_model(home, "loras", str(source)).path.read_bytes() == BYTES
    with pytest.raises(ModelBytesWrong):
        add_model(home, "loras", source.as_uri(), name="b.safetensors", sha256="1" * 64)


def test_workflows_that_name_a_model_are_listed_with_it_and_kinds_with_their_sizes(home) -> None:
    project = create_project(home, "studio")
    for kind, name in (("loras", "a.safetensors"), ("embeddings", "calm.pt"), ("vae", "b.safetensors")):
        (home.models / kind).mkdir(parents=True, exist_ok=True)
        (home.models / kind / name).write_bytes(b"1234")
    workflows = project.workstation.workflows
    (workflows / "deep").mkdir(parents=True, exist_ok=True)
    saved = {
        "nodes": [{"type": "LoraLoader", "widgets_values": ["a.safetensors", 1.0, "embedding:calm, sky"]}]
    }
    (workflows / "deep" / "one.json").write_text(json.dumps(saved))
    (workflows / "broken.json").write_text("{")
    models = list_models(home)
    assert used_by(home, models) == {
        ("loras", "a.safetensors"): ["studio: deep/one.json"],
        ("embeddings", "calm.pt"): ["studio: deep/one.json"],
    }
    kinds = {one.kind: (one.models, one.size_bytes) for one in kinds_in_use(models)}
    assert (kinds["loras"], kinds["checkpoints"]) == ((1, 4), (0, 0))
