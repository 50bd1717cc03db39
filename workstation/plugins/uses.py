"""What one source file of a plugin uses of ComfyUI, definition by definition. Pure: from text to facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from workstation.plugins.surface import ROOTS

# Methods and parts of ComfyUI's MODEL, CLIP and VAE objects that plugins take hold of. Names that other
# objects have too, such as `clone`, are left out.
_OBJECT_PARTS = """
    add_object_patch add_patches add_wrapper_with_key apply_model cond_stage_model diffusion_model
    encode_from_tokens encode_from_tokens_scheduled first_stage_model get_key_patches get_model_object
    inject_model latent_format model_options model_patches model_sampling patch_model
    set_model_attn1_output_patch set_model_attn1_patch set_model_attn1_replace
    set_model_attn2_output_patch set_model_attn2_patch set_model_attn2_replace
    set_model_denoise_mask_function set_model_input_block_patch set_model_output_block_patch
    set_model_patch set_model_patch_replace set_model_sampler_cfg_function
    set_model_sampler_post_cfg_function set_model_sampler_pre_cfg_function
    set_model_unet_function_wrapper unpatch_model
"""
OBJECT_PARTS = frozenset(_OBJECT_PARTS.split())
_GUARDS = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"})


@dataclass(frozen=True)
class Use:
    """One place that names something of ComfyUI. `hard`: it fails there when the name is a placeholder."""

    name: str
    line: int
    hard: bool
    of_object: bool = False
    stored: bool = False  # the plugin sets it itself


@dataclass
class Definition:
    """A function or class at the top of a file, or the file's own statements (`name` empty)."""

    name: str
    line: int
    uses: list[Use] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)
    node_id: str = ""


@dataclass
class Source:
    """One file: its definitions, what its names stand for, and the node classes that it maps."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    imported: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # name: dots, module, name there
    loaded: list[tuple[int, str]] = field(default_factory=list)  # the plugin's own modules that it imports
    mapped: list[tuple[str, str]] = field(default_factory=list)  # shown name or CLASS.ATTRIBUTE, class


def read_source(text: bytes, name: str) -> Source:
    """The facts of one file. Raises SyntaxError, ValueError."""
    tree = ast.parse(text, filename=name)
    found = Source()
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        _note_import(node, aliases, found)
    top = Definition("", 1)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = Definition(node.name, node.lineno)
            _Reader(aliases, inner).visit(node)
            _note_class(node, inner)
            found.definitions[node.name] = inner
            _read_now(node, aliases, top)
        else:
            _Reader(aliases, top).visit(node)
            found.mapped += _mapped(node)
    found.definitions[""] = top
    return found


def _note_import(node: ast.AST, aliases: dict[str, str], found: Source) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".", 1)[0] in ROOTS:
                aliases[alias.asname or alias.name.split(".", 1)[0]] = (
                    alias.name if alias.asname else alias.name.split(".", 1)[0]
                )
    elif isinstance(node, ast.ImportFrom):
        module = node.module or ""
        for alias in node.names:
            if node.level == 0 and module.split(".", 1)[0] in ROOTS:
                aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
            elif node.level:
                found.imported[alias.asname or alias.name] = (node.level, module, alias.name)
        if node.level:
            found.loaded.append((node.level, module))
            found.loaded += [
                (node.level, f"{module}.{alias.name}".lstrip("."))
                for alias in node.names
                if alias.name != "*"
            ]


def _read_now(node: ast.AST, aliases: dict[str, str], top: Definition) -> None:
    """What runs as the file is imported although it stands in a definition: decorators, class bodies."""
    reader = _Reader(aliases, top)
    for part in getattr(node, "decorator_list", []):
        reader.visit(part)
    if isinstance(node, ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
                reader.visit(statement)


def _note_class(node: ast.AST, definition: Definition) -> None:
    if not isinstance(node, ast.ClassDef):
        return
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name) and isinstance(statement.value.value, str):
                    definition.constants[target.id] = statement.value.value
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _last_name(call.func) == "Schema":
            for keyword in call.keywords:
                if keyword.arg == "node_id" and isinstance(keyword.value, ast.Constant):
                    definition.node_id = str(keyword.value.value)


def _mapped(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Entries of NODE_CLASS_MAPPINGS that a statement makes."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        if (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "update"
            and _is_mapping(call.func.value)
        ):
            for argument in call.args:
                yield from _entries(argument)
        return
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if _is_mapping(target) and node.value is not None:
            yield from _entries(node.value)
        elif isinstance(target, ast.Subscript) and _is_mapping(target.value) and node.value is not None:
            yield _key(target.slice), _last_name(node.value)


def _entries(value: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if key is not None:
                yield _key(key), _last_name(item)


def _key(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return ast.unparse(node)


def _is_mapping(node: ast.expr) -> bool:
    # Packs gather their nodes in dictionaries of other names that end alike.
    name = _last_name(node)
    return name.upper().endswith(("CLASS_MAPPINGS", "NODE_CLASSES", "NODE_CONFIG"))


def _last_name(node: ast.AST) -> str:
    """The last name of `a.b.c` or of `c`; of a dictionary with a "class", that class."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "class":
                return _last_name(value)
    if isinstance(node, ast.Call):
        return next((_last_name(argument) for argument in node.args), "")
    return ""


class _Reader(ast.NodeVisitor):
    """Collects the uses below one node."""

    def __init__(self, aliases: dict[str, str], into: Definition) -> None:
        self._aliases = aliases
        self._into = into
        self._guarded = 0

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._note(alias.name, node.lineno, hard=False)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            for alias in node.names:
                self._note(f"{node.module}.{alias.name}", node.lineno, hard=False)

    def visit_Try(self, node: ast.Try) -> None:
        guarded = any(handler.type is None or _caught(handler.type) & _GUARDS for handler in node.handlers)
        self._guarded += guarded
        for statement in node.body:
            self.visit(statement)
        self._guarded -= guarded
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_If(self, node: ast.If) -> None:
        if _last_name(node.test) == "TYPE_CHECKING":
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self._chain(node.func, hard=True)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            self.visit(argument)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._chain(node.value, hard=True)
        self.visit(node.slice)

    def visit_For(self, node: ast.For) -> None:
        self._chain(node.iter, hard=True)
        for part in (node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._chain(node, hard=False)

    def visit_Name(self, node: ast.Name) -> None:
        self._chain(node, hard=False)

    def visit_arg(self, node: ast.arg) -> None:
        """Annotations are not run in a way that matters."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *node.body):
            self.visit(part)

    def _chain(self, node: ast.expr, *, hard: bool) -> None:
        names: list[str] = []
        at: ast.expr = node
        while isinstance(at, ast.Attribute):
            names.append(at.attr)
            at = at.value
        if not isinstance(at, ast.Name):
            for name in names:
                self._note_part(name, node.lineno)
            if at is node:
                self.generic_visit(at)  # not a chain: look inside
            else:
                self.visit(at)
            return
        if at.id in self._aliases:
            stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            self._note(
                ".".join([self._aliases[at.id], *reversed(names)]), node.lineno, hard=hard, stored=stored
            )
            return
        self._into.references.add(at.id)
        for name in names:
            self._note_part(name, node.lineno)

    def _note_part(self, name: str, line: int) -> None:
        if name in OBJECT_PARTS:
            self._note(name, line, hard=True, of_object=True)

    def _note(
        self, name: str, line: int, *, hard: bool, of_object: bool = False, stored: bool = False
    ) -> None:
        known = of_object or name.split(".", 1)[0] in ROOTS
        if known and (stored or not self._guarded):
            self._into.uses.append(Use(name, line, hard, of_object, stored))


def _caught(node: ast.expr) -> set[str]:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {_last_name(part) for part in parts}
