"""What an engine may still do after its view is built: not change it, and not look around it. Linux only.

As root the engine loses the capabilities to mount and to look into other processes; it stays root otherwise.
As an ordinary user it keeps one capability of its user namespace, which reaches only this user's own files:
to write to files that are frozen with mode 0444 (the overlay puts the change into the private layer).
"""

from __future__ import annotations

import ctypes
import os
import signal

from online_runtime.instance.errors import ViewRefused

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 24, 47, 2
CAP_DAC_OVERRIDE, CAP_SYS_PTRACE, CAP_SYS_ADMIN = 1, 19, 21
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def give_up_mounting() -> None:
    """For root: no program started from here can mount or reach another's view. Raises ViewRefused."""
    for capability in (CAP_SYS_ADMIN, CAP_SYS_PTRACE):
        _prctl("giving up a capability", PR_CAPBSET_DROP, capability)


def keep_writing_own_files() -> None:
    """For an ordinary user in a user namespace: modes do not bind it on its own files. Raises ViewRefused."""
    header, sets = _Header(CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    _check(_libc.capget(ctypes.byref(header), sets), "reading capabilities")
    sets[0].inheritable |= 1 << CAP_DAC_OVERRIDE
    _check(_libc.capset(ctypes.byref(header), sets), "keeping a capability")
    _prctl("keeping a capability", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends.

    End at once when `parent` is no longer its parent. A change of credentials clears what was set before, so
    it is set again here.
    """
    _prctl("following the agent", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(step: str, option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _check(_libc.prctl(ctypes.c_int(option), *padded), step)


def _check(answer: int, step: str) -> None:
    if answer != 0:
        raise ViewRefused(step, "this process", os.strerror(ctypes.get_errno()))
