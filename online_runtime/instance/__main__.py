"""`python -m online_runtime.instance FOLDER`: the agent of the instance whose spec.json lies in FOLDER.

Ends with 0 after SIGTERM or SIGINT, with 75 when another agent keeps the instance, with 78 when its spec is
unusable.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from online_runtime.instance.agent import Agent, hold
from online_runtime.instance.errors import AlreadyRunning, InstanceError
from online_runtime.instance.handing import handed_over
from online_runtime.instance.spec import InstanceFolder
from online_runtime.instance.view import read_spec


def main(arguments: list[str]) -> int:
    """Entry point. Keeps the instance until it is told to end."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m online_runtime.instance FOLDER\n")
        return 64
    folder = InstanceFolder(Path(arguments[0]).absolute())
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    try:
        hold(folder)
        spec = read_spec(folder)
        secrets = handed_over(sys.stdin.buffer, spec)
        agent = Agent(folder, spec, dict(os.environ), secrets=secrets)
    except AlreadyRunning as error:
        sys.stderr.write(f"{error}\n")
        return 75
    except (InstanceError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 78

    def end(number: int, frame: FrameType | None) -> None:
        agent.stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
