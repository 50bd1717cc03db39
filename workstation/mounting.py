"""Overlay mounts by the kernel's own calls. Linux 6.8 or newer, and root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
# The same numbers on every architecture.
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK, _MOUNT_SETATTR = 429, 430, 431, 432, 433, 442
_SET_FLAG, _SET_STRING, _CREATE, _RECONFIGURE = 0, 1, 6, 7
_CLOEXEC, _EMPTY_PATH, _BENEATH = 1, 0x4, 0x200
_READ_ONLY, _MNT_DETACH, _PICK_EMPTY_PATH = 1, 2, 0x8
_AT_FDCWD = -100
# An upper is only ever read through such a mount again, so renames of folders may be written down in it.
_OPTIONS: Mapping[str, str] = {"redirect_dir": "on", "metacopy": "off", "index": "off", "xino": "off"}


class _Attributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


def make_overlay(lowers: Sequence[Path], upper: Path | None = None, work: Path | None = None) -> int:
    """A mount that is attached nowhere yet, as a descriptor; the first of `lowers` lies on top.

    Raises OSError.
    """
    context = _call(_FSOPEN, _text("overlay"), ctypes.c_uint(_CLOEXEC))
    try:
        _set(context, "source", "overlay")
        for lower in lowers:
            _set(context, "lowerdir+", os.fspath(lower))
        if upper is not None and work is not None:
            _set(context, "upperdir", os.fspath(upper))
            _set(context, "workdir", os.fspath(work))
        for name, value in _OPTIONS.items():
            _set(context, name, value)
        _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_CREATE), None, None, ctypes.c_int(0))
        return _call(_FSMOUNT, ctypes.c_int(context), ctypes.c_uint(_CLOEXEC), ctypes.c_uint(0))
    finally:
        os.close(context)


def attach(mount: int, place: Path, *, beneath: bool = False) -> None:
    """Show a mount at `place`; `beneath` what is mounted there now, so that it appears when that goes.

    Raises OSError.
    """
    flags = _EMPTY_PATH | (_BENEATH if beneath else 0)
    _call(
        _MOVE_MOUNT,
        ctypes.c_int(mount),
        _text(""),
        ctypes.c_int(_AT_FDCWD),
        _text(os.fspath(place)),
        ctypes.c_uint(flags),
    )


def make_read_only(place: Path) -> None:
    """Refuse every write through the mount that is seen at `place`, from now on. Waits for nothing.

    Raises OSError: EBUSY while a file is open for writing there; then nothing was changed.
    """
    attributes = _Attributes(set=_READ_ONLY)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    arguments = ctypes.c_int(_AT_FDCWD), _text(os.fspath(place)), ctypes.c_uint(0)
    _call(_MOUNT_SETATTR, *arguments, ctypes.byref(attributes), size)


def forbid_writes(overlay: int) -> None:
    """Refuse every write to an overlay by whichever mount, and return when what was written is on its disk.

    `overlay` is a descriptor of something in it. Raises OSError: EBUSY while a file is open for writing.
    """
    context = _call(_FSPICK, ctypes.c_int(overlay), _text(""), ctypes.c_uint(_PICK_EMPTY_PATH | _CLOEXEC))
    try:
        _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_SET_FLAG), _text("ro"), None, ctypes.c_int(0))
        _call(_FSCONFIG, ctypes.c_int(context), ctypes.c_uint(_RECONFIGURE), None, None, ctypes.c_int(0))
    finally:
        os.close(context)


def detach(place: Path) -> None:
    """Take away what is mounted on top at `place`; whoever is in there stays there. Raises OSError."""
    _check(_libc.umount2(os.fsencode(place), ctypes.c_int(_MNT_DETACH)))


def _set(context: int, name: str, value: str) -> None:
    arguments = ctypes.c_int(context), ctypes.c_uint(_SET_STRING), _text(name), _text(value), ctypes.c_int(0)
    _call(_FSCONFIG, *arguments)


def _text(value: str) -> ctypes.c_char_p:
    return ctypes.c_char_p(os.fsencode(value))


def _call(number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments))


def _check(answer: int) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer
