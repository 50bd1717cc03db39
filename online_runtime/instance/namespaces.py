"""A private mount namespace, by the kernel's own calls: Python 3.11 has neither unshare nor mount.

Linux 5.12 or newer. The calling process must have one thread. Nothing here touches the mounts of any other
process.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from online_runtime.instance.errors import ViewRefused

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MS_NOSUID, MS_NODEV = 0x2, 0x4
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 0x1
SYS_MOUNT_SETATTR = 442  # the same number on every architecture

# Nothing that ties an upper layer to one lower tree or one mount: a restarted engine mounts the same layer
# again.
OVERLAY_OPTIONS = "redirect_dir=off,metacopy=off,index=off"
# Attributes of the `user.` kind are the only ones that a user namespace may write.
OVERLAY_OPTIONS_OF_A_USER = "userxattr"

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def enter(*, user_namespace: bool) -> None:
    """Move this process into a mount namespace of its own, whose changes no other process sees.

    Raises ViewRefused. With `user_namespace` an ordinary user may do it; only this user's own uid and gid
    exist in there.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | (CLONE_NEWUSER if user_namespace else 0)
    _check(_libc.unshare(ctypes.c_int(flags)), "entering a private namespace", "this process")
    if user_namespace:
        _write_map("setgroups", "deny")
        _write_map("uid_map", f"{uid} {uid} 1")
        _write_map("gid_map", f"{gid} {gid} 1")
    _mount(None, "/", None, MS_REC | MS_PRIVATE, None, "making mounts private")


def overlay(lower: Path, upper: Path, work: Path, place: Path, *, user_namespace: bool) -> None:
    """Show `lower` at `place`; every change lands in `upper`. No ',' ':' or '\\' in the paths.

    Raises ViewRefused.
    """
    options = f"lowerdir={lower},upperdir={upper},workdir={work},"
    options += OVERLAY_OPTIONS_OF_A_USER if user_namespace else OVERLAY_OPTIONS
    _mount("overlay", str(place), "overlay", MS_NOSUID | MS_NODEV, options, f"the overlay of {lower}")


def bind(source: Path, place: Path, *, read_only: bool) -> None:
    """Show `source` and all that is mounted below it at `place`. Raises ViewRefused."""
    _mount(str(source), str(place), None, MS_BIND | MS_REC, None, f"binding {source}")
    if read_only:
        make_read_only(place, with_what_is_below=True)


def cover(place: Path) -> None:
    """Hide everything below `place` behind an empty folder in memory, 1 MiB at most. Raises ViewRefused."""
    _mount("tmpfs", str(place), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m", "covering")


class Pins:
    """Folders held open, so that they can be mounted elsewhere after the path to them was covered."""

    def __init__(self) -> None:
        self._handles: list[int] = []

    def pin(self, path: Path) -> Path:
        """A path that leads to `path` whatever is mounted above it later.

        Valid in this process until `release`.
        """
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._handles.append(handle)
        return Path(f"/proc/self/fd/{handle}")

    def release(self) -> None:
        while self._handles:
            os.close(self._handles.pop())


def make_read_only(place: Path, *, with_what_is_below: bool) -> None:
    """Refuse writes through the mount at `place`, and through those below it when asked to.

    Raises ViewRefused.
    """
    attributes = _MountAttributes(set=MOUNT_ATTR_RDONLY)
    answer = _libc.syscall(
        ctypes.c_long(SYS_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        ctypes.c_char_p(os.fsencode(place)),
        ctypes.c_uint(AT_RECURSIVE if with_what_is_below else 0),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _check(answer, "making the mount read-only", str(place))


def _mount(
    source: str | None, place: str, kind: str | None, flags: int, options: str | None, step: str
) -> None:
    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    _check(
        _libc.mount(text(source), text(place), text(kind), ctypes.c_ulong(flags), text(options)), step, place
    )


def _write_map(name: str, text: str) -> None:
    try:
        Path("/proc/self", name).write_text(text)
    except OSError as error:
        raise ViewRefused(f"writing {name}", "this process", error.strerror or str(error)) from error


def _check(answer: int, step: str, place: str) -> None:
    if answer != 0:
        raise ViewRefused(step, place, os.strerror(ctypes.get_errno()))
