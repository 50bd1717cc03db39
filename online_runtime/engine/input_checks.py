"""The checks of one input of one node; each finding is ComfyUI's error entry."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .graph import is_link
from .schema import InputSpec, NodeClass, input_spec, parameters, takes_lists
from .tracebacks import PathFilter, type_name

Reason = dict[str, Any]

_MANY_CHOICES = 20  # longer lists of choices are left out of answers
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def reason(type: str, message: str, details: str, **extra: Any) -> Reason:
    """One entry of a node's `errors`."""
    return {"type": type, "message": message, "details": details, "extra_info": extra}


def about(spec: InputSpec, type: str, message: str, details: str, **extra: Any) -> Reason:
    """An entry that names the input and how it is declared."""
    return reason(type, message, details, input_name=spec.name, input_config=spec.config, **extra)


def missing(spec: InputSpec) -> Reason:
    """A required input that the prompt does not give."""
    return reason("required_input_missing", "Required input is missing", spec.name, input_name=spec.name)


def crash(
    error: BaseException, paths: PathFilter, type: str, spec: InputSpec | None = None, link: Any = None
) -> Reason:
    """An exception while a node was validated, its paths filtered."""
    message = paths.text(str(error))
    extra: dict[str, Any] = {
        "exception_message": message,
        "exception_type": type_name(error),
        "traceback": paths.frames(error),
    }
    if spec is None:
        return reason(type, "Exception when validating node", message, **extra)
    return about(spec, type, "Exception when validating inner node", message, linked_node=link, **extra)


def check_type(spec: InputSpec, received: Any, link: list[Any]) -> Reason | None:
    """A finding when an output of type `received` may not be linked to this input."""
    if _compatible(received, spec.type):
        return None
    details = f"{spec.name}, received_type({received}) mismatch input_type({spec.type})"
    return about(
        spec,
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
        details,
        received_type=received,
        linked_node=link,
    )


def _compatible(received: Any, wanted: Any) -> bool:
    # By `!=`, since plugins make types that equal any other by overriding just that.
    if not received != wanted:  # noqa: SIM202 - `==` is not what they override
        return True
    if isinstance(received, list) or isinstance(wanted, list):
        return "COMBO" in (received, wanted) or "*" in (received, wanted)
    if not (isinstance(received, str) and isinstance(wanted, str)):
        return False
    given, accepted = (set(map(str.strip, types.split(","))) for types in (received, wanted))
    return "*" in given | accepted or bool(given & accepted)


def check_literal(inputs: MutableMapping[str, Any], spec: InputSpec, own_checks: bool) -> list[Reason]:
    """Convert a literal in place and check its range or choice.

    `own_checks`: VALIDATE_INPUTS asks for this input and so replaces range and choice checks.
    """
    value = inputs[spec.name]
    if isinstance(value, dict) and "__value__" in value:  # a literal list, told apart from a link
        value = inputs[spec.name] = value["__value__"]
    convert = _CONVERSIONS.get(spec.type) if isinstance(spec.type, str) else None
    if convert is not None:
        try:
            value = inputs[spec.name] = convert(value)
        except (ValueError, TypeError, OverflowError) as error:
            message = f"Failed to convert an input value to a {spec.type} value"
            details = f"{spec.name}, {value}, {error}"
            extra = {"received_value": value, "exception_message": str(error)}
            return [about(spec, "invalid_input_type", message, details, **extra)]
    return [] if own_checks else _check_range(spec, value) + _check_choice(spec, value)


def _check_range(spec: InputSpec, value: Any) -> list[Reason]:
    if not isinstance(value, int | float):
        return []
    low, high = spec.options.get("min"), spec.options.get("max")
    # Written so that NaN fails too.
    if low is not None and not value >= low:
        message = f"Value {value} smaller than min of {low}"
        return [about(spec, "value_smaller_than_min", message, spec.name, received_value=_json(value))]
    if high is not None and not value <= high:
        message = f"Value {value} bigger than max of {high}"
        return [about(spec, "value_bigger_than_max", message, spec.name, received_value=_json(value))]
    return []


def _json(value: float) -> Any:
    return value if math.isfinite(value) else str(value)


def _check_choice(spec: InputSpec, value: Any) -> list[Reason]:
    choices = spec.choices
    if choices is None:
        return []
    wrong = [item for item in (value if isinstance(value, list) else [value]) if item not in choices]
    if not wrong:
        return []
    many = len(choices) > _MANY_CHOICES
    shown = f"(list of length {len(choices)})" if many else str(choices)
    details = f"{spec.name}: {', '.join(repr(item) for item in wrong)} not in {shown}"
    found = about(spec, "value_not_in_list", "Value not in list", details, received_value=value)
    if many:
        found["extra_info"]["input_config"] = None
    return [found]


def check_custom(
    validate_inputs: Callable[..., Any],
    node_class: NodeClass,
    inputs: MutableMapping[str, Any],
    declared: Any,
    types: dict[str, Any],
) -> list[Reason]:
    """What the class's own VALIDATE_INPUTS says; linked inputs are None. Raises what it raises."""
    asked, asks_all = parameters(validate_inputs)
    specs = {name: spec for name in inputs if (spec := input_spec(declared, name)) is not None}
    specs = {name: spec for name, spec in specs.items() if asks_all or name in asked}
    arguments: dict[str, Any] = {name: None if is_link(inputs[name]) else inputs[name] for name in specs}
    if takes_lists(node_class):
        arguments = {name: [value] for name, value in arguments.items()}
    if "input_types" in asked:
        arguments["input_types"] = [types] if takes_lists(node_class) else types
    result = validate_inputs(**arguments)
    if inspect.isawaitable(result):
        result = asyncio.run(_awaited(result))
    if result is True:
        return []
    return _custom_findings(specs, inputs, result)


def _custom_findings(specs: dict[str, InputSpec], inputs: Any, result: Any) -> list[Reason]:
    message = "Custom validation failed for node"
    said = "" if result is False else f" - {result}"
    if not specs:
        return [reason("custom_validation_failed", message, said.removeprefix(" - "))]
    return [
        about(spec, "custom_validation_failed", message, f"{name}{said}", received_value=_shown(inputs[name]))
        for name, spec in specs.items()
    ]


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value
