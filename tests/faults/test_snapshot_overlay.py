"""A workstation on sealed folders: sealed in milliseconds, and nothing is lost whatever is killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snapshotter.freeze import FreezeProgress
from snapshotter.restore import restore
from snapshotter.verify import verify
from tests.faults.test_snapshot_at_rest import House
from tests.loop_disks import require_overlay
from workstation import overlay
from workstation.change import change, recover
from workstation.errors import OverlayRefused
from workstation.layout import Project
from workstation.overlay import NOTE, bring_up, flatten, is_mounted, lay, read_stack, seal, take_down
from workstation.removing import replaced

pytestmark = pytest.mark.slow
LIMIT_SECONDS = 120
Seen = dict[str, tuple[int, int, bytes | str | None]]


@pytest.fixture(autouse=True)
def overlays(tmp_path: Path) -> None:
    require_overlay(tmp_path)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path / "home")
    lay(found.project)
    yield found
    take_down(found.project)


def seen(project: Project) -> Seen:
    """Everything in the workstation: mode, mtime, and content or target."""
    found: Seen = {}
    root = project.workstation.root
    for path in sorted(root.rglob("*")):
        facts, value = path.lstat(), None
        if stat.S_ISREG(facts.st_mode):
            value = path.read_bytes()
        elif stat.S_ISLNK(facts.st_mode):
            value = os.readlink(path)  # noqa: PTH115
        if path.relative_to(root).parts[0] != ".changing":
            found[str(path.relative_to(root))] = facts.st_mode, facts.st_mtime_ns, value
    return found


def test_the_snapshot_is_the_same_as_the_plain_ways_and_a_seal_takes_milliseconds(
    house: House, tmp_path: Path
) -> None:
    first, mode = house.freeze_at_rest()
    assert mode.name == "overlay"
    assert first.snapshot.id == House(tmp_path / "plain").freeze().snapshot.id
    assert verify(house.store, first.snapshot).ok
    again, _ = house.freeze_at_rest()
    assert (again.new, again.files_read) == (False, 0)
    stack = read_stack(house.project)
    assert stack is not None and stack.sealed == ("0001",)  # Nothing was changed, so nothing was sealed.
    (house.plugin / "new").write_text("new")
    second, mode = house.freeze_at_rest()
    assert second.new and second.files_read <= 2
    assert mode.seal_seconds < 5
    assert not house.freeze().new  # The plain way, looking at what everybody sees.


def test_any_sequence_of_changes_gives_the_snapshots_of_the_plain_way(house: House) -> None:
    chance = random.Random(7)
    root = house.plugin
    for step in range(40):
        disturb(root, chance, step)
        sealed, mode = house.freeze_at_rest()
        assert mode.name == "overlay", mode
        plain = house.freeze()
        assert not plain.new, (step, sealed.snapshot.components, plain.snapshot.components)
    assert verify(house.store, sealed.snapshot).ok


def disturb(root: Path, chance: random.Random, step: int) -> None:
    """Some changes of all kinds that an overlay writes down in its own ways."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    for _ in range(4):
        folder, file = chance.choice(folders), chance.choice(files)
        if not folder.is_dir() or not file.is_file():
            continue
        match chance.randrange(8):
            case 0:
                (folder / f"file{step}").write_bytes(chance.randbytes(50))
            case 1:
                (folder / f"folder{step}").mkdir(exist_ok=True)
            case 2:
                file.unlink()
            case 3 if folder != root:
                shutil.rmtree(folder)
            case 4 if folder != root:
                folder.rename(folder.with_name(f"moved{step}-{chance.random()}"))
            case 5:
                file.chmod(chance.choice([0o600, 0o755]))
            case 6:
                with file.open("r+b") as opened:
                    opened.write(b"changed in place")
            case 7 if folder != root:  # Another folder of the same name: it must hide what was below.
                shutil.rmtree(folder)
                folder.mkdir()
                (folder / "only").write_text("this")
    (root / "always").write_text(str(step))


def test_what_is_written_after_the_seal_is_not_in_it_and_not_lost(house: House) -> None:
    script = f"read _ && echo late > {house.plugin}/late && rm {house.plugin}/tool"
    somebody = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, cwd="/")

    def busy(_: FreezeProgress) -> None:
        if somebody.returncode is None:
            somebody.communicate(b"now\n", timeout=LIMIT_SECONDS)

    first, mode = house.freeze_at_rest(busy)
    assert (mode.name, somebody.returncode) == ("overlay", 0)
    assert first.snapshot.component("custom_nodes/stamp").files == 23
    assert (house.plugin / "late").exists() and not (house.plugin / "tool").exists()
    second, _ = house.freeze_at_rest()
    assert second.new
    assert not house.freeze().new


def test_whoever_writes_or_works_there_is_named_and_the_plain_way_is_taken(house: House) -> None:
    (house.plugin / "changed").write_text("x")
    with (house.plugin / "log").open("w") as log:
        holder = subprocess.Popen(["sleep", str(LIMIT_SECONDS)], stdout=log, cwd="/")
    try:
        result, mode = house.freeze_at_rest()
        assert (result.new, mode.name) == (True, "plain")
        assert f"process {holder.pid} (sleep)" in mode.reason and "stamp/log" in mode.reason
    finally:
        holder.kill()
        holder.wait()
    worker = subprocess.Popen(["sleep", str(LIMIT_SECONDS)], cwd=house.plugin)
    try:
        _, mode = house.freeze_at_rest()
        assert mode.name == "plain" and f"left behind by process {worker.pid}" in mode.reason
    finally:
        worker.kill()
        worker.wait()
    (house.plugin / "more").write_text("it can be written to as before")
    assert house.freeze_at_rest()[1].name == "overlay"


def test_after_a_restart_of_the_machine_the_next_opening_mounts_it_again(house: House) -> None:
    before = seen(house.project)
    (house.plugin / "new").write_text("new")
    take_down(house.project)
    assert [path.name for path in house.project.workstation.root.iterdir()] == [NOTE]
    recover(house.project)
    assert seen(house.project).keys() - before.keys() == {"custom_nodes/stamp/new"}


@pytest.mark.parametrize("step", ["make_read_only", "_write", "attach", "detach"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_seal_killed_at_any_step_loses_nothing(house: House, step: str, moment: str) -> None:
    (house.plugin / "new").write_text("new")
    before = seen(house.project)
    killed(step, moment, lambda: seal(house.project))
    bring_up(house.project)
    assert seen(house.project) == before
    (house.plugin / "more").write_text("more")
    assert house.freeze_at_rest()[1].name == "overlay"
    assert not house.freeze().new


@pytest.mark.parametrize("step", ["_write", "attach"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_laying_a_workstation_on_sealed_folders_killed_at_any_step_loses_nothing(
    tmp_path: Path, step: str, moment: str
) -> None:
    house = House(tmp_path / "home")
    before = seen(house.project)
    killed(step, moment, lambda: lay(house.project))
    bring_up(house.project)
    try:
        assert seen(house.project) == before
        lay(house.project)
        assert seen(house.project) == before
        assert house.freeze_at_rest()[1].name == "overlay"
    finally:
        take_down(house.project)


@pytest.mark.parametrize("step", ["make_read_only", "_write", "detach", "start_removing"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_plain_folder_again_killed_at_any_step_loses_nothing(house: House, step: str, moment: str) -> None:
    (house.plugin / "new").write_text("new")
    seal(house.project)
    (house.plugin / "newer").write_text("newer")
    before = seen(house.project)
    killed(step, moment, lambda: flatten(house.project))
    recover(house.project)  # What the next opening of the project does.
    assert seen(house.project) == before
    flatten(house.project)
    assert seen(house.project) == before
    assert not is_mounted(house.project) and read_stack(house.project) is None
    assert not (house.project.root / "sealed").exists()
    wait_for_the_remover(house)


def wait_for_the_remover(house: House) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while replaced(house.project):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def killed(step: str, moment: str, action: Callable[[], object]) -> None:
    """Run in a forked process that dies before or after it calls `step` of the module for the first time."""
    pid = os.fork()
    if not pid:
        try:
            real = getattr(overlay, step)

            def die(*arguments: object, **options: object) -> object:
                if moment == "after":
                    real(*arguments, **options)
                os.kill(os.getpid(), signal.SIGKILL)
                return None

            setattr(overlay, step, die)
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def test_a_workstation_on_a_disk_of_its_own_is_left_alone_and_can_still_be_changed(tmp_path: Path) -> None:
    house = House(tmp_path / "home")
    place, other = house.project.workstation.root, tmp_path / "other"
    other.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", other], check=True, timeout=LIMIT_SECONDS
    )
    try:
        subprocess.run(["cp", "-a", f"{place}/.", other], check=True, timeout=LIMIT_SECONDS)
        subprocess.run(["mount", "--bind", other, place], check=True, timeout=LIMIT_SECONDS)
        with pytest.raises(OverlayRefused, match="disk of its own"):
            lay(house.project)
        take_down(house.project)
        assert is_mounted(house.project)
        with pytest.raises(RuntimeError), change(house.project, "trying") as attempt:
            attempt.move_aside(house.plugin)
            raise RuntimeError
        assert house.plugin.is_dir()
    finally:
        subprocess.run(["umount", "-l", place], check=False, timeout=LIMIT_SECONDS)
        subprocess.run(["umount", "-l", other], check=True, timeout=LIMIT_SECONDS)


def test_changes_and_restores_work_on_sealed_folders_and_are_undone_whole(house: House) -> None:
    wanted, _ = house.freeze_at_rest()
    good = seen(house.project)
    with pytest.raises(RuntimeError), change(house.project, "trying") as attempt:
        attempt.move_aside(house.plugin)
        raise RuntimeError
    moved = {"custom_nodes": good["custom_nodes"]}  # Its mtime is that of the renames.
    assert {**seen(house.project), **moved} == good
    (house.plugin / "__init__.py").write_text("broken")
    restore(house.store, wanted.snapshot, house.project, keep=lambda: house.freeze_at_rest()[0].snapshot)
    assert house.freeze_at_rest()[0].snapshot.id == wanted.snapshot.id
    wait_for_the_remover(house)


def test_a_stack_that_grew_high_is_frozen_the_plain_way_until_it_is_folded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("workstation.overlay", "snapshotter.backends.overlay"):
        monkeypatch.setattr(f"{module}.MOST_SEALED", 2)
    for number in range(3):
        (house.plugin / "n").write_text(str(number))
        _, mode = house.freeze_at_rest()
    assert mode.name == "plain" and "--fold" in mode.reason
    flatten(house.project)
    lay(house.project)
    (house.plugin / "n").write_text("last")
    assert house.freeze_at_rest()[1].name == "overlay"
