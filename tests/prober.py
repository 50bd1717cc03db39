"""Callers that never stop: they post, poll, listen and download through a whole test, and then tell the toll.

    with Prober(endpoint, token, workflow) as prober:
        ...                                 # rotate, kill, roll back
    prober.assert_nothing_was_lost()

Each caller posts the workflow, asks for its history until it is there, and fetches the file it made. One more
holds a websocket, and one downloads a large file slowly, so that a download is open whenever something
happens.
Every answer other than 200 is a failed call; every posted prompt without a good result is lost.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

CALL_LIMIT_SECONDS = 120.0  # a gateway may hold a call while an instance is replaced
RESULT_LIMIT_SECONDS = 120.0
POLL_SECONDS = 0.05
LARGE_BYTES = 4_000_000  # more than the socket buffers between engine, gateway and caller hold
DOWNLOAD_SECONDS = 1.5
SERVICE_RESTARTS = 1012  # the one close code that a rotation may give: connect again

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Toll:
    """What happened to the calls. Lists are appended to by threads."""

    posted: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    downloads: int = 0
    events: int = 0
    reconnects: int = 0
    failed: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0

    @property
    def lost(self) -> set[str]:
        """Accepted prompts that never gave a result."""
        return set(self.posted) - self.results.keys()


class Prober:
    """Probes one service at its gateway while the block runs. Node `saver` of `workflow` saves one text."""

    def __init__(
        self, url: str, token: str, workflow: Mapping[str, Any], *, saver: str = "2", callers: int = 3
    ) -> None:
        self._url, self._token, self._workflow, self._saver = url, token, dict(workflow), saver
        self._stop = threading.Event()
        self._connected = threading.Event()
        self.toll = Toll()
        jobs = [self._calls] * callers + [self._listens, self._downloads]
        self._threads = [threading.Thread(target=self._guarded, args=(job,), daemon=True) for job in jobs]

    def __enter__(self) -> Prober:
        for thread in self._threads:
            thread.start()
        self.wait_for_results(1)
        assert self._connected.wait(30), "the websocket never opened"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(RESULT_LIMIT_SECONDS + CALL_LIMIT_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads), "a caller never came back"

    def wait_for_results(self, more: int, limit_seconds: float = 120.0) -> None:
        """Return when `more` further prompts were answered."""
        wanted = len(self.toll.results) + more
        deadline = time.monotonic() + limit_seconds
        while len(self.toll.results) < wanted and not self.toll.failed:
            assert time.monotonic() < deadline, f"no {more} results within {limit_seconds:g} s: {self.toll}"
            time.sleep(POLL_SECONDS)

    def assert_nothing_was_lost(self, texts: set[str] | None = None) -> None:
        """No failed call, no lost prompt, whole downloads; `texts`: the only results that may have come."""
        assert self.toll.failed == []
        assert self.toll.lost == set()
        assert self.toll.downloads > 0
        if texts is not None:
            assert set(self.toll.results.values()) <= texts

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                job()
        except Exception as problem:  # noqa: BLE001 - a thread's failure belongs to the toll, or nobody would see it
            self.toll.failed.append(f"{job.__name__}: {type(problem).__name__}: {problem}")

    def _calls(self) -> None:
        prompt_id = self._post(self._workflow)
        entry = self._finished(prompt_id)
        self.toll.results[prompt_id] = self._view(entry).decode()

    def _downloads(self) -> None:
        """One large file, made once for each time, read in small pieces."""
        text = "x" * LARGE_BYTES
        entry = self._finished(
            self._post(
                {
                    "1": {"class_type": "StandInText", "inputs": {"text": text}},
                    "2": {
                        "class_type": "StandInSave",
                        "inputs": {"text": ["1", 0], "filename_prefix": "large"},
                    },
                }
            )
        )
        self.toll.posted.remove(entry["prompt_id"])  # it counts as a download
        while not self._stop.is_set():
            got = len(self._view(entry, "2", pieces=40))
            assert got == LARGE_BYTES, f"{got} of {LARGE_BYTES} bytes"
            self.toll.downloads += 1

    def _listens(self) -> None:
        query = urlencode({"clientId": uuid.uuid4().hex, "token": self._token})
        address = self._url.replace("http", "ws", 1)
        with connect(f"{address}/ws?{query}", open_timeout=CALL_LIMIT_SECONDS, proxy=None) as socket:
            self._connected.set()
            while not self._stop.is_set():
                try:
                    socket.recv(timeout=0.2)
                    self.toll.events += 1
                except TimeoutError:
                    continue
                except ConnectionClosed as closed:
                    code = closed.rcvd.code if closed.rcvd else None
                    if code != SERVICE_RESTARTS:
                        raise WebSocketException(f"closed with {code}") from closed
                    self.toll.reconnects += 1
                    return

    def _post(self, workflow: Mapping[str, Any]) -> str:
        body = self._call("POST", "/prompt", json.dumps({"prompt": workflow}).encode())
        prompt_id = str(json.loads(body)["prompt_id"])
        self.toll.posted.append(prompt_id)
        return prompt_id

    def _finished(self, prompt_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + RESULT_LIMIT_SECONDS
        while time.monotonic() < deadline:
            entry = json.loads(self._call("GET", f"/history/{prompt_id}")).get(prompt_id)
            if entry is not None:
                assert entry["status"]["status_str"] == "success", entry["status"]
                return {**entry, "prompt_id": prompt_id}
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"prompt {prompt_id} gave nothing within {RESULT_LIMIT_SECONDS:g} s")

    def _view(self, entry: Mapping[str, Any], saver: str | None = None, pieces: int = 1) -> bytes:
        file = entry["outputs"][saver or self._saver]["images"][0]
        query = urlencode({name: file[name] for name in ("filename", "subfolder", "type")})
        return self._call("GET", f"/view?{query}", pieces=pieces)

    def _call(self, method: str, path: str, body: bytes | None = None, pieces: int = 1) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)
        began = time.monotonic()
        try:
            with _OPENER.open(request, timeout=CALL_LIMIT_SECONDS) as answer:
                self.toll.slowest_seconds = max(self.toll.slowest_seconds, time.monotonic() - began)
                return answer.read() if pieces == 1 else self._slowly(answer, pieces)
        except urllib.error.HTTPError as refusal:
            told = refusal.read()[:500].decode(errors="replace")
            raise AssertionError(f"{method} {path} gave {refusal.code}: {told}") from None

    def _slowly(self, answer: Any, pieces: int) -> bytes:
        got = b""
        while part := answer.read(LARGE_BYTES // pieces):
            got += part
            # A slow reader is what is tested; this waits for nothing.
            self._stop.wait(DOWNLOAD_SECONDS / pieces)
        return got
