"""How secrets travel from a driver to an engine without lying on a disk.

A driver writes one JSON object to the agent's standard input. The agent keeps the values in its memory, for
as long as it may have to start the engine again, and gives them to the child that becomes the engine as
variables under a prefix; the engine itself has them under their own names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from online_runtime.instance.errors import SecretsNotHanded
from online_runtime.instance.spec import InstanceSpec

PREFIX = "STILLFRAME_SECRET_"


def handed_over(source: BinaryIO, spec: InstanceSpec) -> Mapping[str, str]:
    """The values that the spec names. Raises SecretsNotHanded: whoever started the agent was cut off."""
    if not spec.secret_names:
        return {}
    try:
        values = json.loads(source.read() or b"{}")
    except ValueError:
        values = {}
    missing = [name for name in spec.secret_names if not isinstance(values.get(name), str)]
    if missing:
        raise SecretsNotHanded(spec.instance_id, missing)
    return {name: values[name] for name in spec.secret_names}


def to_hand_over(spec: InstanceSpec) -> bytes:
    """What a driver writes to the agent's standard input."""
    return json.dumps(dict(spec.secrets)).encode()


def for_boot(secrets: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of the process that becomes the engine."""
    return {PREFIX + name: value for name, value in secrets.items()}


def handed_on(environment: Mapping[str, str], names: Iterable[str]) -> Mapping[str, str]:
    """In that process: the values again, under their own names."""
    return {name: environment[PREFIX + name] for name in names}
