"""Every node of the builtin engine has the inputs, outputs and limits of ComfyUI's node of that name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "node_signatures.json").read_text())

_spec = importlib.util.spec_from_file_location("contract_signatures", HERE / "signatures.py")
signatures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(signatures)


@pytest.mark.parametrize("name", list(EXPECTED))
async def test_a_node_has_comfyuis_signature(client, name):
    entry = (await client.json(f"/object_info/{name}"))[name]
    assert signatures.signature(entry) == EXPECTED[name]


SAMPLERS = (
    "euler euler_cfg_pp euler_ancestral euler_ancestral_cfg_pp heun heunpp2 dpm_2 "
    "dpm_2_ancestral lms dpm_fast dpm_adaptive dpmpp_2s_ancestral dpmpp_2s_ancestral_cfg_pp "
    "dpmpp_sde dpmpp_sde_gpu dpmpp_2m dpmpp_2m_cfg_pp dpmpp_2m_sde dpmpp_2m_sde_gpu "
    "dpmpp_3m_sde dpmpp_3m_sde_gpu ddpm lcm ipndm ipndm_v deis ddim uni_pc uni_pc_bh2"
)
SCHEDULERS = "simple sgm_uniform karras exponential ddim_uniform beta normal linear_quadratic kl_optimal"


@pytest.mark.parametrize(("name", "offered"), [("sampler_name", SAMPLERS), ("scheduler", SCHEDULERS)])
async def test_the_names_of_samplers_and_schedulers_are_offered(client, name, offered):
    required = (await client.json("/object_info/KSampler"))["KSampler"]["input"]["required"]
    names = required[name][0]
    assert set(offered.split()) <= set(names) and len(names) == len(set(names))
