"""The view by real mounts, as root and as an ordinary user, and the copy where no namespace can be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from online_runtime.instance.isolation import Isolation, IsolationKind, isolation_available
from online_runtime.instance.spec import InstanceSpec, Mount
from tests.contract.drivers.frozen import FrozenHome, digest
from workstation.layout import Home

REPOSITORY = Path(__file__).parents[3]
ORDINARY_USER = 65534
SYSTEM_PYTHON = Path("/usr/bin/python3")
LOOK = """
import json, os, sys
from pathlib import Path
from online_runtime.instance.isolation import Isolation, IsolationKind, isolation_available
from online_runtime.instance.spec import InstanceFolder
from online_runtime.instance.view import build_view, check_sources, read_spec
folder = InstanceFolder(Path(sys.argv[1]))
spec = read_spec(folder)
kinds = {
    "copy": Isolation(IsolationKind.COPY),
    "user namespace": Isolation(IsolationKind.NAMESPACE, user_namespace=True),
}
isolation = kinds.get(sys.argv[2]) or isolation_available(folder.root)
check_sources(spec, isolation)
root = build_view(spec, folder, isolation).root
os.execv(sys.executable, (sys.executable, "-c", sys.argv[3], str(root)))
"""
INSIDE = "import json, os, sys, subprocess; from pathlib import Path; W = Path(sys.argv[1])\n"


@dataclass
class Looker:
    """Runs code inside a view as one user."""

    home: FrozenHome
    python: Path
    user: int
    kind: str = "namespace"

    def inside(self, spec: InstanceSpec, code: str) -> subprocess.CompletedProcess[str]:
        folder = self.home.folder(spec)
        self.own()
        return subprocess.run(
            (self.python, "-c", LOOK, str(folder.root), self.kind, INSIDE + code),
            user=self.user,
            group=self.user,
            extra_groups=[] if os.geteuid() == 0 else None,
            env={
                "PYTHONPATH": str(REPOSITORY),
                "PATH": os.defpath,
                "PYTHONDONTWRITEBYTECODE": "1",
                "MODELS": spec.models,
                "BASE": spec.base_site_packages or "",
            },
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def seen(self, spec: InstanceSpec, code: str) -> object:
        done = self.inside(spec, code)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def own(self) -> None:
        if self.user != os.geteuid():
            subprocess.run(("chown", "-R", f"{self.user}:{self.user}", str(self.home.home.root)), check=True)


def make_looker(root: Path, user: int) -> Looker:
    python = SYSTEM_PYTHON if user != os.geteuid() else Path(sys.executable).resolve()
    looker = Looker(FrozenHome(Home(root / "home"), interpreter=python).build(), python, user)
    looker.own()
    return looker


@pytest.fixture(params=["root", "root in a user namespace", "ordinary user"])
def looker(request: pytest.FixtureRequest):
    """Somebody who may build a namespace view here."""
    if os.geteuid() != 0 and request.param.startswith("root"):
        pytest.skip("needs root")
    if request.param == "ordinary user" and os.geteuid() == 0 and not SYSTEM_PYTHON.exists():
        pytest.skip("needs a Python that an ordinary user may run")
    user = ORDINARY_USER if request.param == "ordinary user" and os.geteuid() == 0 else os.geteuid()
    root = Path(tempfile.mkdtemp(prefix="view-"))
    root.chmod(0o755)
    try:
        looker = make_looker(root, user)
        looker.kind = "user namespace" if "namespace" in request.param else "namespace"
        probe = (
            "from online_runtime.instance.isolation import isolation_available; from pathlib import Path; "
        )
        done = subprocess.run(
            (looker.python, "-c", probe + f"print(isolation_available(Path({str(root / 'home')!r})).reason)"),
            user=user, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        if done.stdout.strip():
            pytest.skip(f"no namespaces for {request.param}: {done.stdout.strip()}")
        yield looker
    finally:
        shutil.rmtree(root)


@pytest.fixture
def copier(tmp_path: Path) -> Looker:
    return Looker(
        FrozenHome(Home(tmp_path / "home")).build(), Path(sys.executable).resolve(), os.geteuid(), "copy"
    )


def source(spec: InstanceSpec, component: str) -> Path:
    return next(Path(mount.source) for mount in spec.mounts if mount.component == component)


def test_in_the_view_the_snapshot_stands_at_the_workstations_own_path(looker: Looker) -> None:
    spec = looker.home.spec()
    code = """
files = ('custom_nodes/alpha/version.txt', 'custom_nodes/single.py', '.cache/hub/entry')
print(json.dumps([str(W), *((W/file).read_text() for file in files)]))
"""
    looker.home.plugin.joinpath("version.txt").write_text("two, after the freeze")
    assert looker.seen(spec, code) == [
        spec.workstation,
        "one",
        "NODE_CLASS_MAPPINGS = {}\n",
        "cached",
    ]


def test_writes_deletes_and_renames_in_the_view_leave_the_frozen_tree_and_the_workstation_as_they_were(
    looker: Looker,
) -> None:
    spec = looker.home.spec()
    looker.own()
    before = digest(looker.home.home.store), digest(looker.home.workstation.root)
    code = """
alpha = W/'custom_nodes/alpha'
with (alpha/'version.txt').open('r+') as file: file.write('TWO')
(alpha/'new.txt').write_text('new')
(alpha/'notes/old.txt').unlink()
(alpha/'notes').rmdir()
(alpha/'new.txt').rename(alpha/'newer.txt')
(W/'custom_nodes/single.py').write_text('changed')
(W/'.cache/hub/entry').write_text('changed')
(W/'engine/main.py').write_text('changed')
(W/'anything').write_text('at the top')
print(json.dumps([(alpha/'version.txt').read_text(), sorted(p.name for p in alpha.iterdir())]))
"""
    assert looker.seen(spec, code) == ["TWO", ["__init__.py", "newer.txt", "version.txt"]]
    assert (digest(looker.home.home.store), digest(looker.home.workstation.root)) == before


def test_a_restarted_engine_finds_its_own_changes_again(looker: Looker) -> None:
    spec = looker.home.spec()
    files = "files = [W/'custom_nodes/alpha/state', W/'custom_nodes/single.py']\n"
    looker.seen(spec, files + "for file in files: file.write_text('kept')\nprint(1)")
    code = files + "print(json.dumps([file.read_text() for file in files]))"
    assert looker.seen(spec, code) == ["kept", "kept"]


def test_two_instances_of_one_snapshot_do_not_see_each_others_changes(looker: Looker) -> None:
    first = looker.home.spec()
    second = InstanceSpec.from_json(first.to_json().replace(first.instance_id, "i-second"))
    looker.seen(first, "(W/'custom_nodes/alpha/state').write_text('mine'); print(1)")
    assert looker.seen(second, "print(json.dumps((W/'custom_nodes/alpha/state').exists()))") is False


def test_a_plugin_added_to_the_workstation_later_is_not_seen(looker: Looker) -> None:
    spec = looker.home.spec()
    looker.home.write_plugin("late", "NODE_CLASS_MAPPINGS = {}")
    code = "print(json.dumps(sorted(p.name for p in (W/'custom_nodes').iterdir())))"
    assert looker.seen(spec, code) == ["alpha", "single.py"]


def test_models_are_shared_and_cannot_be_written(looker: Looker) -> None:
    spec = looker.home.spec()
    code = """
found = []
for models in (W/'models', Path(os.environ['MODELS'])):
    found.append((models/'checkpoints/tiny.safetensors').read_text())
    try: (models/'checkpoints/tiny.safetensors').write_text('broken')
    except OSError as error: found.append(error.strerror)
print(json.dumps(found))
"""
    refused = "Read-only file system"
    assert looker.seen(spec, code) == ["weights", refused, "weights", refused]


def test_the_rest_of_the_home_is_hidden_and_outputs_arrive_outside(looker: Looker) -> None:
    spec = looker.home.spec()
    other = looker.home.home.project("other").workstation.root
    other.mkdir(parents=True)
    (other / "secret").write_text("of another project")
    code = """
home = W.parents[2]
(W/'output/picture.png').write_text('picture'); (W/'input/upload.png').write_text('upload')
print(json.dumps([sorted(p.name for p in place.iterdir()) for place in (home, home/'projects', W.parent)]))
"""
    assert looker.seen(spec, code) == [["models", "projects"], ["demo"], ["workstation"]]
    assert (looker.home.folder(spec).output / "picture.png").read_text() == "picture"
    assert Path(spec.input, "upload.png").read_text() == "upload"


def test_a_program_in_the_view_cannot_look_out_of_it(looker: Looker) -> None:
    spec = looker.home.spec()
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
found = [libc.umount2(str(W.parents[2]).encode(), 2), libc.umount2(str(W/'models').encode(), 2)]
for pid in (1, %d):
    try: found.append((Path('/proc')/str(pid)/'root'/str(W.parents[2]/'control.db')[1:]).read_text())
    except OSError as error: found.append(type(error).__name__)
print(json.dumps(found))
"""
    keeper = subprocess.Popen(("sleep", "60"), user=looker.user)
    try:
        assert looker.seen(spec, code % keeper.pid) == [-1, -1, "PermissionError", "PermissionError"]
    finally:
        keeper.kill()
        keeper.wait()


def test_the_frozen_base_covers_the_base_and_is_read_only(looker: Looker) -> None:
    base = looker.home.home.root.parent / "base" / "site-packages"
    base.mkdir(parents=True)
    (base / "package.py").write_text("VERSION = 2")
    frozen = looker.home.home.store / "views" / "base"
    shutil.copytree(base, frozen)
    (frozen / "package.py").write_text("VERSION = 1")
    spec = looker.home.spec(base_site_packages=str(base), base_fingerprint="of the frozen one")
    spec = InstanceSpec.from_json(
        json.dumps(
            {
                **json.loads(spec.to_json()),
                "mounts": [
                    *json.loads(spec.to_json())["mounts"],
                    vars(Mount("base", str(frozen), str(base))),
                ],
            }
        )
    )
    code = """
base = Path(os.environ['BASE'])
try: (base/'package.py').write_text('x'); answer = 'written'
except OSError as error: answer = error.strerror
print(json.dumps([(base/'package.py').read_text(), answer]))
"""
    assert looker.seen(spec, code) == ["VERSION = 1", "Read-only file system"]


def test_an_interpreter_that_lies_in_the_home_can_still_be_started(looker: Looker) -> None:
    inner = looker.home.home.root / "pythons" / "three" / "bin"
    inner.mkdir(parents=True)
    (inner / "python").symlink_to(looker.home.interpreter)
    link = looker.home.workstation.venv / "bin" / "python"
    link.unlink()
    link.symlink_to(inner / "python")
    code = """
done = subprocess.run([W/'venv/bin/python', '-c', 'print(6 * 7)'], capture_output=True, text=True)
print(json.dumps([done.stdout, sorted(p.name for p in W.parents[2].iterdir())]))
"""
    assert looker.seen(looker.home.spec(), code) == ["42\n", ["models", "projects", "pythons"]]


def test_nothing_of_the_view_is_mounted_outside_it(looker: Looker) -> None:
    spec = looker.home.spec()
    looker.seen(spec, "print(1)")
    assert str(looker.home.home.root) not in Path("/proc/self/mountinfo").read_text()


def test_a_missing_view_is_named_and_nothing_starts(looker: Looker) -> None:
    spec = looker.home.spec()
    shutil.rmtree(source(spec, "custom_nodes/alpha"))
    done = looker.inside(spec, "print('started')")
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert "ViewMissing: custom_nodes/alpha should be at" in done.stderr


def test_a_place_outside_the_workstation_is_refused(looker: Looker) -> None:
    spec = looker.home.spec()
    evil = [
        *json.loads(spec.to_json())["mounts"],
        {"component": "evil", "source": spec.models, "place": "/etc"},
    ]
    spec = InstanceSpec.from_json(json.dumps({**json.loads(spec.to_json()), "mounts": evil}))
    assert "SpecUnreadable" in looker.inside(spec, "print(1)").stderr


def test_a_copied_view_leaves_the_frozen_tree_as_it_was_and_runs_from_the_layer(copier: Looker) -> None:
    spec = copier.home.spec()
    before = digest(copier.home.home.store)
    code = """
for file in ('custom_nodes/alpha/version.txt', 'custom_nodes/single.py', 'output/p', 'input/q'):
    (W/file).write_text('mine')
print(json.dumps([str(W), (W/'models/checkpoints/tiny.safetensors').read_text()]))
"""
    layer = copier.home.folder(spec).layer / "workstation"
    assert copier.seen(spec, code) == [str(layer), "weights"]
    assert digest(copier.home.home.store) == before
    assert (copier.home.folder(spec).output / "p").read_text() == Path(spec.input, "q").read_text() == "mine"


def test_a_copied_environment_names_its_new_place(copier: Looker) -> None:
    script = copier.home.workstation.venv / "bin" / "tool"
    script.write_text(f"#!{copier.home.workstation.venv}/bin/python\n")
    script.chmod(0o755)
    code = "print(json.dumps([(W/'venv/bin/tool').read_text(), os.access(W/'venv/bin/tool', os.X_OK)]))"
    spec = copier.home.spec()
    layer = copier.home.folder(spec).layer / "workstation"
    assert copier.seen(spec, code) == [f"#!{layer}/venv/bin/python\n", True]


def test_a_copied_view_refuses_another_base_than_the_frozen_one(copier: Looker, tmp_path: Path) -> None:
    (tmp_path / "site-packages").mkdir()
    spec = copier.home.spec(base_site_packages=str(tmp_path / "site-packages"), base_fingerprint="frozen")
    assert "BaseChanged" in copier.inside(spec, "print(1)").stderr


def test_isolation_is_found_by_trying_and_leaves_nothing_behind(tmp_path: Path) -> None:
    found = isolation_available(tmp_path)
    assert found == Isolation(IsolationKind.NAMESPACE, found.user_namespace) or found.reason
    assert list(tmp_path.iterdir()) == []
