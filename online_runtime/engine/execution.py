"""Running one prompt: every needed node once, unless its result is cached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import progress
from .cache import Instances, Result, ResultCache
from .calling import NodeResult, call_each, merge
from .errors import GraphLoop, Interrupted, InterruptProcessingException
from .expansion import Expansion, resolve
from .failures import error_fields, is_out_of_memory, let_go, node_failure
from .graph import DynamicPrompt, ExecutionBlocker, Node, links_of
from .graph_builder import builds_for
from .inference import inference_mode
from .inputs import Gathered, HiddenValues, Outputs, gather
from .interruption import Interruption
from .registry import NodeRegistry
from .reporting import Audience, NodeProgress, PromptReport, Watching
from .schedule import Schedule
from .schema import NodeClass, parameters
from .signatures import Signatures
from .tracebacks import PathFilter

log = logging.getLogger(__name__)

INTERRUPT_POLL_SECONDS = 0.1  # how late an interrupt may reach a prompt that waits for async nodes
CANCEL_SECONDS = 5.0  # how long async nodes may clean up after they were cancelled


@dataclass(frozen=True)
class Request:
    """A validated prompt, ready to run. `outputs` are the output nodes that passed."""

    prompt_id: str
    prompt: Mapping[str, Node]
    outputs: list[str]
    extra_data: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    previews: bool = False

    @property
    def client(self) -> str | None:
        return self.extra_data.get("client_id")


@dataclass(frozen=True)
class Outcome:
    """How a prompt ended. `outputs` and `meta` are keyed by node id, `messages` are history's."""

    success: bool
    outputs: dict[str, dict[str, list[Any]]]
    meta: dict[str, dict[str, Any]]
    messages: list[tuple[str, dict[str, Any]]]
    out_of_memory: bool = False


class Executor:
    """Runs prompts one after the other and keeps what the last one computed. One thread at a time."""

    def __init__(
        self,
        registry: NodeRegistry,
        audience: Audience,
        interruption: Interruption,
        paths: PathFilter,
        watching: Watching | None = None,
    ) -> None:
        self.registry = registry
        self.audience = audience
        self.interruption = interruption
        self.paths = paths
        self.watching = watching or Watching()
        self.cache = ResultCache()
        self.instances = Instances()

    def run(self, request: Request) -> Outcome:
        """Run `request` to its end. A node that fails and an interrupt are outcomes, never raised."""
        self.interruption.begin(request.prompt_id)
        try:
            return asyncio.run(_Run(self, request).to_the_end())
        finally:
            self.interruption.end()
            self.watching.client = self.watching.node = self.watching.prompt_id = None

    def forget(self) -> None:
        """Drop all results and node objects."""
        self.cache.clear()
        self.instances.clear()


@dataclass(eq=False)
class _NodeStopped(Exception):
    """A node did not finish; `error` says why, `inputs` is what it was given."""

    node_id: str
    error: BaseException
    inputs: Mapping[str, list[Any]]


class _Run:
    """The state of one prompt while it runs."""

    def __init__(self, executor: Executor, request: Request) -> None:
        self.x = executor
        self.request = request
        self.prompt = DynamicPrompt(request.prompt)
        self.hidden = HiddenValues(self.prompt, request.extra_data, request.secrets)
        self.report = PromptReport(
            request.prompt_id,
            request.client,
            self.prompt,
            executor.audience,
            executor.watching,
            request.previews,
        )
        self.changes: dict[str, Any] = {}
        self.signatures = Signatures(self.prompt, executor.registry.classes, self.changes)
        self.schedule = Schedule(self.hidden, executor.registry.classes, self._is_done)
        self.results: dict[str, Result] = {}
        self.executed: list[str] = []
        self.shown: dict[str, dict[str, list[Any]]] = {}
        self.expansions: dict[str, Expansion] = {}
        self.inputs: dict[str, Mapping[str, list[Any]]] = {}

    async def to_the_end(self) -> Outcome:
        """The runbook of a prompt."""
        self.report.started()
        try:
            with inference_mode(self.request.prompt, self.x.registry):
                await self._reuse()
                for node_id in self.request.outputs:
                    self.schedule.add(node_id)
                await self._run_all()
        except _NodeStopped as stop:
            return self._stopped(stop)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - INPUT_TYPES is code of plugins; told below
            return self._stopped(_NodeStopped(self.request.outputs[0], error, {}))
        self.report.succeeded()
        return self._outcome(success=True)

    async def _reuse(self) -> None:
        """Find out which results of the last prompt still hold, and drop the others."""
        needed = self._needed()
        for node_id in needed:
            await self._ask_is_changed(node_id)
        signatures = {node_id: self.signatures.of(node_id) for node_id in needed}
        self.x.cache.keep_only(set(signatures.values()))
        self.x.instances.keep_only(set(self.request.prompt) | self._expanded_before())
        cached = [node_id for node_id in needed if self._is_done(node_id)]
        self.report.cached(cached)
        for node_id in cached:
            if (ui := self.results[node_id].ui) is not None:
                self.shown[node_id] = ui

    def _needed(self) -> list[str]:
        found: dict[str, None] = {}
        todo = list(reversed(self.request.outputs))
        while todo:
            node_id = todo.pop()
            if node_id not in found:
                found[node_id] = None
                todo += [source for _, source, _ in links_of(self.prompt.get_node(node_id))]
        return list(found)

    def _expanded_before(self) -> set[str]:
        """Ids that earlier expansions of this prompt's nodes made: `PARENT.…`."""
        return {key for key in self.x.instances.node_ids() if key.split(".", 1)[0] in self.request.prompt}

    async def _run_all(self) -> None:
        running: dict[asyncio.Task[None], str] = {}
        try:
            while len(self.schedule):
                node_id = self.schedule.take()
                if node_id is not None:
                    running[asyncio.create_task(self._run_node(node_id))] = node_id
                    await asyncio.sleep(0)  # a node that is not async runs to its end in here
                elif running:
                    await asyncio.wait(
                        running, timeout=INTERRUPT_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    raise GraphLoop(self.schedule.stuck())
                for task in [task for task in running if task.done()]:
                    del running[task]
                    task.result()
                if running and self.x.interruption.wanted:
                    waiting = next(iter(running.values()))
                    raise _NodeStopped(waiting, Interrupted(), self.inputs.get(waiting, {}))
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=CANCEL_SECONDS)

    async def _run_node(self, node_id: str) -> None:
        token = progress.use(NodeProgress(node_id, self.report, self.x.interruption))
        builds_for(node_id)
        try:
            await self._node(node_id)
        except (
            Exception,
            SystemExit,
        ) as error:  # a plugin may raise anything; the prompt ends, not the engine
            raise _NodeStopped(node_id, error, self.inputs.get(node_id, {})) from error
        finally:
            progress.restore(token)

    async def _node(self, node_id: str) -> None:
        if self._is_done(node_id):
            self._finish(node_id, self.results[node_id])
            return
        if node_id in self.expansions:
            node_class = self._class(node_id)
            outputs = resolve(node_class, self.expansions[node_id], self._outputs_of)
            self._store(node_id, Result(outputs, self.expansions[node_id].ui))
            return
        self.report.node_started(node_id)
        instance, node_class = self._instance(node_id)
        gathered = gather(node_class, node_id, self.hidden, self._outputs_of)
        self.inputs[node_id] = gathered.values
        if await self._needs_lazy(node_id, instance, node_class, gathered):
            self.schedule.put_back(node_id)
            return
        returned = await call_each(
            instance,
            node_class,
            node_class.FUNCTION,
            gathered.values,
            self.x.interruption.check,
            lambda blocker: self._blocked(node_id, blocker),
        )
        result = merge(node_class, returned)
        if result.expansions:
            self._expand(node_id, result)
        else:
            self._store(node_id, Result(result.outputs, result.ui))

    async def _needs_lazy(
        self, node_id: str, instance: Any, node_class: NodeClass, gathered: Gathered
    ) -> bool:
        """Ask a node with lazy inputs which it wants; True when it has to wait for one."""
        if not gathered.missing or not hasattr(instance, "check_lazy_status"):
            return False
        asked = await call_each(
            instance, node_class, "check_lazy_status", gathered.values, self.x.interruption.check
        )
        wanted = {name for names in asked if names for name in names} & gathered.missing
        inputs = self.prompt.get_node(node_id)["inputs"]
        for name in sorted(wanted):
            self.schedule.require(node_id, inputs[name][0])
        return bool(wanted)

    def _expand(self, node_id: str, result: NodeResult) -> None:
        expansion = Expansion.of(node_id, result, self.prompt)
        self.expansions[node_id] = expansion
        for added, node in expansion.nodes.items():
            display = node.get("override_display_id") or node_id
            self.prompt.add_ephemeral_node(added, node, node_id, display)
        for source in [*expansion.output_nodes(self.x.registry.classes), *expansion.sources]:
            self.schedule.require(node_id, source)
        self.schedule.put_back(node_id)

    def _store(self, node_id: str, result: Result) -> None:
        self.results[node_id] = result
        owner = self.signatures.of(self.prompt.get_real_node_id(node_id))
        self.x.cache.put(self.signatures.of(node_id), owner, result)
        self.executed.append(node_id)
        self._finish(node_id, result)

    def _finish(self, node_id: str, result: Result) -> None:
        if result.ui is not None:
            self.shown[node_id] = result.ui
            self.report.node_showed(node_id, result.ui)
        self.report.node_finished(node_id)
        self.schedule.finish(node_id)

    def _blocked(self, node_id: str, blocker: ExecutionBlocker) -> ExecutionBlocker:
        """A blocker with a message is told once, at the first node that it stops."""
        if blocker.message is None:
            return blocker
        message = f"Execution Blocked: {blocker.message}"
        log.warning("Node %s: %s", node_id, message)
        self.report.warned(self._about(node_id) | error_fields(message, "ExecutionBlocked", []))
        return ExecutionBlocker(None)

    def _stopped(self, stop: _NodeStopped) -> Outcome:
        about = self._about(stop.node_id)
        if isinstance(stop.error, InterruptProcessingException):
            log.info("Prompt %s was interrupted", self.request.prompt_id)
            self.report.interrupted(about)
            return self._outcome(success=False)
        log.error("Node %s failed", stop.node_id, exc_info=stop.error)
        self.report.node_failed(stop.node_id)
        told = node_failure(stop.error, stop.inputs, list(self.results), self.x.paths)
        self.report.failed(about | told)
        full = is_out_of_memory(stop.error)
        if full:
            let_go(stop.error)
        return self._outcome(success=False, out_of_memory=full)

    def _about(self, node_id: str) -> dict[str, Any]:
        node_type = self.prompt.get_node(node_id)["class_type"]
        return {"node_id": node_id, "node_type": node_type, "executed": list(self.executed)}

    def _outcome(self, success: bool, out_of_memory: bool = False) -> Outcome:
        meta = {node_id: self.report.meta(node_id) for node_id in self.shown}
        return Outcome(success, self.shown, meta, self.report.messages, out_of_memory)

    async def _ask_is_changed(self, node_id: str) -> None:
        node_class = self._class(node_id)
        if not hasattr(node_class, "IS_CHANGED"):
            return
        values = gather(node_class, node_id, self.hidden, lambda _: None).values
        names, takes_all = parameters(node_class.IS_CHANGED)
        asked = {name: value for name, value in values.items() if takes_all or name in names}
        try:
            self.changes[node_id] = await call_each(
                node_class, node_class, "IS_CHANGED", asked, self.x.interruption.check
            )
        except Interrupted as stop:
            raise _NodeStopped(node_id, stop, values) from stop
        except (Exception, SystemExit):
            log.exception("IS_CHANGED of node %s failed; the node runs again", node_id)
            self.changes[node_id] = float("nan")

    def _is_done(self, node_id: str) -> bool:
        if node_id in self.results:
            return True
        found = self.x.cache.get(self.signatures.of(node_id))
        if found is not None:
            self.results[node_id] = found
        return found is not None

    def _outputs_of(self, node_id: str) -> Outputs | None:
        return self.results[node_id].outputs if node_id in self.results else None

    def _class(self, node_id: str) -> NodeClass:
        return self.x.registry.classes[self.prompt.get_node(node_id)["class_type"]]

    def _instance(self, node_id: str) -> tuple[Any, NodeClass]:
        class_type = self.prompt.get_node(node_id)["class_type"]
        node_class = self._class(node_id)
        return self.x.instances.get(node_id, class_type, node_class), node_class
