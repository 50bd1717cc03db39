"""Not a test: what workflows depend on in /object_info entries, and the maker of `node_signatures.json`.

    cd tests/contract/engine && python signatures.py http://127.0.0.1:8188 > node_signatures.json

with the builtin engine at that address and no plugins. The suite then asks every engine for the same.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

# The engine's stand-in for a pack's node: not one of ComfyUI's own.
NOT_COMFYUI = ("VHS_VideoCombine",)
_LIMITS = ("default", "min", "max")


def signature(entry: dict[str, Any]) -> dict[str, Any]:
    """Inputs in their order with type and limits, outputs, and how the node is listed."""
    return {
        "inputs": [
            [name, category, *_declared(info)]
            for category in ("required", "optional")
            for name, info in entry["input"].get(category, {}).items()
        ],
        "hidden": sorted(entry["input"].get("hidden", {}).values()),
        "output": ["COMBO" if isinstance(kind, list) else kind for kind in entry["output"]],
        "output_name": entry["output_name"],
        "output_is_list": entry["output_is_list"],
        "output_node": entry["output_node"],
        "category": entry["category"],
        "deprecated": bool(entry.get("deprecated")),
    }


def _declared(info: list[Any]) -> list[Any]:
    kind = "COMBO" if isinstance(info[0], list) else info[0]
    options = info[1] if len(info) > 1 else {}
    # Choices and their defaults follow the files of a machine.
    limits = {} if kind == "COMBO" else {key: options[key] for key in _LIMITS if key in options}
    if kind == "FLOAT":
        limits = {key: float(value) for key, value in limits.items()}
    return [kind, limits]


def main(url: str) -> None:
    with urllib.request.urlopen(f"{url}/object_info", timeout=60) as answer:
        entries = json.load(answer)
    found = {name: signature(entries[name]) for name in sorted(entries) if name not in NOT_COMFYUI}
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in found]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1])
