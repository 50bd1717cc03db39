"""What a difference says beside single files: moves, layers, engine, base, cache, models; and how much."""

from __future__ import annotations

import json
import os
from dataclasses import replace

from snapshotter.diff import Move, diff
from snapshotter.manifest import Snapshot


def part(found, name: str = "custom_nodes/stamp"):
    return next(component for component in found.components if component.name == name)


def with_facts(snapshot: Snapshot, **facts: object) -> Snapshot:
    return replace(snapshot, facts=facts)


def with_part_facts(snapshot: Snapshot, name: str, **facts: object) -> Snapshot:
    parts = tuple(replace(one, facts=facts) if one.name == name else one for one in snapshot.components)
    return replace(snapshot, components=parts)


def test_renamed_files_and_folders_are_shown_as_moves(desk) -> None:
    (desk.plugin / "lib").mkdir()
    for number in range(3):
        (desk.plugin / "lib" / f"{number}.py").write_text(f"text {number}")
    (desk.plugin / "alone.py").write_text("alone")
    (desk.plugin / "empty").touch()
    old = desk.freeze().snapshot
    (desk.plugin / "lib").rename(desk.plugin / "library")
    (desk.plugin / "sub").mkdir()
    (desk.plugin / "alone.py").rename(desk.plugin / "sub" / "alone.py")
    (desk.plugin / "empty").rename(desk.plugin / "void")
    found = diff(desk.store, old, desk.freeze().snapshot)
    assert part(found).moves == (
        Move("lib", "library", "folder"),
        Move("alone.py", "sub/alone.py", "file"),
    )
    assert part(found).new_bytes == 0
    lines = [line.strip() for line in found.lines()]
    assert "> lib -> library" in lines and "> alone.py -> sub/alone.py" in lines
    assert not [line for line in lines if line.startswith(("+ lib", "- lib", "+ sub/alone", "- alone"))]
    assert {"- empty", "+ void"} <= set(lines)  # nothing says that these are the same


def test_a_copy_is_not_a_move_and_each_file_moves_once(desk) -> None:
    for name in ("a", "b"):
        (desk.plugin / name).write_text("same")
    old = desk.freeze().snapshot
    (desk.plugin / "copy").write_bytes((desk.plugin / "a").read_bytes())
    assert part(diff(desk.store, old, copied := desk.freeze().snapshot)).moves == ()
    (desk.plugin / "deep").mkdir()
    for name in ("a", "b"):
        (desk.plugin / name).rename(desk.plugin / "deep" / name)
    assert part(diff(desk.store, copied, desk.freeze().snapshot)).moves == (
        Move("a", "deep/a", "file"),
        Move("b", "deep/b", "file"),
    )


def test_a_disabled_plugin_is_one_that_moved(desk) -> None:
    old = desk.freeze().snapshot
    desk.plugin.rename(desk.plugin.with_name("stamp.disabled"))
    found = diff(desk.store, old, desk.freeze().snapshot)
    (plugin,) = found.plugins
    assert (plugin.change, plugin.old_name, plugin.name) == (
        "moved",
        "custom_nodes/stamp",
        "custom_nodes/stamp.disabled",
    )
    assert found.lines() == ["> plugin custom_nodes/stamp -> custom_nodes/stamp.disabled"]
    assert found.new_bytes == 0


def test_packages_of_the_base_are_told_apart(desk, tmp_path) -> None:
    from snapshotter.components import BaseFacts

    def install(folder, name: str, version: str, record: str) -> None:
        (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
        (folder / f"{name}-{version}.dist-info" / "RECORD").write_text(record)

    own, under = desk.project.workstation.venv / "lib" / "python3.11" / "site-packages", tmp_path / "site"
    install(own, "tqdm", "4.0", "a")
    install(under, "torch", "2.0", "a")
    install(under, "numpy", "2.0", "a")
    desk.base = BaseFacts("default", under, "f1", {"version": "3.11.2"})
    old = desk.freeze().snapshot
    (under / "torch-2.0.dist-info").rename(under / "torch-2.1.dist-info")
    (under / "numpy-2.0.dist-info" / "RECORD").write_text("b")
    (own / "tqdm-4.0.dist-info").rename(own / "tqdm-5.0.dist-info")
    desk.base = BaseFacts("default", under, "f2", {"version": "3.11.4"})
    found = diff(desk.store, old, desk.freeze().snapshot)
    assert [(one.layer, one.name, one.old_version, one.new_version) for one in found.packages] == [
        ("workstation", "tqdm", "4.0", "5.0"),
        ("base", "numpy", "2.0", "2.0"),
        ("base", "torch", "2.0", "2.1"),
    ]
    assert found.lines()[:4] == [
        "~ base default has other packages, Python 3.11.2 -> 3.11.4",
        "~ package tqdm 4.0 -> 5.0",
        "~ base package numpy 2.0 has other files",
        "~ base package torch 2.0 -> 2.1",
    ]


def test_engine_cache_and_models_differ_by_what_the_manifests_say(desk) -> None:
    (desk.project.workstation.cache / "torch").mkdir(parents=True)

    def model(name: str, size: int | None, digest: str | None = None) -> dict[str, object]:
        return {"kind": "loras", "name": name, "size_bytes": size, "digest": digest}

    def entry(size: int) -> dict[str, object]:
        return {"name": "huggingface/hub/models--a--b", "kind": "huggingface", "size_bytes": size}

    frozen = desk.freeze().snapshot
    old = with_facts(frozen, models=[model("a", 1), model("b", 1, "x"), model("c", 1, "x"), model("d", 9)])
    new = with_facts(frozen, models=[model("a", 1, "y"), model("b", 1, "y"), model("c", 3), model("e", None)])
    old = with_part_facts(old, "engine", kind="comfyui", version="0.3", commit="a" * 40)
    new = with_part_facts(new, "engine", kind="comfyui", version="0.4", commit="b" * 40)
    old = with_part_facts(old, "cache", entries=[entry(1024)])
    new = with_part_facts(new, "cache", entries=[entry(4096)])
    found = diff(desk.store, old, new)
    assert found.lines() == [
        "~ engine comfyui 0.3 at aaaaaaaaaaaa -> comfyui 0.4 at bbbbbbbbbbbb",
        "~ model loras/b has other bytes",
        "~ model loras/c 1 B -> 3 B",
        "- model loras/d is no longer named",
        "+ model loras/e (missing)",
        "~ cache huggingface/hub/models--a--b 1.0 KiB -> 4.0 KiB",
    ]
    assert not found.is_empty
    assert json.loads(json.dumps(found.as_json()))["engine"]["new_version"] == "0.4"


def test_what_an_older_manifest_does_not_say_is_no_change(desk) -> None:
    old = desk.freeze().snapshot
    new = with_facts(old, models=[{"kind": "vae", "name": "v", "size_bytes": 1, "digest": None}])
    new = with_part_facts(new, "engine", kind="builtin", version="1", commit=None)
    assert diff(desk.store, old, new).is_empty


def test_git_and_bytecode_are_counted_and_not_listed(desk) -> None:
    old = desk.freeze().snapshot
    for path in (".git/objects/a", "__pycache__/x.pyc", "real.py"):
        (desk.plugin / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.plugin / path).write_text(path)
    found = diff(desk.store, old, desk.freeze().snapshot)
    assert "real.py" in found.plugins[0].files and ".git/objects/a" not in found.plugins[0].files
    lines = "\n".join(found.lines())
    assert "+ real.py" in lines and "objects" not in lines and "5 of git and Python themselves" in lines


def test_a_bounded_document_counts_what_it_leaves_out(desk) -> None:
    old = desk.freeze().snapshot
    for number in range(30):
        (desk.plugin / f"{number}").write_text(str(number))
    found = diff(desk.store, old, desk.freeze().snapshot)
    (component,) = found.as_json(most_files=5)["components"]
    assert (len(component["files"]), component["files_total"]) == (5, 31)
    assert component["new_bytes"] == sum(len(str(number)) for number in range(30))


def test_names_that_are_not_utf8_are_shown(desk) -> None:
    old = desk.freeze().snapshot
    with open(os.fsencode(desk.plugin) + b"/\xff.txt", "w") as file:
        file.write("x")
    found = diff(desk.store, old, desk.freeze().snapshot)
    assert "+ \\xff.txt" in "\n".join(found.lines())
    json.dumps(found.as_json())
