"""What the executor and the frontend see of the nodes, without torch."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from online_runtime.engine.models.errors import SamplerUnavailable
from online_runtime.engine.models.noise import TrainedNoise
from online_runtime.engine.models.offered import POSSIBLE_SAMPLERS, SAMPLERS, SCHEDULERS
from online_runtime.engine.models.schedules import sigmas_for
from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

DEFAULT_GRAPH = (
    "CheckpointLoaderSimple", "CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage",
)  # fmt: skip


def test_importing_the_nodes_and_asking_their_inputs_loads_no_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from online_runtime.engine import folders
folders.use(folders.Folders.below(Path({str(tmp_path)!r})))
from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS
for node in NODE_CLASS_MAPPINGS.values():
    node.INPUT_TYPES()
heavy = {{"torch", "diffusers", "transformers", "PIL", "accelerate"}} & set(sys.modules)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_frontends_first_graph_has_all_its_nodes() -> None:
    assert set(DEFAULT_GRAPH) <= set(NODE_CLASS_MAPPINGS)


def test_every_node_follows_the_protocol(base: Path) -> None:
    assert set(NODE_DISPLAY_NAME_MAPPINGS) == set(NODE_CLASS_MAPPINGS)
    for name, node in NODE_CLASS_MAPPINGS.items():
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional", "hidden"}, name
        assert isinstance(node.RETURN_TYPES, tuple), name
        assert callable(getattr(node, node.FUNCTION)), name
        assert node.CATEGORY, name


def test_only_saving_and_preview_are_outputs() -> None:
    outputs = {n for n, node in NODE_CLASS_MAPPINGS.items() if getattr(node, "OUTPUT_NODE", False)}
    moving = {"SaveAnimatedWEBP", "SaveAnimatedPNG", "VHS_VideoCombine"}
    assert outputs == {"SaveImage", "PreviewImage"} | moving


def test_ksampler_declares_comfyuis_inputs_in_its_order(base: Path) -> None:
    inputs = NODE_CLASS_MAPPINGS["KSampler"].INPUT_TYPES()["required"]
    assert list(inputs) == [
        "model", "seed", "steps", "cfg", "sampler_name", "scheduler",
        "positive", "negative", "latent_image", "denoise",
    ]  # fmt: skip
    assert inputs["seed"][1]["max"] == 2**64 - 1
    assert inputs["sampler_name"][0][0] == "euler"


def test_the_loader_lists_the_checkpoints_in_the_folder(base: Path) -> None:
    (base / "models/checkpoints/some").mkdir()
    (base / "models/checkpoints/some/one.safetensors").write_bytes(b"")
    inputs = NODE_CLASS_MAPPINGS["CheckpointLoaderSimple"].INPUT_TYPES()
    assert inputs == {"required": {"ckpt_name": (["some/one.safetensors"],)}}


@pytest.mark.parametrize("steps", [1, 2, 3, 20])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_schedule_descends_to_zero(scheduler: str, steps: int) -> None:
    noise = TrainedNoise()
    sigmas = sigmas_for(noise, "euler", scheduler, steps)
    assert sigmas[-1] == 0
    assert all(a > b for a, b in pairwise(sigmas))
    assert sigmas[0] <= noise.highest * (1 + 1e-9)


def test_the_trained_levels_are_those_of_stable_diffusion() -> None:
    noise = TrainedNoise()
    assert noise.lowest == pytest.approx(0.0292, abs=1e-4)
    assert noise.highest == pytest.approx(14.6146, abs=1e-4)


def test_normal_begins_at_the_highest_level_and_karras_ends_its_levels_at_the_lowest() -> None:
    noise = TrainedNoise()
    assert sigmas_for(noise, "euler", "normal", 20)[0] == pytest.approx(noise.highest)
    assert sigmas_for(noise, "euler", "karras", 20)[-2] == pytest.approx(noise.lowest)


def test_half_denoising_takes_the_second_half_of_a_run_twice_as_long() -> None:
    noise = TrainedNoise()
    whole = sigmas_for(noise, "euler", "normal", 20)
    assert sigmas_for(noise, "euler", "normal", 10, denoise=0.5) == whole[-11:]
    assert sigmas_for(noise, "euler", "normal", 10, denoise=0.0) == []


def test_beta_quantiles_are_symmetric_about_the_middle() -> None:
    sigmas = sigmas_for(TrainedNoise(), "euler", "beta", 21)
    trained = TrainedNoise().sigmas.tolist()
    places = [trained.index(sigma) for sigma in sigmas[:-1]]
    assert places[0] == 999
    for early, late in zip(places[1:], reversed(places[1:]), strict=True):
        assert early + late == pytest.approx(999, abs=1)


def test_an_unknown_scheduler_is_an_error_that_names_the_possible() -> None:
    with pytest.raises(SamplerUnavailable, match="karras"):
        sigmas_for(TrainedNoise(), "euler", "mine", 5)


def test_the_samplers_asked_for_are_possible() -> None:
    wanted = {
        "euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "lms", "dpmpp_2s_ancestral",
        "dpmpp_sde", "dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde",
        "ddim", "uni_pc", "lcm", "ddpm",
    }  # fmt: skip
    assert wanted <= set(POSSIBLE_SAMPLERS) <= set(SAMPLERS)
