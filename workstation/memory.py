"""Did the kernel kill something for memory? Counters of the control group and of the machine."""

from __future__ import annotations

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def oom_kills(pid: int | str = "self") -> int:
    """Sum of the out-of-memory kill counters that concern `pid`: it grows when the kernel killed for memory.

    Counters that this machine does not have count as zero.
    """
    return _machine() + sum(_count(file) for file in _cgroup_files(pid))


def _machine() -> int:
    return _count(Path("/proc/vmstat"))


def _cgroup_files(pid: int | str) -> list[Path]:
    files = []
    for line in _lines(Path(f"/proc/{pid}/cgroup")):
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if not controllers:
            files.append(_CGROUPS / relative / "memory.events")
        elif "memory" in controllers.split(","):
            files.append(_CGROUPS / "memory" / relative / "memory.oom_control")
    return files


def _count(file: Path) -> int:
    for line in _lines(file):
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:  # not this kernel, not readable here, or the process is gone: no counter, no evidence
        return []
