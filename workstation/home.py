"""Opening a home folder: made on first use, refused when a newer version made it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from workstation.atomic import write_text
from workstation.errors import HomeTooNew, HomeUnreadable
from workstation.layout import Home
from workstation.models import KINDS

FORMAT = 1


def open_home(path: Path | str) -> Home:
    """The home folder at `path`, made with mode 0700 when it is not there.

    Raises HomeTooNew, or HomeUnreadable when the path is a file or another folder's contents.
    """
    home = Home(Path(path).expanduser().absolute())
    if home.file.is_file():
        _check(home)
    else:
        _make(home)
    return home


def _check(home: Home) -> None:
    try:
        found = tomllib.loads(home.file.read_text(encoding="utf-8")).get("format")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HomeUnreadable(home.root, f"home.toml is damaged ({error})") from error
    if found != FORMAT:
        raise HomeTooNew(found=found, known=FORMAT, path=home.root)


def _make(home: Home) -> None:
    """home.toml comes last: a folder that has it has everything."""
    if home.root.is_dir():
        # A half-made home is completed; a folder full of something else is not taken over.
        # settings.toml may be written before the first start.
        ours = {"settings.toml", *(folder.name for folder in _folders(home))}
        strangers = sorted(entry.name for entry in home.root.iterdir() if entry.name not in ours)
        if strangers and not any(name.startswith(".home.toml.") for name in strangers):
            raise HomeUnreadable(home.root, f"it is not empty (it holds {strangers[0]!r})")
    elif home.root.exists():
        raise HomeUnreadable(home.root, "it is not a folder")
    home.root.mkdir(parents=True, exist_ok=True)
    home.root.chmod(0o700)
    for folder in _folders(home):
        folder.mkdir(exist_ok=True)
    for kind in KINDS:
        (home.models / kind).mkdir(exist_ok=True)
    write_text(home.file, f"format = {FORMAT}\n")


def _folders(home: Home) -> tuple[Path, ...]:
    return (home.models, home.bases, home.store, home.projects, home.run)
