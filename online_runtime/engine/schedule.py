"""Which node runs next: a topological order that lazy inputs and expansions change while it runs."""

from __future__ import annotations

from collections.abc import Callable

from .errors import NodeContractBroken
from .graph import links_of
from .inputs import HiddenValues
from .schema import NodeClass, declared_inputs, input_spec, is_output_node


class Schedule:
    """The nodes that still have to run, each with the nodes it waits for."""

    def __init__(
        self,
        hidden: HiddenValues,
        classes: dict[str, NodeClass],
        is_done: Callable[[str], bool],
    ) -> None:
        self._prompt = hidden.prompt
        self._classes = classes
        self._is_done = is_done
        self._waits: dict[str, set[str]] = {}
        self._behind: dict[str, set[str]] = {}
        self._running: set[str] = set()

    def __len__(self) -> int:
        return len(self._waits)

    def add(self, node_id: str) -> None:
        """Run `node_id`, after all that it needs except for its lazy inputs. Raises NodeContractBroken."""
        todo = [node_id]
        while todo:
            current = todo.pop()
            if current in self._waits:
                continue
            self._waits[current] = set()
            for source in self._needs(current):
                if not self._is_done(source):
                    self._wait(current, source)
                    todo.append(source)

    def require(self, node_id: str, source: str) -> None:
        """Let `node_id` wait for `source` too, unless that is done."""
        if not self._is_done(source):
            self._wait(node_id, source)
            self.add(source)

    def take(self) -> str | None:
        """A node that waits for nothing, marked as running; None when there is none now.

        Output nodes come first, then what stands right behind one, so that pictures appear early.
        """
        ready = [n for n, waits in self._waits.items() if not waits and n not in self._running]
        if not ready:
            return None
        chosen = min(ready, key=self._distance_to_output)
        self._running.add(chosen)
        return chosen

    def put_back(self, node_id: str) -> None:
        """`node_id` found that it has to wait for more."""
        self._running.discard(node_id)

    def finish(self, node_id: str) -> None:
        """`node_id` is done."""
        self._running.discard(node_id)
        del self._waits[node_id]
        for waiting in self._behind.pop(node_id, set()):
            self._waits[waiting].discard(node_id)

    def stuck(self) -> list[str]:
        """The nodes that are left, for telling who waits for each other."""
        return sorted(self._waits)

    def _wait(self, node_id: str, source: str) -> None:
        self._waits[node_id].add(source)
        self._behind.setdefault(source, set()).add(node_id)

    def _needs(self, node_id: str) -> list[str]:
        node = self._prompt.get_node(node_id)
        declared = declared_inputs(self._class(node_id))
        needed = []
        for name, source, _ in links_of(node):
            spec = input_spec(declared, name)
            if spec is None or not (spec.lazy or spec.raw_link):
                needed.append(source)
        return needed

    def _distance_to_output(self, node_id: str) -> int:
        if is_output_node(self._class(node_id)):
            return 0
        return 1 if any(is_output_node(self._class(n)) for n in self._behind.get(node_id, ())) else 2

    def _class(self, node_id: str) -> NodeClass:
        name = self._prompt.get_node(node_id)["class_type"]
        if name not in self._classes:
            raise NodeContractBroken(name, f"node {node_id} of an expansion names it, but it does not exist.")
        return self._classes[name]
