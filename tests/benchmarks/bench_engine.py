"""What the builtin engine costs: beside a bare diffusers call, in memory, and until it is healthy.

    python tests/benchmarks/bench_engine.py [--comfyui "PYTHON /path/to/ComfyUI/main.py"]

The weights are tiny and random: what is measured is the engine, not the networks.
"""

from __future__ import annotations

import argparse
import json
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

LIMIT_SECONDS = 300.0  # of any wait; a busy machine takes a minute to import torch
SIDE, STEPS, PICTURES = 64, 20, 5
QUEUED = 1000
BUILTIN = [sys.executable, "-m", "online_runtime.engine"]


@dataclass(frozen=True)
class Engine:
    """A running engine and how long it took to answer."""

    url: str
    process: subprocess.Popen[bytes]
    healthy_seconds: float

    def get(self, path: str, **headers: str) -> bytes:
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return bytes(answer.read())

    def send(self, prompt: dict[str, Any]) -> str:
        data = json.dumps({"prompt": prompt}).encode()
        request = urllib.request.Request(f"{self.url}/prompt", data)
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS) as answer:
            return str(json.load(answer)["prompt_id"])

    def finished(self, prompt_id: str) -> dict[str, Any]:
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            found = json.loads(self.get(f"/history/{prompt_id}"))
            if prompt_id in found:
                return dict(found[prompt_id])
            time.sleep(0.002)
        raise TimeoutError(f"prompt {prompt_id} did not end within {LIMIT_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comfyui", help="a command that starts a ComfyUI, to measure its start beside ours")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = prepared(Path(folder))
        times_to_healthy(base, shlex.split(chosen.comfyui) if chosen.comfyui else None)
        with running(BUILTIN, base) as engine:
            cached_prompts(engine)
            descriptions(engine)
            memory_of_a_queue(engine)
        overhead(base)


def prepared(folder: Path) -> Path:
    """A base directory with the tiny checkpoint."""
    base = folder / "base"
    (base / "custom_nodes").mkdir(parents=True)
    (base / "models" / "checkpoints").mkdir(parents=True)
    made = str(base / "models" / "checkpoints" / "tiny.safetensors")
    subprocess.run([sys.executable, "-m", "online_runtime.engine.models.tiny", made], check=True)
    return base


@contextmanager
def running(command: list[str], base: Path) -> Iterator[Engine]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    full = [*command, "--cpu", "--port", str(port), "--base-directory", str(base)]
    started = time.perf_counter()
    process = subprocess.Popen(full, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{url}/system_stats", timeout=LIMIT_SECONDS):
                    break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None or time.perf_counter() - started > LIMIT_SECONDS:
                    raise
                time.sleep(0.01)
        yield Engine(url, process, time.perf_counter() - started)
    finally:
        process.terminate()
        process.wait(LIMIT_SECONDS)


def times_to_healthy(base: Path, comfyui: list[str] | None) -> None:
    for name, command in (("builtin", BUILTIN), ("ComfyUI", comfyui)):
        if command is None:
            continue
        seconds = []
        for _ in range(3):
            with running(command, base) as engine:
                seconds.append(engine.healthy_seconds)
        # The first one fills the page cache.
        budget = "   budget 3 s" if name == "builtin" else ""
        print(f"{'healthy, ' + name:34} {min(seconds[1:]):8.2f} s{budget}")


def cached_prompts(engine: Engine) -> None:
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 7}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "cached"}},
    }
    engine.finished(engine.send(prompt))
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        engine.finished(engine.send(prompt))
        seconds.append(time.perf_counter() - started)
    print(f"{'fully cached prompt':34} {statistics.median(seconds) * 1000:8.1f} ms   budget 20 ms")


def descriptions(engine: Engine) -> None:
    seconds, size = [], 0
    for _ in range(10):
        started = time.perf_counter()
        size = len(engine.get("/object_info", **{"Accept-Encoding": "gzip"}))
        seconds.append(time.perf_counter() - started)
    middle = statistics.median(seconds) * 1000
    print(f"{'/object_info, compressed':34} {middle:8.1f} ms   budget 50 ms   {size / 1024:.0f} KiB")


def memory_of_a_queue(engine: Engine) -> None:
    """What 1,000 waiting prompts of an ordinary graph cost; a slow one in front keeps them waiting."""
    process = psutil.Process(engine.process.pid)
    engine.finished(engine.send(graph(0)))  # the weights are loaded now
    first = engine.send(graph(0, steps=5000))
    before = process.memory_info().rss
    for seed in range(1, QUEUED):
        engine.send(graph(seed))
    grown = (process.memory_info().rss - before) / 1024**2
    clear = urllib.request.Request(f"{engine.url}/queue", json.dumps({"clear": True}).encode())
    stop = urllib.request.Request(f"{engine.url}/interrupt", b"{}")
    for request in (clear, stop):
        with urllib.request.urlopen(request, timeout=LIMIT_SECONDS):
            pass
    engine.finished(first)
    print(f"{'1,000 queued prompts':34} {grown:8.1f} MiB   budget 50 MiB")


def graph(seed: int, steps: int = STEPS) -> dict[str, Any]:
    """The usual picture, with nothing to save: what it costs is encoding, sampling and decoding."""
    sampler = {
        "model": ["1", 0],
        "positive": ["2", 0],
        "negative": ["3", 0],
        "latent_image": ["4", 0],
        "seed": seed,
        "steps": steps,
        "cfg": 5.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a house", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": sampler},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}},
    }


def overhead(base: Path) -> None:
    """One picture by the engine's executor beside the same networks called as diffusers' scheduler would."""
    import torch

    from online_runtime.engine import folders
    from online_runtime.engine.execution import Executor, Request
    from online_runtime.engine.folders import Folders
    from online_runtime.engine.interruption import Interruption
    from online_runtime.engine.models import memory
    from online_runtime.engine.models.loading import load_checkpoint
    from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS
    from online_runtime.engine.registry import BUILTIN as OWN
    from online_runtime.engine.registry import NodeRegistry
    from online_runtime.engine.tracebacks import PathFilter

    torch.set_num_threads(1)
    memory.configure(cpu=True)
    places = Folders.below(base)
    folders.use(places)
    registry = NodeRegistry()
    registry.add(OWN, NODE_CLASS_MAPPINGS, {})
    executor = Executor(registry, _Nobody(), Interruption(), PathFilter.of(places))
    seeds = iter(range(10_000))

    def by_engine() -> None:
        outcome = executor.run(Request("bench", graph(next(seeds)), ["7"]))
        assert outcome.success, outcome.messages

    loaded = load_checkpoint(base / "models" / "checkpoints" / "tiny.safetensors", ())
    bare = bare_diffusers(loaded)
    for warm in (by_engine, bare):
        warm()
    ours, theirs = [], []
    for _ in range(PICTURES):  # in turn, so that the machine's moods meet both
        ours.append(seconds_of(by_engine))
        theirs.append(seconds_of(bare))
    middle = [statistics.median(values) for values in (ours, theirs)]
    extra = (middle[0] / middle[1] - 1) * 100
    print(f"{'a picture by the engine':34} {middle[0] * 1000:8.1f} ms of CPU")
    print(f"{'a picture by bare diffusers':34} {middle[1] * 1000:8.1f} ms of CPU")
    print(f"{'overhead of the engine':34} {extra:8.1f} %   budget 5 %")


def bare_diffusers(loaded: Any) -> Callable[[], None]:
    """The same networks, guided and stepped by diffusers' own Euler scheduler, and a picture written."""
    import torch
    from diffusers import EulerDiscreteScheduler
    from PIL import Image

    unet, vae = loaded.model.unet.module, loaded.vae.network
    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    positive = loaded.clip.encode("a house").tokens
    negative = loaded.clip.encode("").tokens
    texts = torch.cat([negative, positive])

    def picture() -> None:
        with torch.inference_mode():
            scheduler = EulerDiscreteScheduler(**settings)
            scheduler.set_timesteps(STEPS)
            latent = torch.randn(1, 4, SIDE // 8, SIDE // 8) * scheduler.init_noise_sigma
            for moment in scheduler.timesteps:
                both = scheduler.scale_model_input(torch.cat([latent, latent]), moment)
                without, with_text = unet(both, moment, encoder_hidden_states=texts).sample.chunk(2)
                guided = without + 5.0 * (with_text - without)
                latent = scheduler.step(guided, moment, latent).prev_sample
            pixels = vae.decode(latent / 0.18215).sample
            values = ((pixels[0].movedim(0, -1) / 2 + 0.5).clamp(0, 1) * 255).byte().numpy()
            with tempfile.TemporaryFile() as file:
                Image.fromarray(values).save(file, format="PNG", compress_level=1)

    return picture


def seconds_of(action: Callable[[], None]) -> float:
    """The processor's time, on one thread: what others do on the machine is not in it."""
    started = time.process_time()
    action()
    return time.process_time() - started


class _Nobody:
    """An audience that listens to nothing."""

    def send(self, event: str, data: Any, client: str | None) -> None: ...

    def send_preview(self, image: Any, about: Any, client: str) -> None: ...


if __name__ == "__main__":
    main()
