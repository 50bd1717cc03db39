"""Prints the builtin nodes as a Markdown table, for the docs: class, category, first line of the docstring.

python -m online_runtime.engine.nodes
"""

from __future__ import annotations

import sys

from . import NODE_CLASS_MAPPINGS


def table() -> str:
    """One row a class, by category and name."""
    rows = ["| class | category | what it does |", "|---|---|---|"]
    nodes = sorted(NODE_CLASS_MAPPINGS.items(), key=lambda item: (getattr(item[1], "CATEGORY", ""), item[0]))
    for name, node in nodes:
        first = " ".join((node.__doc__ or "").strip().split("\n\n")[0].split())
        rows.append(f"| `{name}` | {getattr(node, 'CATEGORY', '')} | {first} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
