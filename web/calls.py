"""A caller of ComfyUI-shaped engines: posts a workflow, waits for its result, fetches the files it made.

Works against a workstation's engine and, with a token, through the gateway. Standard library only; never over
a proxy.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPResponse, InvalidURL
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from web.errors import (
    CallDenied,
    CallNotFound,
    CallRefused,
    CallTooLarge,
    CallUnavailable,
    EngineUnreachable,
    RequestRefused,
    WaitedTooLong,
    WorkflowFailed,
)

CALL_LIMIT_SECONDS = 60.0  # one HTTP exchange; a gateway may hold a call while an instance starts
POLL_SECONDS = (0.05, 0.1, 0.2, 0.5)
BY_CODE = {401: CallDenied, 403: CallDenied, 404: CallNotFound, 413: CallTooLarge, 503: CallUnavailable}
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class OutputFile:
    """One file that a node saved, as `/view` wants it named."""

    node: str
    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class Result:
    """A finished prompt. `seconds` counts from the post to the answer."""

    prompt_id: str
    seconds: float
    files: tuple[OutputFile, ...]
    instance: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status. `content_type` is without its parameters."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    seconds: float


@dataclass(frozen=True)
class Caller:
    """Calls one engine, or one service through the gateway when it has a token.

    `url` ends without a slash.
    """

    url: str
    token: str | None = field(default=None, repr=False)

    def run(self, workflow: Mapping[str, Any], *, limit_seconds: float) -> Result:
        """Post `workflow` (API format) and wait.

        Raises CallRefused, WorkflowFailed, WaitedTooLong, EngineUnreachable.
        """
        began = time.monotonic()
        answer, headers = self._json("POST", "/prompt", {"prompt": dict(workflow)})
        prompt_id = str(answer["prompt_id"])
        entry = self._finished(prompt_id, began + limit_seconds, limit_seconds)
        _raise_failure(prompt_id, entry)
        return Result(
            prompt_id,
            time.monotonic() - began,
            tuple(_files(entry)),
            headers.get("X-Stillframe-Instance"),
            headers.get("X-Stillframe-Snapshot"),
        )

    def fetch(self, file: OutputFile) -> bytes:
        """The bytes of one output file."""
        query = urlencode({"filename": file.filename, "subfolder": file.subfolder, "type": file.type})
        return self._exchange("GET", f"/view?{query}", None)[0]

    def save(self, files: Iterable[OutputFile], folder: Path) -> list[Path]:
        """Fetch files into `folder`; a name that is taken there gets a number. Returns where they lie."""
        folder.mkdir(parents=True, exist_ok=True)
        saved = []
        for file in files:
            place = _free_place(folder, Path(file.filename).name)
            place.write_bytes(self.fetch(file))
            saved.append(place)
        return saved

    def object_info(self) -> dict[str, Any]:
        """What nodes the engine has."""
        return self._json("GET", "/object_info", None)[0]

    def send(self, method: str, path: str, body: bytes | None) -> Answer:
        """One call; a refusal is an answer too. Raises EngineUnreachable, RequestRefused."""
        began = time.monotonic()
        answer: HTTPResponse | urllib.error.HTTPError
        try:
            answer = self._open(method, path, body)
        except urllib.error.HTTPError as problem:
            answer = problem
        with answer:
            data = answer.read()
        return Answer(answer.status or 0, answer.headers.get_content_type(), data, time.monotonic() - began)

    def _finished(self, prompt_id: str, deadline: float, limit_seconds: float) -> Mapping[str, Any]:
        asked = 0
        while time.monotonic() < deadline:
            history, _ = self._json("GET", f"/history/{quote(prompt_id)}", None)
            entry = history.get(prompt_id)
            if entry is not None:
                return dict(entry)
            time.sleep(POLL_SECONDS[min(asked, len(POLL_SECONDS) - 1)])
            asked += 1
        raise WaitedTooLong(
            f"prompt {prompt_id}", limit_seconds, f"Ask again at {self.url}/history/{prompt_id}."
        )

    def _json(self, method: str, path: str, body: object) -> tuple[dict[str, Any], Mapping[str, str]]:
        data, headers = self._exchange(method, path, None if body is None else json.dumps(body).encode())
        try:
            return dict(json.loads(data)), headers
        except ValueError as problem:
            raise CallRefused(self.url + path, 200, "the answer is no JSON document") from problem

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[bytes, Mapping[str, str]]:
        try:
            with self._open(method, path, body) as answer:
                return answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as problem:
            raise _refused(self.url + path, problem) from problem

    def _open(self, method: str, path: str, body: bytes | None) -> HTTPResponse:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token is not None:
            headers["Authorization"] = self.token
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            opened: HTTPResponse = _direct.open(request, timeout=CALL_LIMIT_SECONDS)
        except urllib.error.HTTPError:
            raise
        except (InvalidURL, ValueError) as problem:
            raise RequestRefused("Such a call cannot be sent", [str(problem)]) from problem
        except (urllib.error.URLError, OSError) as problem:
            raise EngineUnreachable(self.url, str(getattr(problem, "reason", problem))) from problem
        return opened


def _refused(url: str, problem: urllib.error.HTTPError) -> CallRefused:
    text = problem.read().decode("utf-8", "replace")
    try:
        answer: Any = json.loads(text)
    except ValueError:
        answer = text[:2000]
    kind = BY_CODE.get(problem.code, CallRefused)
    return kind(url.partition("?")[0], problem.code, _reason(answer) or problem.reason, answer)


def _reason(answer: Any) -> str:
    """The sentence in an error answer: a problem's detail, or ComfyUI's error with its nodes."""
    if not isinstance(answer, Mapping):
        return str(answer).strip()
    error = answer.get("error")
    if isinstance(error, Mapping):
        parts = [str(error.get("message", "")), str(error.get("details", ""))]
        for node, found in dict(answer.get("node_errors") or {}).items():
            said = "; ".join(
                f"{one.get('message')} ({one.get('details')})" for one in found.get("errors", ())
            )
            parts.append(f"node {node} ({found.get('class_type')}): {said}")
        return ". ".join(part for part in parts if part)
    return str(answer.get("detail") or error or "")


def _raise_failure(prompt_id: str, entry: Mapping[str, Any]) -> None:
    status = entry.get("status") or {}
    if status.get("status_str") in (None, "success"):
        return
    for kind, data in status.get("messages") or ():
        if kind == "execution_error":
            node = f"{data.get('node_id')} ({data.get('node_type')})"
            raise WorkflowFailed(
                prompt_id, node, str(data.get("exception_message")).strip(), data.get("traceback") or ()
            )
        if kind == "execution_interrupted":
            raise WorkflowFailed(prompt_id, str(data.get("node_id") or ""), "it was interrupted")
    raise WorkflowFailed(prompt_id, "", f"the engine said {status.get('status_str')}")


def _files(entry: Mapping[str, Any]) -> Iterable[OutputFile]:
    for node, output in (entry.get("outputs") or {}).items():
        for shown in output.values():
            for file in shown if isinstance(shown, list) else ():
                if isinstance(file, Mapping) and "filename" in file:
                    yield OutputFile(
                        node,
                        str(file["filename"]),
                        str(file.get("subfolder", "")),
                        str(file.get("type", "output")),
                    )


def _free_place(folder: Path, name: str) -> Path:
    place, number = folder / name, 1
    while place.exists():
        number += 1
        place = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return place
