"""Which engine a plugin needs, told from its sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from workstation.engine_sources import builtin_engine
from workstation.errors import PluginSourceUnusable
from workstation.plugins.install import scan_source
from workstation.plugins.scan import EngineNeed, PluginScan, scan_plugin
from workstation.plugins.surface import Presence, Surface, read_surface


@pytest.fixture(scope="module")
def surface() -> Surface:
    return read_surface(builtin_engine())


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def scanned(folder: Path, surface: Surface, source: str, **more: str) -> PluginScan:
    return scan_plugin(written(folder / "pack", {"__init__.py": source, **more}), surface)


@pytest.mark.parametrize(
    ("name", "presence"),
    [
        ("comfy.utils.ProgressBar", Presence.PRESENT),
        ("comfy.samplers.KSampler.SAMPLERS", Presence.PRESENT),
        ("comfy.samplers.KSAMPLER", Presence.PLACEHOLDER),
        ("comfy.ldm.modules.attention", Presence.PLACEHOLDER),
        ("comfy_api.latest.io.Image.Input", Presence.PRESENT),
        ("folder_paths.get_filename_list", Presence.PRESENT),
        ("node_helpers.no_such_function", Presence.ABSENT),
        ("folder_paths.no_such_function", Presence.ABSENT),
        ("folder_paths.__file__", Presence.PRESENT),
        ("nodes.SaveImage", Presence.PRESENT),
        ("nodes.UNETLoader", Presence.PLACEHOLDER),
        ("nodes.SomebodyElses", Presence.ABSENT),
        ("server.PromptServer.instance.send_sync", Presence.PRESENT),
        ("server.PromptServer.instance.number", Presence.ABSENT),
        ("app.logger.setup_logger", Presence.ABSENT),
    ],
)
def test_the_surface_is_read_from_the_engine_itself(surface, name, presence) -> None:
    assert surface.of(name) is presence


GOOD = """
import folder_paths
from nodes import SaveImage

class Save(SaveImage):
    def run(self):
        return folder_paths.get_output_directory()

NODE_CLASS_MAPPINGS = {"Save (mine)": Save}
"""
MIXED = """
from comfy.model_patcher import ModelPatcher
import comfy.samplers as samplers
from .parts import patched

class Plain:
    def run(self):
        return samplers.KSampler.SAMPLERS

class Direct:
    def run(self, model):
        return ModelPatcher(model, None, None)

class Through:
    def run(self, model):
        return patched(model)

class OfTheObject:
    def run(self, model):
        copy = model.clone()
        copy.set_model_unet_function_wrapper(print)
        return copy

NODE_CLASS_MAPPINGS = {"Plain": Plain, "Direct": Direct, "Through": Through}
NODE_CLASS_MAPPINGS["Object"] = OfTheObject
"""
PARTS = """
import comfy.sample

def patched(model):
    return inner(model)

def inner(model):
    return comfy.sample.prepare_noise(model)
"""


def test_a_plugin_of_present_names_needs_the_builtin_engine_only(tmp_path, surface) -> None:
    found = scanned(tmp_path, surface, GOOD)
    assert (found.verdict, found.nodes, found.failing) == (EngineNeed.BUILTIN, 1, ())


def test_nodes_that_use_what_is_missing_are_named_with_the_place_also_through_functions(
    tmp_path, surface
) -> None:
    found = scanned(tmp_path, surface, MIXED, **{"parts.py": PARTS})
    assert (found.verdict, found.nodes) == (EngineNeed.PARTLY, 4)
    evidence = {one.node: [(e.name, e.presence, e.file) for e in one.evidence] for one in found.failing}
    assert evidence == {
        "Direct": [("comfy.model_patcher.ModelPatcher", "placeholder", "__init__.py")],
        "Through": [("comfy.sample.prepare_noise", "placeholder", "parts.py")],
        "Object": [("MODEL.set_model_unet_function_wrapper", "absent", "__init__.py")],
    }
    assert (
        found.failing[0].evidence[0].line
        == MIXED.splitlines().index("        return ModelPatcher(model, None, None)") + 1
    )


@pytest.mark.parametrize(
    "source",
    [
        "import comfy.ops\nLINEAR = comfy.ops.manual_cast.Linear(1, 1)\n",
        "from app.logger import setup_logger\n",
        "import node_helpers\nnode_helpers.no_such_function()\n",
        "import comfy.ops\n\n@comfy.ops.decorated()\ndef f(): ...\n",
        "from . import inner\n",
    ],
)
def test_what_fails_at_import_needs_the_comfyui_engine(tmp_path, surface, source) -> None:
    inner = "import protocol.thing\n"
    found = scanned(tmp_path, surface, source + "NODE_CLASS_MAPPINGS = {}\n", **{"inner.py": inner})
    assert found.verdict is EngineNeed.COMFYUI
    assert found.at_import[0].file and found.at_import[0].name in found.sentence


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import comfy.ops\n    X = comfy.ops.Linear(1)\nexcept Exception:\n    X = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.logger import setup_logger\n",
        "import nodes\nif not hasattr(nodes, 'MyPack'):\n    nodes.MyPack = {}\nX = nodes.MyPack.get('a')\n",
        "import comfy.ldm.modules\nclass Mine(comfy.ldm.modules.Block): ...\n",
        "def never_imported(): ...\n",
    ],
)
def test_what_is_guarded_set_by_the_plugin_or_only_subclassed_does_not_count(
    tmp_path, surface, source
) -> None:
    unused = "import app.logger\napp.logger.setup_logger()\n"
    found = scanned(tmp_path, surface, source, **{"not_imported.py": unused})
    assert found.verdict is EngineNeed.BUILTIN


def test_schema_nodes_are_found_by_their_ids(tmp_path, surface) -> None:
    source = """
from comfy_api.latest import io
import comfy.sample

class One(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TheOne", inputs=[io.Image.Input("image")])

    @classmethod
    def execute(cls, image):
        return io.NodeOutput(comfy.sample.sample(image))
"""
    found = scanned(tmp_path, surface, source)
    assert (found.verdict, [one.node for one in found.failing]) == (EngineNeed.COMFYUI, ["TheOne"])


def test_names_of_nodes_that_stand_in_their_classes_are_looked_up(tmp_path, surface) -> None:
    source = "class Context:\n    NAME = 'Big Context'\nNODE_CLASS_MAPPINGS = {Context.NAME: Context}\n"
    source += "import comfy.sample\nclass Bad:\n    def run(self): comfy.sample.sample()\n"
    source += "NODE_CLASS_MAPPINGS.update({'Bad': Bad})\n"
    found = scanned(tmp_path, surface, source)
    assert (found.nodes, [one.node for one in found.failing]) == (2, ["Bad"])


def test_packages_that_comfyui_brings_and_files_that_are_no_python_are_named(tmp_path, surface) -> None:
    source = "import torchvision\nfrom einops import rearrange\nimport triton\n"
    more = {"requirements.txt": "einops>=0.6\n", "old.py": "print 'python 2'\n"}
    found = scanned(tmp_path, surface, source, **more)
    assert (found.assumed, found.gpu, found.unread) == (("torchvision",), ("triton",), ("old.py",))


def test_a_scan_runs_nothing_and_takes_a_folder_a_file_or_a_repository(tmp_path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    folder = written(tmp_path / "trap", {"__init__.py": trap, "install.py": trap, "setup.py": trap})
    assert scan_source(str(folder)).verdict is EngineNeed.BUILTIN
    assert scan_source(str(folder / "__init__.py")).verdict is EngineNeed.BUILTIN
    assert not (tmp_path / "ran").exists()
    with pytest.raises(PluginSourceUnusable):
        scan_source(str(tmp_path / "nowhere"))
