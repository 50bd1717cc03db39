"""The command line, in ComfyUI's words, so that both engines are started in the same way."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BadArgument
from .models.attention import CHOICES as ATTENTIONS

PREVIEW_METHODS = ("none", "auto", "latent2rgb", "taesd")


@dataclass(frozen=True)
class Arguments:
    """What the engine was asked to be. Folders that are None stand below `base_directory`."""

    listen: str
    port: int
    base_directory: Path
    models_directory: Path | None = None
    input_directory: Path | None = None
    output_directory: Path | None = None
    temp_directory: Path | None = None
    user_directory: Path | None = None
    extra_model_paths: tuple[Path, ...] = ()
    database_url: str | None = None
    cpu: bool = False
    lowvram: bool = False
    disable_all_custom_nodes: bool = False
    disable_api_nodes: bool = False
    attention: str = "auto"
    disable_xformers: bool = False
    preview_method: str = "none"
    quick_test: bool = False
    cors_origin: str | None = None
    max_upload_bytes: int = 100 * 1024 * 1024


def parse(argv: Sequence[str]) -> Arguments:
    """The arguments in `argv` (without the program's name). Raises BadArgument; `--help` exits."""
    given = _parser().parse_args(argv)
    base = (given.base_directory or Path.cwd()).absolute()
    if not (base / "custom_nodes").is_dir():
        raise BadArgument("--base-directory", f"{base} has no folder custom_nodes; create it first.")
    if not 0 <= given.port <= 65535:
        raise BadArgument("--port", f"{given.port} is not between 0 and 65535.")
    if given.max_upload_size <= 0:
        raise BadArgument("--max-upload-size", "it must be more than 0 MB.")
    return _frozen(given, base)


def _frozen(given: argparse.Namespace, base: Path) -> Arguments:
    return Arguments(
        listen=given.listen,
        port=given.port,
        base_directory=base,
        models_directory=_absolute(given.models_directory),
        input_directory=_absolute(given.input_directory),
        output_directory=_absolute(given.output_directory),
        temp_directory=_absolute(given.temp_directory),
        user_directory=_absolute(given.user_directory),
        extra_model_paths=tuple(
            path.absolute() for group in given.extra_model_paths_config for path in group
        ),
        database_url=given.database_url,
        cpu=given.cpu,
        lowvram=given.lowvram,
        disable_all_custom_nodes=given.disable_all_custom_nodes,
        disable_api_nodes=given.disable_api_nodes,
        attention="sdpa" if given.use_pytorch_cross_attention else given.attention,
        disable_xformers=given.disable_xformers,
        preview_method=given.preview_method,
        quick_test=given.quick_test_for_ci,
        cors_origin=given.enable_cors_header,
        max_upload_bytes=round(given.max_upload_size * 1024 * 1024),
    )


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="engine", description="Run ComfyUI-style workflows behind a ComfyUI-compatible HTTP API."
    )
    add = parser.add_argument
    add("--listen", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=8188, help="port to listen on; 0 takes a free one")
    add("--base-directory", type=Path, help="holds custom_nodes, input, output, temp, user (default: here)")
    for name in ("models", "input", "output", "temp", "user"):
        add(f"--{name}-directory", type=Path, help=f"another folder than BASE/{name}")
    add("--extra-model-paths-config", type=Path, nargs="+", action="append", default=[], metavar="YAML")
    add("--database-url", help="accepted for ComfyUI's sake; this engine has no database")
    add("--disable-api-nodes", action="store_true", help="accepted; this engine has none")
    add("--cpu", action="store_true", help="use no GPU")
    add("--lowvram", action="store_true", help="keep less on the GPU")
    add("--disable-all-custom-nodes", action="store_true")
    add("--preview-method", choices=PREVIEW_METHODS, default="none")
    add("--quick-test-for-ci", action="store_true", help="import everything, then exit")
    add("--enable-cors-header", nargs="?", const="*", metavar="ORIGIN")
    add("--max-upload-size", type=float, default=100, metavar="MB")
    add("--attention", choices=ATTENTIONS, default="auto", help="what computes attention on a GPU")
    add("--disable-xformers", action="store_true", help="--attention auto takes no xformers")
    add("--use-pytorch-cross-attention", action="store_true", help="the same as --attention sdpa")
    return parser
