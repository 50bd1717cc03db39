"""Workflows, import reports and exits: read from text alone."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta

import pytest

from workstation.command import START_MARK, Exit, ExitKind, RestartPolicy, exit_of
from workstation.errors import EmptyWorkflow, NotJson, UiFormatWorkflow
from workstation.plugins.imports import import_report
from workstation.workflows import missing_models, parse_workflow, unknown_nodes

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd\\v1.safetensors"}},
    "5": {"class_type": "LoraLoader", "inputs": {"lora_name": "fur.safetensors", "model": ["4", 0]}},
    "6": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a cat, (embedding:calm:1.2)", "clip": ["4", 1]},
    },
    "7": {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": "vit.safetensors"}},
    "8": {"class_type": "VAELoader", "inputs": {"vae_name": "taesd"}},
    "9": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
}


def test_a_workflow_names_its_node_classes_and_models():
    workflow = parse_workflow(json.dumps(WORKFLOW))
    assert "CLIPTextEncode" in workflow.node_classes()
    assert workflow.model_names() == {
        ("checkpoints", "sd/v1.safetensors"),
        ("loras", "fur.safetensors"),
        ("embeddings", "calm"),
        ("clip_vision", "vit.safetensors"),
        ("diffusion_models", "flux.safetensors"),
    }


def test_missing_models_are_named_with_their_folder_and_node():
    present = {"checkpoints": ["sd/v1.safetensors"], "embeddings": ["calm.pt"], "unet": ["flux.safetensors"]}
    missing = missing_models(parse_workflow(json.dumps(WORKFLOW)), present)
    assert [(m.kind, m.name, m.nodes) for m in missing] == [
        ("clip_vision", "vit.safetensors", ("7",)),
        ("loras", "fur.safetensors", ("5",)),
    ]
    assert "models/loras" in missing[1].sentence


def test_unknown_nodes_are_named():
    found = unknown_nodes(parse_workflow(json.dumps(WORKFLOW)), {"CheckpointLoaderSimple", "CLIPTextEncode"})
    assert [node.class_type for node in found] == [
        "CLIPVisionLoader",
        "LoraLoader",
        "UNETLoader",
        "VAELoader",
    ]


def test_a_whole_prompt_body_is_a_workflow_too():
    assert parse_workflow(json.dumps({"prompt": WORKFLOW, "client_id": "x"})).prompt == WORKFLOW


@pytest.mark.parametrize("text", ["{", "", b"\xff\xfe{", "[" * 100_000])
def test_what_is_not_json_says_so(text):
    with pytest.raises(NotJson):
        parse_workflow(text)


def test_the_editors_format_is_refused_with_how_to_export():
    with pytest.raises(UiFormatWorkflow, match="Export"):
        parse_workflow('{"nodes": [], "links": [], "version": 0.4}')


@pytest.mark.parametrize(
    "text", ["{}", "[]", "3", '{"1": {"inputs": {}}}', '{"1": {"class_type": "A", "inputs": []}}']
)
def test_json_that_is_no_workflow_is_refused(text):
    with pytest.raises(EmptyWorkflow):
        parse_workflow(text)


FAILURE = "Cannot import /w/custom_nodes/bad module for custom nodes: No module named 'nothing_here'"
LOG = f"""
{START_MARK} at yesterday
Import times for custom nodes:
   0.5 seconds (IMPORT FAILED): /w/custom_nodes/gone
{START_MARK} at today
[INFO] Prestartup times for custom nodes:
[INFO]    0.9 seconds: /w/custom_nodes/early
2026-01-01 10:00:00,123 WARNING Traceback (most recent call last):
  File "/w/custom_nodes/bad/__init__.py", line 1, in <module>
    import nothing_here
ModuleNotFoundError: No module named 'nothing_here'

2026-01-01 10:00:00,123 WARNING {FAILURE}
[INFO]
Import times for custom nodes:
   0.0 seconds: /w/custom_nodes/single.py
[2026-01-01 10:00:00.1] [INFO]    0.1 seconds (IMPORT FAILED): /w/custom_nodes/bad
   1.4 seconds: /w/custom_nodes/with space

   9.9 seconds: /w/custom_nodes/not-in-the-block
"""


def test_the_import_report_names_each_plugin_of_the_last_start_with_its_traceback():
    report = import_report(LOG)
    assert {name: result.ok for name, result in report.items()} == {
        "bad": False,
        "single": True,
        "with space": True,
        "not-in-the-block": True,
    }
    assert report["bad"].error == "No module named 'nothing_here'"
    assert report["bad"].traceback.startswith("Traceback (most recent call last):")
    assert report["bad"].traceback.endswith("ModuleNotFoundError: No module named 'nothing_here'")
    assert report["with space"].seconds == 1.4


def test_a_plugin_that_failed_is_reported_though_the_block_never_came():
    text = f"Traceback (most recent call last):\n  x\nE: 1\n{FAILURE}\n"
    assert not import_report(text)["bad"].ok


def test_a_chained_traceback_is_kept_whole():
    text = (
        "Traceback (most recent call last):\nKeyError: 'a'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\nValueError: b\n\n"
        "Cannot import /w/custom_nodes/bad module for custom nodes: b\n"
    )
    assert "KeyError" in import_report(text)["bad"].traceback


def test_an_empty_log_reports_nothing():
    assert import_report("") == {}


@pytest.mark.parametrize(
    ("returncode", "killed_for_memory", "kind"),
    [
        (0, True, ExitKind.CLEAN),
        (3, True, ExitKind.ERROR),
        (-signal.SIGKILL, False, ExitKind.SIGNAL),
        (-signal.SIGKILL, True, ExitKind.OUT_OF_MEMORY),
        (137, False, ExitKind.OUT_OF_MEMORY),
        (-signal.SIGSEGV, True, ExitKind.SIGNAL),
    ],
)
def test_exits_are_told_apart(returncode, killed_for_memory, kind):
    found = exit_of(returncode, killed_for_memory=killed_for_memory, at=NOW, log_tail=("CUDA out of memory",))
    assert found.kind is kind
    assert Exit.from_json(json.loads(json.dumps(found.as_json()))) == found


def _exits(*seconds: float, tail: tuple[str, ...] = ()) -> list[Exit]:
    return [Exit(ExitKind.ERROR, 1, None, NOW + timedelta(seconds=s), tail) for s in seconds]


def test_restarts_wait_longer_each_time_and_are_given_up():
    policy = RestartPolicy(delays_seconds=(1, 2, 4), give_up_after=5)
    seconds = [0.0, 1, 3, 7, 11]
    assert [policy.delay_seconds(_exits(*seconds[: n + 1])) for n in range(5)] == [1, 2, 4, 4, None]


def test_exits_long_ago_do_not_count():
    policy = RestartPolicy(give_up_after=2, window_seconds=600)
    assert policy.delay_seconds(_exits(0, 601)) == 1
    assert policy.delay_seconds(_exits(0, 599)) is None


def test_a_hopeless_exit_is_final_at_once():
    policy = RestartPolicy(hopeless=("address already in use",))
    assert policy.delay_seconds(_exits(0, tail=("OSError: address already in use",))) is None
