from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from online_runtime.jobs.archive import Archive
from online_runtime.jobs.errors import OutsideArchive
from online_runtime.jobs.job import ArchivedFile
from workstation.errors import BadName
from workstation.layout import Home

PROMPT = str(uuid.uuid4())


def test_a_file_that_was_not_written_to_its_end_is_not_there(tmp_path: Path) -> None:
    archive, file = Archive(Home(tmp_path)), ArchivedFile("output", "sub", "a.png")
    with pytest.raises(OSError, match="broken off"), archive.writing("s", PROMPT, file) as stream:
        stream.write(b"half")
        raise OSError("broken off")
    assert archive.file("s", PROMPT, file) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with archive.writing("s", PROMPT, file) as stream:
        stream.write(b"whole")
    found = archive.file("s", PROMPT, file)
    assert found is not None and found.read_bytes() == b"whole"


@pytest.mark.parametrize(
    "file",
    [
        ArchivedFile("output", "..", "result.json"),
        ArchivedFile("output", "/etc", "passwd"),
        ArchivedFile("output", "a/../..", "x"),
        ArchivedFile("output", "", ".."),
        ArchivedFile("output", "", "a/b"),
        ArchivedFile("output", "", ""),
        ArchivedFile("output", "", "a\\b"),
        ArchivedFile("input", "", "x.png"),
    ],
)
def test_no_path_leaves_the_folder_of_its_prompt(tmp_path: Path, file: ArchivedFile) -> None:
    with pytest.raises(OutsideArchive):
        Archive(Home(tmp_path)).place("s", PROMPT, file)


def test_services_and_prompts_cannot_be_paths(tmp_path: Path) -> None:
    archive = Archive(Home(tmp_path))
    with pytest.raises(OutsideArchive):
        archive.history("s", "..")
    with pytest.raises(BadName):
        archive.history("..", PROMPT)


def test_a_link_in_the_archive_is_never_followed(tmp_path: Path) -> None:
    archive, file = Archive(Home(tmp_path)), ArchivedFile("output", "", "a.png")
    (tmp_path / "secret").write_text("secret")
    place = archive.place("s", PROMPT, file)
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "secret")
    assert archive.file("s", PROMPT, file) is None
