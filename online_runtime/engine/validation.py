"""Whether a prompt can run, and if not why: ComfyUI's error types with what each one carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import PromptRejected
from .graph import Node, is_link, links_of
from .input_checks import Reason, about, check_custom, check_literal, check_type, crash, missing
from .registry import NodeRegistry
from .schema import InputSpec, declared_inputs, input_spec, input_specs, is_output_node, parameters
from .tracebacks import PathFilter


@dataclass(frozen=True)
class Accepted:
    """A prompt that can run, at least in part: `outputs` run, `node_errors` tell which branches do not."""

    outputs: list[str]
    node_errors: dict[str, Any]


@dataclass(frozen=True)
class _Verdict:
    valid: bool
    reasons: list[Reason] = field(default_factory=list)
    crash: BaseException | None = None


def validate(
    prompt: Mapping[str, Node],
    registry: NodeRegistry,
    paths: PathFilter,
    targets: Sequence[str] | None = None,
) -> Accepted:
    """Check `prompt` and convert its literals in place (int("3") and the like).

    `targets` limits the run to these output nodes. Raises PromptRejected. Runs code of plugins: not on
    the event loop.
    """
    outputs = _outputs(prompt, registry, targets)
    check = _Validation(prompt, registry, paths)
    good = [node_id for node_id in outputs if check.output(node_id)]
    if not good:
        raise PromptRejected(
            type="prompt_outputs_failed_validation",
            message="Prompt outputs failed validation",
            details=check.summary(),
            node_errors=check.node_errors,
        )
    return Accepted(outputs=good, node_errors=check.node_errors)


def _outputs(prompt: Mapping[str, Node], registry: NodeRegistry, targets: Sequence[str] | None) -> list[str]:
    """The output nodes to run. Raises PromptRejected for nodes that cannot exist."""
    found = []
    for node_id, node in prompt.items():
        if not isinstance(node, Mapping) or "class_type" not in node:
            raise _invalid(node_id, f"Node {node_id} is missing the class_type property.")
        if not isinstance(node.get("inputs", {}), Mapping):
            raise _invalid(node_id, f"The inputs of node {node_id} are not an object.")
        name = node["class_type"]
        node_class = registry.classes.get(name) if isinstance(name, str) else None
        if node_class is None:
            raise _invalid(node_id, f"Cannot execute because node {name} does not exist.")
        if is_output_node(node_class) and (targets is None or node_id in targets):
            found.append(node_id)
    if not found:
        raise PromptRejected(type="prompt_no_outputs", message="Prompt has no outputs")
    return found


def _invalid(node_id: str, message: str) -> PromptRejected:
    return PromptRejected(type="invalid_prompt", message=message, details=f"Node ID '#{node_id}'")


class _Validation:
    """One pass over one prompt; a node that several outputs need is checked once."""

    def __init__(self, prompt: Mapping[str, Node], registry: NodeRegistry, paths: PathFilter) -> None:
        self.prompt = prompt
        self.registry = registry
        self.paths = paths
        self.node_errors: dict[str, Any] = {}
        self._verdicts: dict[str, _Verdict] = {}
        self._loop: list[str] = []

    def output(self, node_id: str) -> bool:
        """Whether output `node_id` can run; records the errors of the nodes behind it when not."""
        needed = self._check_behind(node_id)
        verdict = self._verdicts[node_id]
        if verdict.crash is not None:
            told = crash(verdict.crash, self.paths, "exception_during_validation")
            verdict = self._verdicts[node_id] = _Verdict(False, [told])
        if not verdict.valid:
            for behind in needed:
                self._record(behind, node_id)
        return verdict.valid

    def summary(self) -> str:
        """All reasons, one a line."""
        lines = [f"{e['message']}: {e['details']}" for n in self.node_errors.values() for e in n["errors"]]
        if self._loop:
            lines.append(f"Nodes {' and '.join(self._loop)} wait for each other")
        return "\n".join(lines)

    def _record(self, node_id: str, output: str) -> None:
        verdict = self._verdicts[node_id]
        # A node that only stands behind a bad one has no reasons of its own and is not listed.
        if verdict.valid or not verdict.reasons:
            return
        class_type = self.prompt[node_id]["class_type"]
        empty = {"errors": verdict.reasons, "dependent_outputs": [], "class_type": class_type}
        self.node_errors.setdefault(node_id, empty)["dependent_outputs"].append(output)

    def _check_behind(self, node_id: str) -> list[str]:
        """Check `node_id` and all it needs, farthest first; not by recursion, since chains may be long."""
        seen: dict[str, None] = {}
        entered: set[str] = set()
        todo = [node_id]
        while todo:
            current = todo[-1]
            if current in entered:
                entered.discard(todo.pop())
                if current not in self._verdicts:
                    self._verdicts[current] = self._judge(current)
            elif current in seen:
                todo.pop()
            else:
                seen[current] = None
                entered.add(current)
                behind = [source for _, source, _ in links_of(self.prompt[current]) if source in self.prompt]
                if closing := [source for source in behind if source in entered]:
                    self._loop = list(dict.fromkeys([current, *closing]))
                todo += [source for source in behind if source not in seen]
        return list(seen)

    def _judge(self, node_id: str) -> _Verdict:
        try:
            return self._verdict(node_id, self.prompt[node_id])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's code; told where it is used
            return _Verdict(False, crash=error)

    def _verdict(self, node_id: str, node: Node) -> _Verdict:
        node_class = self.registry.classes[node["class_type"]]
        validate_inputs = getattr(node_class, "VALIDATE_INPUTS", None)
        asked, asks_all = parameters(validate_inputs) if validate_inputs else (set[str](), False)
        declared = declared_inputs(node_class)
        inputs = node.get("inputs", {})
        reasons: list[Reason] = []
        types: dict[str, Any] = {}
        for spec in _specs(declared, inputs):
            value = inputs.get(spec.name)
            if spec.name not in inputs:
                reasons += [missing(spec)] if spec.category == "required" else []
            elif isinstance(value, list):
                reasons += self._link(value, spec, types, own_types="input_types" in asked)
            else:
                reasons += check_literal(inputs, spec, own_checks=asks_all or spec.name in asked)
        if validate_inputs and not reasons:
            reasons += check_custom(validate_inputs, node_class, inputs, declared, types)
        return _Verdict(not reasons and self._all_valid_behind(node), reasons)

    def _all_valid_behind(self, node: Node) -> bool:
        verdicts = [self._verdicts.get(source) for _, source, _ in links_of(node)]
        return all(verdict is not None and verdict.valid for verdict in verdicts)

    def _link(
        self, value: list[Any], spec: InputSpec, types: dict[str, Any], own_types: bool
    ) -> list[Reason]:
        if not is_link(value):
            message = "A linked input must be a list of two: node id and output index"
            return [about(spec, "bad_linked_input", message, spec.name, received_value=value)]
        types[spec.name] = received = self._linked_type(value)
        if not own_types and (wrong := check_type(spec, received, value)):
            return [wrong]
        behind = self._verdicts.get(value[0])
        if behind is not None and behind.crash is not None:
            # Told at the node that crashed, with the input that led to it, as ComfyUI does.
            told = crash(behind.crash, self.paths, "exception_during_inner_validation", spec, value)
            self._verdicts[value[0]] = _Verdict(False, [told])
        return []

    def _linked_type(self, link: list[Any]) -> Any:
        """The type that a link carries. LookupError when its node or output does not exist."""
        linked = self.registry.classes[self.prompt[link[0]]["class_type"]]
        if link[1] < 0:
            raise IndexError(f"output index {link[1]} is negative")
        return linked.RETURN_TYPES[link[1]]


def _specs(declared: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[InputSpec]:
    """All listed inputs, then those given that an open mapping accepts."""
    listed = list(input_specs(declared))
    names = {spec.name for spec in listed}
    extra = [input_spec(declared, name) for name in inputs if name not in names]
    return listed + [spec for spec in extra if spec is not None and spec.category != "hidden"]
