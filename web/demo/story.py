"""What the demo tells, step by step. Each step is a line with its time; each claim is checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from web.demo.commands import Platform, stillframe
from web.demo.material import PLUGIN, write_plugin, write_workflow
from web.demo.picture import pixels_of
from web.demo.scene import PROJECT, leave, make_checkpoint, new_home
from web.errors import DemoFailed
from workstation.layout import Home


def tell(root: Path, *, once: bool, port: int, gateway_port: int) -> int:
    """Tell the story in the home `root`; 0 when everything held. Without `once` it goes on serving until
    ctrl-C.

    Raises DemoFailed that names the step, PlatformRunning when the demo serves already.
    """
    story = _Story(new_home(root))
    platform = None
    try:
        platform = story.begin(port, gateway_port)
        story.first_deployment()
        story.edit()
        story.second_deployment()
        story.history()
        story.roll_back()
        story.end(platform.serving, once=once)
        if not once:
            _serve(platform)
    finally:
        if platform is not None:
            platform.end()
        leave(story.home)
    return 0


def _serve(platform: Platform) -> None:
    try:
        platform.wait()
    except KeyboardInterrupt:
        return  # that is how it is meant to end


class _Story:
    def __init__(self, home: Home) -> None:
        self.home = home
        self._root = home.root
        self._workflow = self._root / "demo-workflow.json"
        self._number = 0
        self._token = ""
        self._pictures: dict[str, bytes] = {}
        self._began = time.monotonic()

    def begin(self, port: int, gateway_port: int) -> Platform:
        with self._step("a tiny checkpoint of random weights: the pictures mean nothing"):
            make_checkpoint(self.home)
            write_workflow(self._workflow)
        with self._step("stillframe up"):
            platform = Platform(self._root, port=port, gateway_port=gateway_port)
        try:
            self._workstation()
        except BaseException:
            platform.end()
            raise
        return platform

    def first_deployment(self) -> None:
        with self._step(f"stillframe deploy {PROJECT} --smoke demo-workflow.json") as say:
            done = self._run("deploy", PROJECT, "--smoke", str(self._workflow), "--note", "the first one")
            say(f"snapshot {done['deployment']['snapshot_number']} serves")
        with self._step(f"stillframe service token create {PROJECT}"):
            self._token = self._run("service", "token", "create", PROJECT, "demo")["token"]
        self._call("online-1", "the online service answers from the snapshot")
        self._claim("workstation-1", "online-1", same=True)

    def edit(self) -> None:
        with self._step(f"an edit in the workstation: {PLUGIN}/version.txt says 2"):
            plugin = self.home.project(PROJECT).workstation.custom_nodes / PLUGIN
            with (plugin / "version.txt").open("r+", encoding="utf-8") as file:
                file.write("2\n")  # in place: a snapshot that shared the file would change with it
        self._work("workstation-2", "the workstation shows the edit")
        self._claim("workstation-1", "workstation-2", same=False)
        self._call("online-1-after-the-edit", "the online service does not")
        self._claim("online-1", "online-1-after-the-edit", same=True)

    def second_deployment(self) -> None:
        with self._step(f"stillframe deploy {PROJECT}") as say:
            done = self._run("deploy", PROJECT, "--note", "stamp 2")
            say(f"snapshot {done['deployment']['snapshot_number']} serves")
        self._call("online-2", "now the online service shows the edit")
        self._claim("workstation-2", "online-2", same=True)

    def history(self) -> None:
        with self._step(f"stillframe deployment show {PROJECT} 2") as say:
            record = self._run("deployment", "show", PROJECT, "2")
            lines = record["diff_lines"]
            if not any(PLUGIN in line for line in lines):
                raise DemoFailed("the history", f"the diff does not name {PLUGIN}: {lines}")
            say(*lines)

    def roll_back(self) -> None:
        with self._step(f"stillframe deployment rollback {PROJECT} --yes") as say:
            done = self._run("deployment", "rollback", PROJECT, "--yes", "--note", "back to stamp 1")
            say(f"snapshot {done['deployment']['snapshot_number']} serves")
        self._call("online-rolled-back", "the online service answers as at first")
        self._claim("online-1", "online-rolled-back", same=True)
        with self._step(f"stillframe deployment list {PROJECT}") as say:
            for one in reversed(self._run("deployment", "list", PROJECT)):
                what = f"{one['state']}, {one['reason']}, snapshot {one['snapshot_number']}"
                say(f"{one['number']}  {what}: {one['note']}")

    def end(self, serving: dict[str, Any], *, once: bool) -> None:
        lines = [f"Everything held, in {time.monotonic() - self._began:.0f} s. Pictures: {self._folder}"]
        if not once:
            lines.append(
                f"It goes on serving at {serving['url']} (admin, password {serving['admin_password']})."
            )
            lines.append(
                f"Online: {serving['gateway_url']}/api/predict/{PROJECT}/prompt, token {self._token}"
            )
            lines.append("Ctrl-C ends it.")
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    @property
    def _folder(self) -> Path:
        return self._root / "pictures"

    def _workstation(self) -> None:
        with self._step(f"stillframe project create {PROJECT}"):
            self._run("project", "create", PROJECT)
        repository = self._root / f"{PLUGIN}.git"
        with self._step(
            f"stillframe plugin install {PROJECT} {PLUGIN}.git: a plugin and its one requirement"
        ):
            write_plugin(repository)
            self._run("plugin", "install", PROJECT, str(repository), "--name", PLUGIN)
        with self._step(f"stillframe workstation start {PROJECT}"):
            self._run("workstation", "start", PROJECT)
        self._work("workstation-1", "the workstation runs the workflow")

    def _work(self, name: str, what: str) -> None:
        with self._step(f"stillframe workstation run {PROJECT} demo-workflow.json: {what}"):
            words = ("workstation", "run", PROJECT, str(self._workflow), "--save", str(self._folder / name))
            self._keep(name, self._run(*words))

    def _call(self, name: str, what: str) -> None:
        with self._step(f"stillframe service call {PROJECT} demo-workflow.json: {what}"):
            words = ("service", "call", PROJECT, str(self._workflow), "--token", self._token)
            self._keep(name, self._run(*words, "--save", str(self._folder / name)))

    def _keep(self, name: str, answer: dict[str, Any]) -> None:
        if len(answer["saved"]) != 1:
            raise DemoFailed(name, f"one picture was wanted, {len(answer['saved'])} came")
        self._pictures[name] = pixels_of(Path(answer["saved"][0]).read_bytes())

    def _claim(self, one: str, other: str, *, same: bool) -> None:
        if (self._pictures[one] == self._pictures[other]) is not same:
            raise DemoFailed(
                other, f"its picture should be {'the same as' if same else 'another than'} that of {one}"
            )

    def _run(self, *words: str) -> Any:
        return stillframe(self._root, *words)

    @contextmanager
    def _step(self, sentence: str) -> Iterator[Any]:
        self._number += 1
        began, said = time.monotonic(), list[str]()
        yield lambda *lines: said.extend(lines)
        sys.stdout.write(f"{self._number:2}  {time.monotonic() - began:6.1f} s  {sentence}\n")
        sys.stdout.writelines(f"              {line}\n" for line in said)
        sys.stdout.flush()
