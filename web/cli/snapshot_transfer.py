"""`stillframe snapshot export, import, push, pull, sbom`: snapshots that leave a home and come into one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from web.cli.options import HomeOption, JsonOption, ProjectArgument, SnapshotArgument

if TYPE_CHECKING:
    from rich.status import Status

    from snapshotter.transfer.landing import Imported
    from snapshotter.transfer.progress import TransferProgress

SHOWN_SECONDS = 0.1
BaseOption = Annotated[
    bool,
    typer.Option("--base/--no-base", help="With the base's bytes; without, the other home must have it."),
]
UrlArgument = Annotated[
    str, typer.Argument(help="A folder that fsspec knows: file:///FOLDER, s3://BUCKET/FOLDER.")
]


def add_to(snapshot: typer.Typer) -> None:
    """Add these commands to the noun `snapshot`."""
    snapshot.command("export")(export_one)
    snapshot.command("import")(import_one)
    snapshot.command("push")(push)
    snapshot.command("pull")(pull)
    snapshot.command("sbom")(print_sbom)


def export_one(
    project: ProjectArgument,
    snapshot: SnapshotArgument,
    file: Annotated[Path, typer.Argument(help="The file to write; what was cut off goes on.")],
    base: BaseOption = True,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a snapshot to one file that another home can import without a network."""
    from snapshotter.objects import Store
    from snapshotter.transfer.archive_out import export_snapshot
    from web.cli.opening import opened
    from web.cli.output import show, size
    from web.errors import FileUnreadable
    from web.snapshots import found_snapshot

    here = opened(home)
    found = found_snapshot(here, project, snapshot)
    try:
        with _live("export", quiet=as_json) as progress:
            made = export_snapshot(Store(here.home.store), found, file, base=base, progress=progress)
    except OSError as problem:
        raise FileUnreadable(file, problem.strerror or str(problem)) from problem
    lines = [f"Snapshot {found.number} ({found.short_id}) is in {made.file}: {size(made.file_bytes)}."]
    if made.continued_bytes:
        lines.append(f"{size(made.continued_bytes)} of it were there already.")
    if made.left_out:
        lines.append(f"Left out: {', '.join(made.left_out)}. The other home must have it.")
    show(made, *lines, as_json=as_json)


def import_one(
    project: ProjectArgument,
    file: Annotated[Path, typer.Argument(help="A file that `snapshot export` wrote.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a snapshot out of a file into a project. Every byte is proved; it needs no network."""
    from snapshotter.objects import Store
    from snapshotter.transfer.archive_in import import_snapshot
    from web.cli.opening import known_project, opened
    from web.errors import FileUnreadable

    here = opened(home)
    folder = known_project(here, project).snapshots
    try:
        with _live("import", quiet=as_json) as progress:
            got = import_snapshot(Store(here.home.store), folder, file, project=project, progress=progress)
    except OSError as problem:
        raise FileUnreadable(file, problem.strerror or str(problem)) from problem
    _tell(got, as_json=as_json)


def push(
    project: ProjectArgument,
    snapshot: SnapshotArgument,
    url: UrlArgument,
    base: BaseOption = True,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a snapshot to a folder at a URL; only what is missing there travels.

    Passwords belong in the configuration of the storage's library, not in the URL.
    """
    from snapshotter.objects import Store
    from snapshotter.transfer.remote import push_snapshot
    from web.cli.opening import opened
    from web.cli.output import show, size
    from web.snapshots import found_snapshot

    here = opened(home)
    found = found_snapshot(here, project, snapshot)
    with _live("push", quiet=as_json) as progress:
        sent = push_snapshot(Store(here.home.store), found, url, base=base, progress=progress)
    line = (
        f"Snapshot {found.number} ({found.short_id}) is at {sent.url}: {sent.objects_sent} objects sent "
        f"({size(sent.bytes_sent)}), {sent.objects_there} were there."
    )
    left = [f"Left out: {', '.join(sent.left_out)}. The other home must have it."] if sent.left_out else []
    show(sent, line, *left, as_json=as_json)


def pull(
    project: ProjectArgument,
    url: UrlArgument,
    snapshot: Annotated[
        str, typer.Argument(help="A number, the start of an id, `latest`, or PROJECT/NUMBER.")
    ] = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a snapshot from a folder at a URL into a project; only what is missing here travels."""
    from snapshotter.objects import Store
    from snapshotter.transfer.remote import pull_snapshot
    from web.cli.opening import known_project, opened

    here = opened(home)
    folder = known_project(here, project).snapshots
    with _live("pull", quiet=as_json) as progress:
        got = pull_snapshot(Store(here.home.store), folder, url, snapshot, project=project, progress=progress)
    _tell(got, as_json=as_json)


def print_sbom(
    project: ProjectArgument,
    snapshot: SnapshotArgument = "latest",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a snapshot is made of as CycloneDX JSON. With or without --json it is the same."""
    from snapshotter.objects import Store
    from snapshotter.sbom import sbom
    from web.cli.opening import opened
    from web.snapshots import found_snapshot

    here = opened(home)
    typer.echo(sbom(Store(here.home.store), found_snapshot(here, project, snapshot)), nl=False)


def _tell(got: Imported, *, as_json: bool) -> None:
    from web.cli.output import show, size

    one = got.snapshot
    if got.new:
        brought = f"{got.objects_stored} new objects, {size(got.bytes_stored)}"
        line = f"Snapshot {one.number} ({one.short_id}) of {one.project} is here and whole: {brought}."
    else:
        line = f"Snapshot {one.number} ({one.short_id}) of {one.project} was here already; it is whole."
    taken = [f"From this store: {', '.join(got.from_store)}."] if got.from_store else []
    show(got, line, *taken, *got.notes, as_json=as_json)


@contextmanager
def _live(doing: str, *, quiet: bool) -> Iterator[Callable[[TransferProgress], None]]:
    """A line at a terminal that says how far it is; nothing elsewhere."""
    import sys

    from web.cli.output import console

    if quiet or not sys.stdout.isatty():
        yield lambda _: None
        return
    with console().status(doing) as status:
        yield _Line(doing, status).show


class _Line:
    def __init__(self, doing: str, status: Status) -> None:
        self._doing, self._status, self._last = doing, status, 0.0

    def show(self, now: TransferProgress) -> None:
        from web.cli.output import size

        if time.monotonic() - self._last < SHOWN_SECONDS:
            return
        self._last = time.monotonic()
        of = f" of {now.files_total} ({size(now.bytes_total)})" if now.files_total else ""
        self._status.update(f"{self._doing}: {now.phase} {now.files_done}, {size(now.bytes_done)}{of}")
