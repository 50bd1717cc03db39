"""`python -m online_runtime.instance.boot FOLDER`: becomes the engine of one instance.

Checks, builds the view, says on which port it will serve, and executes the engine in this very process. A
failure is written to standard error, which is the engine's log, as a sentence; the exit code is then 78:
starting again is useless.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from online_runtime.instance.errors import InstanceError
from online_runtime.instance.handing import handed_on
from online_runtime.instance.isolation import isolation_available
from online_runtime.instance.private_network import LOOPBACK, OPEN, enter, prepare
from online_runtime.instance.privileges import die_with
from online_runtime.instance.spec import InstanceFolder, InstanceSpec
from online_runtime.instance.started_engine import StartedEngine, write_started
from online_runtime.instance.view import build_view, check_sources, read_spec
from workstation.engines import engine_command
from workstation.errors import WorkstationError
from workstation.identity import ProcessIdentity
from workstation.ports import free_port

MARK = "STILLFRAME_INSTANCE"  # by it drivers find what an engine left behind
EXIT_UNUSABLE = 78  # "configuration error" in sysexits.h
REFUSAL = "The instance cannot start:"  # starting again would end the same way


def boot(folder: InstanceFolder) -> NoReturn:
    """Become the engine. Raises InstanceError or WorkstationError, then nothing was started."""
    agent = os.getppid()
    spec = read_spec(folder)
    isolation = isolation_available(folder.root, network=spec.network != OPEN)
    check_sources(spec, isolation)
    process = ProcessIdentity.of(os.getpid())
    assert process is not None  # it is this process
    port = free_port()
    closed = spec.network != OPEN and not isolation.network_reason
    doorway = prepare(port, spec.network_ports if spec.network == LOOPBACK else ()) if closed else None
    kind = f"{isolation.kind.value}+{spec.network}" if closed else isolation.kind.value
    write_started(folder, StartedEngine(port, process, kind))
    workstation = build_view(spec, folder, isolation, partial(enter, doorway, port) if doorway else None)
    command = engine_command(
        workstation, listen="127.0.0.1", port=port, cpu=spec.gpu is None, extra=spec.arguments
    )
    die_with(agent)
    os.chdir(command.cwd)
    given = environment(spec, handed_on(os.environ, spec.secret_names))
    os.execve(command.argv[0], command.argv, {**command.environment, **given})


def environment(spec: InstanceSpec, secrets: Mapping[str, str]) -> Mapping[str, str]:
    """What is added to the engine's environment. Its own GPU always wins."""
    return {
        **spec.environment,
        **secrets,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that an index means the same card here and in nvidia-smi
        "CUDA_VISIBLE_DEVICES": "" if spec.gpu is None else str(spec.gpu),
        MARK: spec.instance_id,
        "STILLFRAME_SERVICE": spec.service,
        "STILLFRAME_SNAPSHOT": str(spec.snapshot_number),
    }


def main(arguments: list[str]) -> int:
    """Entry point. Returns only when the engine could not be started."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m online_runtime.instance.boot FOLDER\n")
        return 64
    try:
        boot(InstanceFolder(Path(arguments[0]).absolute()))
    except (InstanceError, WorkstationError, OSError) as error:
        sys.stderr.write(f"{REFUSAL} {error}\n")
        return EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
