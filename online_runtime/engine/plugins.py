"""Loading what stands in custom_nodes. A plugin that fails is named with its traceback; the others load on.

The lines of the log have ComfyUI's shape, so that one parser reads both engines' logs.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import NodeContractBroken, PathOutside
from .folders import Folders, inside
from .registry import NodeRegistry

log = logging.getLogger(__name__)

SLOW_SECONDS = 30.0  # an import that takes longer is named, again and again

# Plugins call sys.exit() when they miss something; that must not end the engine.
_FAILURES = (Exception, SystemExit)


@dataclass(frozen=True)
class Loaded:
    """How one plugin loaded, and how long that took."""

    path: Path
    seconds: float
    success: bool


def run_prestartup_scripts(folders: Folders) -> list[Loaded]:
    """Run each plugin's prestartup_script.py, before anything of it is imported."""
    scripts = [script for path in found_in(folders) if (script := path / "prestartup_script.py").is_file()]
    loaded = [_timed(script.parent, partial(_run_script, script)) for script in scripts]
    if loaded:
        _tell_times("Prestartup times for custom nodes:", loaded, "PRESTARTUP FAILED")
    return loaded


def load_all(folders: Folders, registry: NodeRegistry) -> list[Loaded]:
    """Import every plugin into `registry`; logs each failure and a table of times."""
    loaded = [_timed(path, partial(_load, path, registry)) for path in found_in(folders)]
    if loaded:
        _tell_times("Import times for custom nodes:", loaded, "IMPORT FAILED")
    return loaded


def found_in(folders: Folders) -> Iterator[Path]:
    """The plugins in all custom_nodes folders: folders and single .py files, none that is disabled."""
    for root in folders.kinds["custom_nodes"][0]:
        if Path(root).is_dir():
            yield from (path for path in sorted(Path(root).iterdir()) if _is_plugin(path))


def _is_plugin(path: Path) -> bool:
    name = path.name
    if name == "__pycache__" or name.startswith(".") or name.lower().endswith(".disabled"):
        return False
    return path.is_dir() or path.suffix == ".py"


def _timed(path: Path, action: Callable[[], bool]) -> Loaded:
    started = time.perf_counter()
    with _told_when_slow(path):
        success = action()
    return Loaded(path, time.perf_counter() - started, success)


@contextmanager
def _told_when_slow(path: Path) -> Iterator[None]:
    """A plugin that does not come back is named, with where it is: nobody can end its import but a person."""
    done, thread = threading.Event(), threading.get_ident()

    def watch() -> None:
        waited = 0.0
        while not done.wait(SLOW_SECONDS):
            waited += SLOW_SECONDS
            frame = sys._current_frames().get(thread)
            where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
            log.warning("Plugin %s is not imported after %.0f seconds; it is at:\n%s", path, waited, where)

    watcher = threading.Thread(target=watch, name="slow-plugin", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _tell_times(title: str, loaded: list[Loaded], failed: str) -> None:
    lines = [f"\n{title}"]
    for plugin in sorted(loaded, key=lambda plugin: plugin.seconds):
        mark = "" if plugin.success else f" ({failed})"
        lines.append(f"{plugin.seconds:6.1f} seconds{mark}: {plugin.path}")
    log.info("%s\n", "\n".join(lines))


def _run_script(script: Path) -> bool:
    name = f"{_module_name(script.parent)}.prestartup_script"
    try:
        _import(name, script)
    except _FAILURES as error:
        log.warning("%s", traceback.format_exc())
        log.warning("Failed to execute startup-script: %s / %s", script, error)
        return False
    return True


def _load(path: Path, registry: NodeRegistry) -> bool:
    name = _module_name(path)
    try:
        module = _import(name, path / "__init__.py" if path.is_dir() else path)
        _register(module, path, registry)
    except _FAILURES as error:
        _forget(name)
        log.warning("%s", traceback.format_exc())
        log.warning("Cannot import %s module for custom nodes: %s", path, error or type(error).__name__)
        return False
    return True


def _module_name(path: Path) -> str:
    # Not the path, as ComfyUI does: module names show up in answers, in the types of exceptions.
    return f"custom_nodes.{path.stem if path.suffix == '.py' else path.name.replace('.', '_x_')}"


def _import(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _forget(name: str) -> None:
    """Leave nothing of a plugin that failed half-way."""
    for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        del sys.modules[known]


def _register(module: ModuleType, path: Path, registry: NodeRegistry) -> None:
    """Take over a module's nodes and web folder. Raises NodeContractBroken, PathOutside."""
    classes, names = _nodes_of(module, path)
    for name, node_class in classes.items():
        _check(name, node_class)
    registry.plugin_folders[path.stem if path.is_file() else path.name] = path
    for web_name, folder in _web_folders(module, path):
        registry.web_directories[web_name] = folder
    registry.add(f"custom_nodes.{path.stem if path.is_file() else path.name}", classes, names)


def _nodes_of(module: ModuleType, path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A module's nodes and their shown names; nodes of the schema kind come translated."""
    from .compat import schema_nodes

    classes = getattr(module, "NODE_CLASS_MAPPINGS", None)
    if classes is None and (entrypoint := getattr(module, "comfy_entrypoint", None)) is not None:
        classes = schema_nodes.listed_by(entrypoint, path.name)
    if not isinstance(classes, dict):
        raise NodeContractBroken(path.name, "its module has no dictionary NODE_CLASS_MAPPINGS.")
    found = dict(schema_nodes.without_placeholders(classes))
    named = {name: title for name, one in found.items() if (title := schema_nodes.shown_name(one))}
    return found, named | (getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})


def _check(name: str, node_class: Any) -> None:
    needed = ("INPUT_TYPES", "RETURN_TYPES", "FUNCTION")
    absent = [attribute for attribute in needed if not hasattr(node_class, attribute)]
    if absent:
        raise NodeContractBroken(name, f"the class has no {' and no '.join(absent)}.")


def _web_folders(module: ModuleType, path: Path) -> Iterator[tuple[str, Path]]:
    """The web folder that the module names, and the one that its pyproject.toml names."""
    if path.is_file():
        return
    declared: list[tuple[str, Any]] = [(path.name, getattr(module, "WEB_DIRECTORY", None))]
    project = path / "pyproject.toml"
    if project.is_file():
        facts = tomllib.loads(project.read_text(encoding="utf-8"))
        web = facts.get("tool", {}).get("comfy", {}).get("web")
        declared.append((facts.get("project", {}).get("name", path.name), web))
    for name, folder in declared:
        if not isinstance(folder, str) or not folder:
            continue
        try:
            found = inside(path, folder)
        except PathOutside as error:
            raise NodeContractBroken(path.name, f"its web folder is outside of it: {error}") from error
        if found.is_dir():
            yield name, found
