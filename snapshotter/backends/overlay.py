"""A workstation that lies on sealed folders: what was changed is sealed, and all sealed ones are shown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from snapshotter.backends.contract import Sealed, WayName
from snapshotter.backends.private_mounts import bind
from workstation.errors import OverlayRefused
from workstation.layout import Project
from workstation.mounting import attach, make_overlay
from workstation.overlay import MOST_SEALED, Stack, is_mounted, read_stack, seal


class Overlay:
    """The way of a workstation whose changes land in a folder of their own."""

    name: WayName = "overlay"

    def __init__(self, project: Project) -> None:
        self._project = project

    def refusal(self) -> str:
        name = self._project.name
        try:
            stack = read_stack(self._project)
        except OverlayRefused as error:
            return error.reason
        if stack is None:
            return f"not asked for (as root: stillframe snapshot overlay {name} --on)"
        if not is_mounted(self._project):
            return "its sealed folders are not mounted (root mounts them)"
        if os.geteuid() != 0:
            return "only root may seal an overlay"
        if len(stack.sealed) >= MOST_SEALED:
            return f"it lies on {len(stack.sealed)} sealed folders: stillframe snapshot overlay {name} --fold"
        return ""

    @contextmanager
    def seal(self) -> Iterator[Sealed]:
        moment_ns = time.time_ns()
        try:
            stack, seconds = seal(self._project)
        except OverlayRefused as error:
            raise OSError(None, error.reason) from error
        yield Sealed(moment_ns, seconds, lambda: self._show(stack))

    def _show(self, stack: Stack) -> None:
        place = self._project.workstation.root
        if len(stack.sealed) == 1:
            bind(stack.layers[0], place)
            return
        mount = make_overlay(stack.layers)
        try:
            attach(mount, place)
        finally:
            os.close(mount)
