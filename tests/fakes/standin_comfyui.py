"""A stand-in engine: ComfyUI's arguments and the part of its HTTP API that the platform speaks, stdlib only.

It starts in a tenth of a second, loads `custom_nodes` (NODE_CLASS_MAPPINGS of folders and single files,
`.disabled` skipped), prints ComfyUI's import block, listens only then, and really runs workflows whose nodes
come from plugins or from the few below:

    StandInText(text) -> STRING
    StandInSave(text, filename_prefix)   writes output/PREFIX_00001_.txt, listed under "images"
    StandInSleep(seconds, text) -> STRING, can be interrupted
    StandInFail(message)                 raises
    StandInDie(signal)                   kills the engine
    CheckpointLoaderSimple(ckpt_name) -> STRING, offers models/checkpoints

Tests misuse it through a plugin: `import __main__; __main__.BEHAVIOUR.hang.add("/queue")` makes a path accept
and never answer, `BEHAVIOUR.statuses["/system_stats"] = 500` makes it answer with that. A plugin may also
exit, install signal handlers, or print.
"""

# ruff: noqa: N802 - ComfyUI's node protocol
from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

VERSION = "0.0.1-standin"


@dataclass
class Behaviour:
    """What a plugin may change to make this engine misbehave."""

    hang: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)


BEHAVIOUR = Behaviour()
NODES: dict[str, type] = {}
INTERRUPT = threading.Event()


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("--listen", default="127.0.0.1")
    add("--port", type=int, default=8188)
    add("--base-directory", type=Path, required=True)
    for name in ("models", "input", "output", "temp", "user"):
        add(f"--{name}-directory", type=Path)
    add("--database-url")
    add("--extra-model-paths-config")
    add("--preview-method")
    add("--max-upload-size", type=float)
    for flag in (
        "--cpu",
        "--disable-api-nodes",
        "--disable-all-custom-nodes",
        "--quick-test-for-ci",
        "--lowvram",
    ):
        add(flag, action="store_true")
    return parser.parse_args(argv)


class Folders:
    def __init__(self, options: argparse.Namespace) -> None:
        base = options.base_directory.absolute()
        self.custom_nodes = base / "custom_nodes"
        self.models = options.models_directory or base / "models"
        self.input = options.input_directory or base / "input"
        self.output = options.output_directory or base / "output"
        self.temp = options.temp_directory or base / "temp"
        if not self.custom_nodes.is_dir():
            sys.exit(f"{self.custom_nodes} does not exist")
        shutil.rmtree(self.temp, ignore_errors=True)
        for folder in (self.input, self.output, self.temp):
            folder.mkdir(parents=True, exist_ok=True)


# -- plugins -------------------------------------------------------------------------------------------------


def load_plugins(folder: Path) -> None:
    """Import each plugin and print how it went, as ComfyUI does."""
    times: list[tuple[float, Path, bool]] = []
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".disabled") or path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_file() and path.suffix != ".py":
            continue
        began = time.perf_counter()
        times.append((0.0, path, _import(path)))
        times[-1] = (time.perf_counter() - began, path, times[-1][2])
    if times:
        print("\nImport times for custom nodes:")
        for seconds, path, ok in sorted(times):
            print(f"{seconds:6.1f} seconds{'' if ok else ' (IMPORT FAILED)'}: {path}")
        print(flush=True)


def _import(path: Path) -> bool:
    try:
        module_file = path / "__init__.py" if path.is_dir() else path
        name = str(path).replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(name, module_file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        NODES.update(module.NODE_CLASS_MAPPINGS)
    except Exception as error:  # noqa: BLE001 - as ComfyUI: a plugin that fails is named, the engine starts without it
        print(traceback.format_exc())
        print(f"Cannot import {path} module for custom nodes: {error}", flush=True)
        return False
    return True


# -- nodes ---------------------------------------------------------------------------------------------------


class StandInText:
    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}}

    def run(self, text):
        return (text,)


class StandInSleep(StandInText):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"seconds": ("FLOAT", {})}, "optional": {"text": ("STRING", {})}}

    def run(self, seconds, text="slept"):
        if INTERRUPT.wait(float(seconds)):
            raise InterruptedError("interrupted")
        return (text,)


class StandInFail(StandInText):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"message": ("STRING", {})}}

    OUTPUT_NODE = True

    def run(self, message):
        raise RuntimeError(message)


class StandInDie(StandInText):
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"signal": ("INT", {})}}

    OUTPUT_NODE = True

    def run(self, signal):
        os.kill(os.getpid(), int(signal))
        return ("",)


class CheckpointLoaderSimple(StandInText):
    @classmethod
    def INPUT_TYPES(cls):
        folder = ENGINE.folders.models / "checkpoints"
        names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        return {"required": {"ckpt_name": (names,)}}

    def run(self, ckpt_name):
        return (ckpt_name,)


class StandInSave:
    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {})}, "optional": {"filename_prefix": ("STRING", {})}}

    def run(self, text, filename_prefix="standin"):
        folder, number = ENGINE.folders.output, 1
        while (folder / f"{filename_prefix}_{number:05}_.txt").exists():
            number += 1
        name = f"{filename_prefix}_{number:05}_.txt"
        (folder / name).write_text(str(text))
        return {
            "ui": {
                "images": [{"filename": name, "subfolder": "", "type": "output"}],
                "text": [str(text)],
            }
        }


NODES.update(
    {
        c.__name__: c
        for c in (StandInText, StandInSleep, StandInFail, StandInDie, StandInSave, CheckpointLoaderSimple)
    }
)


def describe(name: str, node: Any) -> dict[str, Any]:
    inputs = node.INPUT_TYPES()
    return {
        "input": inputs,
        "input_order": {group: list(names) for group, names in inputs.items()},
        "output": list(node.RETURN_TYPES),
        "output_name": list(getattr(node, "RETURN_NAMES", node.RETURN_TYPES)),
        "output_is_list": [False for _ in node.RETURN_TYPES],
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "nodes",
        "category": getattr(node, "CATEGORY", "standin"),
        "output_node": bool(getattr(node, "OUTPUT_NODE", False)),
    }


# -- running prompts -----------------------------------------------------------------------------------------


class Engine:
    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.changed = threading.Condition()
        self.pending: list[list[Any]] = []
        self.running: list[list[Any]] = []
        self.history: dict[str, Any] = {}
        self.number = 0

    def submit(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        prompt = body.get("prompt")
        if not prompt:
            return 400, refusal("no_prompt", "No prompt provided", {})
        for node_id, node in prompt.items():
            if node.get("class_type") not in NODES:
                message = f"Cannot execute because node {node.get('class_type')} does not exist."
                return 400, refusal(
                    "invalid_prompt", message, {"node_id": node_id, "class_type": node.get("class_type")}
                )
        outputs = [
            i for i, node in prompt.items() if getattr(NODES[node["class_type"]], "OUTPUT_NODE", False)
        ]
        if not outputs:
            return 400, refusal("prompt_no_outputs", "Prompt has no outputs", {})
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        with self.changed:
            item = [self.number, prompt_id, prompt, dict(body.get("extra_data") or {}), outputs]
            self.number += 1
            self.pending.append(item)
            self.changed.notify_all()
        return 200, {"prompt_id": prompt_id, "number": item[0], "node_errors": {}}

    def work(self) -> None:
        while True:
            with self.changed:
                while not self.pending:
                    self.changed.wait()
                item = self.pending.pop(0)
                self.running = [item]
                INTERRUPT.clear()
            entry = self.perform(item)
            with self.changed:
                self.history[item[1]] = entry
                self.running = []

    def perform(self, item: list[Any]) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        messages: list[Any] = [["execution_start", {"prompt_id": item[1], "timestamp": now_ms()}]]
        at = ""
        try:
            results: dict[str, Any] = {}
            for at in item[4]:
                self.evaluate(item[2], at, results, outputs)
            status = "success"
            messages.append(["execution_success", {"prompt_id": item[1], "timestamp": now_ms()}])
        except InterruptedError:
            status = "error"
            messages.append(["execution_interrupted", {"prompt_id": item[1], "node_id": at}])
        except Exception as error:  # noqa: BLE001 - a node's failure belongs to the prompt, as in ComfyUI
            status = "error"
            detail = {
                "prompt_id": item[1],
                "node_id": at,
                "node_type": item[2][at]["class_type"],
                "exception_message": str(error),
                "exception_type": type(error).__name__,
                "traceback": traceback.format_tb(error.__traceback__),
            }
            messages.append(["execution_error", detail])
            print(traceback.format_exc(), flush=True)
        state = {"status_str": status, "completed": status == "success", "messages": messages}
        return {"prompt": item, "outputs": outputs, "status": state, "meta": {}}

    def evaluate(
        self, prompt: dict[str, Any], node_id: str, results: dict[str, Any], outputs: dict[str, Any]
    ) -> Any:
        if node_id not in results:
            node = prompt[node_id]
            values = {}
            for name, value in node.get("inputs", {}).items():
                if isinstance(value, list) and len(value) == 2 and str(value[0]) in prompt:
                    value = self.evaluate(prompt, str(value[0]), results, outputs)[value[1]]
                values[name] = value
            kind = NODES[node["class_type"]]
            made = getattr(kind(), kind.FUNCTION)(**values)
            if isinstance(made, dict):
                if "ui" in made:
                    outputs[node_id] = made["ui"]
                made = made.get("result", ())
            results[node_id] = made
        return results[node_id]


def refusal(kind: str, message: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {
        "error": {"type": kind, "message": message, "details": "", "extra_info": extra},
        "node_errors": {},
    }


def now_ms() -> int:
    return int(time.time() * 1000)


# -- HTTP ----------------------------------------------------------------------------------------------------


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = self.routed(url.path)
        if path is None:
            return
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if path == "/system_stats":
            system = {
                "os": os.name,
                "comfyui_version": VERSION,
                "argv": sys.argv,
                "python_version": sys.version,
            }
            self.answer(200, {"system": system, "devices": []})
        elif path == "/queue":
            with ENGINE.changed:
                self.answer(200, {"queue_running": ENGINE.running, "queue_pending": ENGINE.pending})
        elif path == "/prompt":
            with ENGINE.changed:
                remaining = len(ENGINE.running) + len(ENGINE.pending)
            self.answer(200, {"exec_info": {"queue_remaining": remaining}})
        elif path == "/object_info":
            self.answer(200, {name: describe(name, node) for name, node in NODES.items()})
        elif path.startswith("/object_info/"):
            name = path.split("/")[2]
            self.answer(200, {name: describe(name, NODES[name])} if name in NODES else {})
        elif path == "/history":
            with ENGINE.changed:
                self.answer(200, ENGINE.history)
        elif path.startswith("/history/"):
            prompt_id = path.split("/")[2]
            with ENGINE.changed:
                entry = ENGINE.history.get(prompt_id)
            self.answer(200, {prompt_id: entry} if entry else {})
        elif path == "/view":
            self.view(query)
        else:
            self.send(404, b"404: Not Found", "text/plain; charset=utf-8")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.routed(urlsplit(self.path).path)
        if path is None:
            return
        body = json.loads(raw or b"{}")
        if path == "/prompt":
            self.answer(*ENGINE.submit(body))
        elif path == "/interrupt":
            INTERRUPT.set()
            self.answer(200, None)
        elif path == "/queue":
            with ENGINE.changed:
                gone = set(body.get("delete", []))
                ENGINE.pending = (
                    [] if body.get("clear") else [item for item in ENGINE.pending if item[1] not in gone]
                )
            self.answer(200, None)
        elif path in ("/free", "/history"):
            self.answer(200, None)
        else:
            self.send(404, b"404: Not Found", "text/plain; charset=utf-8")

    def routed(self, path: str) -> str | None:
        """The path without /api, or None when a test asked this path to misbehave."""
        path = path.removeprefix("/api")
        if path in BEHAVIOUR.hang:
            threading.Event().wait(600)
        if path in BEHAVIOUR.statuses:
            self.answer(BEHAVIOUR.statuses[path], None)
            return None
        return path

    def view(self, query: dict[str, str]) -> None:
        folders = {
            "output": ENGINE.folders.output,
            "input": ENGINE.folders.input,
            "temp": ENGINE.folders.temp,
        }
        folder = folders.get(query.get("type", "output"))
        file = (folder / query.get("subfolder", "") / query.get("filename", "")) if folder else None
        if file is None or ".." in file.parts:
            self.answer(400, None)
        elif not file.is_file():
            self.answer(404, None)
        else:
            self.send(200, file.read_bytes(), "application/octet-stream")

    def answer(self, status: int, value: Any) -> None:
        self.send(status, b"" if value is None else json.dumps(value).encode(), "application/json")

    def send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the log is for plugins."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def main() -> None:
    global ENGINE
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ENGINE = Engine(Folders(options))
    print(f"Stand-in engine {VERSION} in {options.base_directory}", flush=True)
    if not options.disable_all_custom_nodes:
        load_plugins(ENGINE.folders.custom_nodes)
    if options.quick_test_for_ci:
        return
    server = Server((options.listen, options.port), Door)
    threading.Thread(target=ENGINE.work, daemon=True).start()
    print(f"To see the GUI go to: http://{options.listen}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
