"""Loading plugins: what fails is named, what works is kept."""

from __future__ import annotations

import logging
import sys

import pytest

from online_runtime.engine import plugins
from online_runtime.engine.compat.placeholders import PlaceholderFinder
from online_runtime.engine.errors import NeedsComfyUI
from online_runtime.engine.folders import Folders
from online_runtime.engine.registry import BUILTIN, NodeRegistry

NODE = """
class N:
    INPUT_TYPES = classmethod(lambda cls: {"required": {}})
    RETURN_TYPES = ()
    FUNCTION = "run"
"""


@pytest.fixture
def load(tmp_path, caplog):
    """Load plugins given as {name: source}; the registry and the log's text."""
    caplog.set_level(logging.INFO)
    before = set(sys.modules)

    def loader(registry: NodeRegistry | None = None, **sources: str):
        registry = registry or NodeRegistry()
        for name, source in sources.items():
            folder = tmp_path / "custom_nodes" / name
            folder.mkdir(parents=True)
            (folder / "__init__.py").write_text(source)
        plugins.load_all(Folders.below(tmp_path), registry)
        return registry, caplog.text

    yield loader
    for name in set(sys.modules) - before:
        if name.startswith("custom_nodes."):
            del sys.modules[name]


def test_a_plugin_that_breaks_is_named_with_its_traceback_and_the_next_one_loads(load, tmp_path):
    registry, log = load(a_broken="import nobody_has_this", b_good=NODE + "NODE_CLASS_MAPPINGS = {'Good': N}")
    path = tmp_path / "custom_nodes" / "a_broken"
    assert list(registry.classes) == ["Good"]
    assert registry.modules["Good"] == "custom_nodes.b_good"
    assert log.index("Traceback") < log.index(
        f"Cannot import {path} module for custom nodes: No module named"
    )
    assert "Import times for custom nodes:" in log
    assert f"   0.0 seconds (IMPORT FAILED): {path}\n" in log
    assert "custom_nodes.a_broken" not in sys.modules


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import sys; sys.exit(3)", "3"),
        ("x = 1", "has no dictionary NODE_CLASS_MAPPINGS"),
        ("def comfy_entrypoint(): ...", "returns no ComfyExtension"),
        ("class N: pass\nNODE_CLASS_MAPPINGS = {'N': N}", "has no INPUT_TYPES and no RETURN_TYPES"),
        (NODE + "NODE_CLASS_MAPPINGS = {'N': N}\nWEB_DIRECTORY = '../..'", "web folder is outside"),
    ],
)
def test_each_way_to_fail_is_told_and_brings_no_nodes(load, source, why):
    registry, log = load(odd=source)
    assert registry.classes == {}
    assert why in log
    assert "(IMPORT FAILED)" in log


def test_single_files_load_and_disabled_or_hidden_ones_do_not(load, tmp_path):
    folder = tmp_path / "custom_nodes"
    folder.mkdir()
    (folder / "one.py").write_text(NODE + "NODE_CLASS_MAPPINGS = {'One': N}")
    (folder / "two.py.disabled").write_text("1/0")
    (folder / ".hidden.py").write_text("1/0")
    (folder / "off.disabled").mkdir()
    registry, _ = load()
    assert list(registry.modules.items()) == [("One", "custom_nodes.one")]


def test_the_engines_own_nodes_are_never_replaced(load):
    registry = NodeRegistry()
    registry.add(BUILTIN, {"KSampler": object}, {})
    _, log = load(registry, thief=NODE + "NODE_CLASS_MAPPINGS = {'KSampler': N}")
    assert registry.classes["KSampler"] is object
    assert "the engine's own one is kept" in log


def test_web_folders_come_from_the_module_and_from_pyproject(load, tmp_path):
    folder = tmp_path / "custom_nodes" / "webby"
    (folder / "js").mkdir(parents=True)
    (folder / "ui").mkdir()
    (folder / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\nWEB_DIRECTORY = './js'")
    (folder / "pyproject.toml").write_text("[project]\nname='Webby-X'\n[tool.comfy]\nweb='ui'\n")
    registry, _ = load()
    assert registry.web_directories == {"webby": folder / "js", "Webby-X": folder / "ui"}


def test_a_prestartup_script_runs_and_its_failure_is_told(tmp_path, caplog):
    folder = tmp_path / "custom_nodes" / "early"
    folder.mkdir(parents=True)
    (folder / "prestartup_script.py").write_text("raise RuntimeError('too early')")
    (loaded,) = plugins.run_prestartup_scripts(Folders.below(tmp_path))
    assert not loaded.success
    assert "Failed to execute startup-script" in caplog.text


def test_internals_of_comfyui_import_and_subclass_but_say_so_when_used():
    finder = PlaceholderFinder()
    sys.meta_path.append(finder)
    try:
        import comfy_extras.nodes_something as module

        class Mine(module.Theirs.Inner):
            pass

        with pytest.raises(
            NeedsComfyUI, match=r"comfy_extras.nodes_something.function needs the comfyui engine"
        ):
            module.function(1)
        with pytest.raises(NeedsComfyUI):
            Mine()
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith("comfy_extras")]:
            del sys.modules[name]
