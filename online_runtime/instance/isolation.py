"""What this machine lets us do to protect a snapshot from its instance. Found by doing it, not by asking."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from online_runtime.instance import namespaces
from online_runtime.instance.errors import ViewRefused
from online_runtime.instance.private_network import leave_network

SEEN = "seen "  # what a trial answers when its view was built; the rest is why its network is open


class IsolationKind(StrEnum):
    """How an instance sees its snapshot: through overlays in a mount namespace, or as a copy of its own."""

    NAMESPACE = "namespace"
    COPY = "copy"


@dataclass(frozen=True)
class Isolation:
    """What was found. `reason` says why it is a copy, and is empty for a namespace; `network_reason` why its
    network cannot be closed, and is empty when it can be or was not asked for.
    """

    kind: IsolationKind
    user_namespace: bool = False
    reason: str = ""
    network_reason: str = ""


def isolation_available(folder: Path, *, network: bool = False) -> Isolation:
    """The best protection to be had for a layer inside `folder`. The calling process must have one thread.

    A forked child builds a small view there and ends, so this costs a few milliseconds and changes no mount
    of ours. With `network` it leaves the network as well.
    """
    reasons: list[str] = []
    for user_namespace in (False, True) if os.geteuid() == 0 else (True,):
        answer = _trial(folder, user_namespace, network)
        if answer.startswith(SEEN):
            return Isolation(
                IsolationKind.NAMESPACE, user_namespace, network_reason=answer.removeprefix(SEEN)
            )
        reasons.append(answer)
    why = "; ".join(reasons)
    return Isolation(IsolationKind.COPY, reason=why, network_reason=why if network else "")


def _trial(folder: Path, user_namespace: bool, network: bool) -> str:
    trial = Path(tempfile.mkdtemp(prefix=".trial-", dir=folder))
    try:
        for name in ("lower", "upper", "work", "place", "hidden"):
            (trial / name).mkdir()
        (trial / "lower" / "seen").touch()
        return _in_a_child(trial, user_namespace, network)
    finally:
        _remove_trial(trial)


def _in_a_child(trial: Path, user_namespace: bool, network: bool) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, _try_view(trial, user_namespace, network).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text or "the trial ended without an answer"


def _try_view(trial: Path, user_namespace: bool, network: bool) -> str:
    try:
        namespaces.enter(user_namespace=user_namespace)
        pins = namespaces.Pins()
        lower, upper, work = (pins.pin(trial / name) for name in ("lower", "upper", "work"))
        namespaces.overlay(lower, upper, work, trial / "place", user_namespace=user_namespace)
        namespaces.bind(trial / "lower", trial / "lower", read_only=True)
        namespaces.cover(trial / "hidden")
        (trial / "place" / "seen").write_text("written")
    except (ViewRefused, OSError) as error:
        return str(error)
    try:
        if network:
            leave_network()
    except ViewRefused as refusal:
        return f"{SEEN}{refusal}"
    return SEEN


def _remove_trial(trial: Path) -> None:
    for inner in (trial / "work").glob("*"):
        inner.chmod(0o700)  # the kernel leaves an inner work folder that nobody may list
    shutil.rmtree(trial)


def main(arguments: list[str]) -> int:
    """`python -m online_runtime.instance.isolation FOLDER`, for processes that have more than one thread."""
    found = isolation_available(Path(arguments[0]), network=True)
    sys.stdout.write(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
