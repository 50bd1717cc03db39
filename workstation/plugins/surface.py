"""Which of ComfyUI's names the builtin engine has, read from its sources. Nothing of it is imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

# ComfyUI's top-level modules that plugins reach for. A name below another root is no matter of the engine.
_ROOTS = """
    api_server app comfy comfy_api comfy_api_nodes comfy_config comfy_execution comfy_extras
    comfyui_version cuda_malloc execution folder_paths hook_breaker_ac10a0 latent_preview main
    node_helpers nodes protocol server
"""
ROOTS = frozenset(_ROOTS.split())
_SERVER = "server.PromptServer.instance."


class Presence(StrEnum):
    """What a name of ComfyUI is in the builtin engine."""

    PRESENT = "present"
    PLACEHOLDER = "placeholder"  # it imports, and says that it needs the comfyui engine when it is used
    ABSENT = "absent"  # importing it fails


@dataclass(frozen=True)
class Surface:
    """The names of each compatible module, and what answers any other name by a placeholder."""

    names: dict[str, frozenset[str]]
    open_modules: frozenset[str]
    placeholder_roots: frozenset[str]
    methods: frozenset[str]
    server_parts: frozenset[str]  # of PromptServer.instance
    node_placeholders: frozenset[str]  # the only placeholders of `nodes`

    def of(self, dotted: str) -> Presence:
        """What `dotted`, such as `comfy.utils.ProgressBar`, is."""
        module, rest = self._module(dotted)
        if dotted.startswith(_SERVER):
            part = dotted.removeprefix(_SERVER).split(".", 1)[0]
            return Presence.PRESENT if part in self.server_parts else Presence.ABSENT
        if module:
            if not rest or rest.startswith("__") or rest.split(".", 1)[0] in self.names[module]:
                return Presence.PRESENT
            return Presence.PLACEHOLDER if self._is_open(module, rest) else Presence.ABSENT
        root = dotted.split(".", 1)[0]
        return Presence.PLACEHOLDER if root in self.placeholder_roots else Presence.ABSENT

    def _module(self, dotted: str) -> tuple[str, str]:
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            module = ".".join(parts[:length])
            if module in self.names:
                return module, ".".join(parts[length:])
        return "", dotted

    def _is_open(self, module: str, rest: str) -> bool:
        if module == "nodes":
            return rest.split(".", 1)[0] in self.node_placeholders
        return module in self.open_modules or module.split(".", 1)[0] in self.placeholder_roots


def read_surface(engine: Path) -> Surface:
    """The surface of the builtin engine in folder `engine`. Raises OSError, SyntaxError."""
    compat = engine / "compat"
    names: dict[str, frozenset[str]] = {}
    opened: set[str] = set()
    for file in sorted(compat.rglob("*.py")):
        module = _module_name(file.relative_to(compat))
        if module.split(".", 1)[0] not in ROOTS:
            continue
        tree = ast.parse(file.read_bytes())
        names[module] = frozenset(_defined(tree) | _text_table(tree))
        if _answers_any_name(tree):
            opened.add(module)
    for module in list(names):
        parent, _, child = module.rpartition(".")
        if parent:
            names[parent] |= {child}
    names["nodes"] |= _classes(engine / "nodes")
    roots = _placeholder_roots(ast.parse((compat / "placeholders.py").read_bytes()))
    parts = _members(ast.parse((compat / "server.py").read_bytes()), "PromptServer")
    only = _text(ast.parse((compat / "nodes.py").read_bytes()), "_COMFYUI_ONLY")
    methods = _methods(engine / "models")
    return Surface(names, frozenset(opened), roots, methods, parts, frozenset(only.split()))


def _module_name(relative: Path) -> str:
    parts = list(relative.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _answers_any_name(tree: ast.Module) -> bool:
    """Whether the module's `__getattr__` gives placeholders rather than errors."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            return bool(names & {"placeholder", "importlib"})
    return False


def _defined(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(
                one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)
            )
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found.update((alias.asname or alias.name).split(".", 1)[0] for alias in node.names)
    return found


def _text_table(tree: ast.Module) -> set[str]:
    """Names that a module makes from a text of `Name=TYPE` pairs."""
    texts = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return {pair.partition("=")[0] for text in texts for pair in text.split() if "=" in pair}


def _text(tree: ast.Module, name: str) -> str:
    """The text that a module's constant holds; empty when there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return str(ast.literal_eval(node.value))
    return ""


def _classes(folder: Path) -> frozenset[str]:
    trees = [ast.parse(file.read_bytes()) for file in sorted(folder.glob("*.py"))]
    return frozenset(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))


def _methods(folder: Path) -> frozenset[str]:
    """All names of functions in the engine's models: what may be called on a MODEL, CLIP or VAE of it."""
    trees = [ast.parse(file.read_bytes()) for file in sorted(folder.rglob("*.py"))]
    return frozenset(
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    )


def _members(tree: ast.Module, class_name: str) -> frozenset[str]:
    """Methods of a class, and what they set on `self`."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for part in ast.walk(node):
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(part.name)
                elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    found.add(part.attr)
    return frozenset(found)


def _placeholder_roots(tree: ast.Module) -> frozenset[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_TOP_LEVEL":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
