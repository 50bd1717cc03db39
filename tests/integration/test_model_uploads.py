"""Uploading models through the REST door, in parts, cut off, and by people without the right."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.integration.test_api_door import door

__all__ = ["door"]
pytestmark = pytest.mark.slow

BYTES = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BYTES).hexdigest()


def put(door, name: str, first: int, last: int, query: str = "", total: int = len(BYTES)):
    part = {"Content-Range": f"bytes {first}-{last - 1}/{total}", "Content-Type": "application/octet-stream"}
    return door.ask("PUT", f"/api/v1/models/files/loras/{name}{query}", BYTES[first:last], **part)


def test_a_model_in_parts_is_listed_when_it_is_whole(door) -> None:
    name = "deep/parts.safetensors"
    answer = put(door, name, 0, 1000)
    assert (answer.status, answer.json["received_bytes"]) == (202, 1000)
    assert door.ask("GET", f"/api/v1/models/uploads/loras/{name}").json["received_bytes"] == 1000
    elsewhere = put(door, name, 5000, 6000)
    assert elsewhere.status == 409 and "go on from byte 1000" in elsewhere.json["detail"]
    done = put(door, name, 1000, len(BYTES), f"?sha256={SHA256}")
    assert (done.status, done.json["size_bytes"]) == (200, len(BYTES))
    assert (door.home / "models" / "loras" / name).read_bytes() == BYTES
    listed = {one["name"]: one for one in door.ask("GET", "/api/v1/models").json}
    assert listed[name]["used_by"] == []
    assert put(door, name, 0, 1000).status == 409
    assert put(door, name, 0, len(BYTES), f"?sha256={SHA256}").status == 200


def test_a_connection_that_is_cut_keeps_what_came(door) -> None:
    name = "cut.safetensors"
    host = urlsplit(door.url)
    secret = base64.b64encode(f"admin:{door.password}".encode()).decode()
    head = (
        f"PUT /api/v1/models/files/loras/{name} HTTP/1.1\r\nHost: {host.netloc}\r\n"
        f"Authorization: Basic {secret}\r\nContent-Length: {len(BYTES)}\r\n\r\n"
    )
    with socket.create_connection((host.hostname, host.port), timeout=30) as connection:
        connection.sendall(head.encode() + BYTES[:50_000])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    received = door.ask("GET", f"/api/v1/models/uploads/loras/{name}").json["received_bytes"]
    assert 0 <= received <= 50_000
    assert put(door, name, received, len(BYTES), f"?sha256={SHA256}").status == 200


def test_a_wrong_digest_keeps_nothing_and_an_upload_is_given_up(door) -> None:
    wrong = put(door, "wrong.safetensors", 0, len(BYTES), f"?sha256={'0' * 64}")
    assert (wrong.status, SHA256 in wrong.json["detail"]) == (422, True)
    put(door, "left.safetensors", 0, 10)
    assert door.ask("DELETE", "/api/v1/models/uploads/loras/left.safetensors").status == 204
    assert door.ask("GET", "/api/v1/models/uploads/loras/left.safetensors").json["received_bytes"] == 0


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("loras/%2e%2e/%2e%2e/x.safetensors", {}),
        ("loras/.hidden", {}),
        ("loras/a.safetensors", {"Content-Range": "bytes 5-1/9"}),
        ("loras/a.safetensors", {"Content-Range": "all of it"}),
    ],
)
def test_what_cannot_be_a_model_is_refused(door, path, headers) -> None:
    assert door.ask("PUT", f"/api/v1/models/files/{path}", b"abc", **headers).status == 422


def test_nobody_uploads_without_signing_in(door) -> None:
    answer = door.ask("PUT", "/api/v1/models/files/loras/a.safetensors", b"abc", Authorization="")
    assert answer.status == 401


def test_kinds_say_what_lies_in_them_and_a_plugin_is_scanned(door, tmp_path) -> None:
    kinds = {one["kind"]: one for one in door.ask("GET", "/api/v1/models/kinds").json}
    assert kinds["checkpoints"]["purpose"] and kinds["loras"]["models"] >= 1
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from app.logger import setup_logger\n")
    found = door.ask("POST", "/api/v1/projects/studio/plugins/scan", {"source": str(tmp_path / "pack")})
    assert (found.status, found.json["verdict"]) == (200, "comfyui"), json.dumps(found.json)
