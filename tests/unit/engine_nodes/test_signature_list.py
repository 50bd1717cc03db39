"""The list of nodes that is compared with ComfyUI's is whole."""

from __future__ import annotations

import json
from pathlib import Path

from online_runtime.engine.nodes import NODE_CLASS_MAPPINGS
from online_runtime.engine.registry import STAND_INS

LIST = Path(__file__).parents[2] / "contract" / "engine" / "node_signatures.json"


def test_every_node_is_compared_with_comfyuis_of_that_name_but_those_that_stand_in_for_packs() -> None:
    listed = set(json.loads(LIST.read_text()))
    assert listed == set(NODE_CLASS_MAPPINGS) - STAND_INS, (
        "make the list anew as contract/engine/signatures.py says"
    )
