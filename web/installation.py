"""One home as the doors use it: its paths, its settings, and the publisher on its control database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from web.errors import HomeNotFound, PlatformNotRunning
from web.settings import Chosen, home_path, read_settings
from web.supervisor.record import UpRecord, running

if TYPE_CHECKING:
    from publisher.db.control import Control
    from publisher.service import Publisher
    from publisher.snapshots import Snapshots
    from workstation.layout import Home


@dataclass(frozen=True)
class Installation:
    """A home that exists. `publisher` opens the control database at its first use."""

    home: Home
    chosen: Chosen

    @cached_property
    def control(self) -> Control:
        """The control database, open and up to date. Raises ControlTooNew."""
        from publisher.db.control import open_control

        return open_control(self.chosen.platform.control_database(self.home))

    @cached_property
    def publisher(self) -> Publisher:
        """The use cases of online services."""
        from publisher.service import Publisher
        from publisher.tasks import waker

        settings = self.chosen.platform
        return Publisher(self.home, self.control, settings, waker(self.home, settings))

    @property
    def snapshots(self) -> Snapshots:
        """Freezes workstations as deployments do."""
        from publisher.freezing import ProjectSnapshots

        return ProjectSnapshots(self.home)

    @property
    def running(self) -> UpRecord | None:
        """The `stillframe up` that serves this home now."""
        return running(self.home.run)

    def require_running(self, wanted_for: str) -> UpRecord:
        """Raises PlatformNotRunning, which says to run `stillframe up`."""
        record = self.running
        if record is None:
            raise PlatformNotRunning(self.home.root, wanted_for)
        return record


def open_installation(
    given: Path | None, environment: Mapping[str, str], *, make: bool = False
) -> Installation:
    """Read the settings and open the home. Raises HomeNotFound when it is not there and `make` is False."""
    from workstation.home import open_home

    root = home_path(given, environment)
    if not make and not root.is_dir():
        raise HomeNotFound(root)
    return Installation(home=open_home(root), chosen=read_settings(root, environment))
