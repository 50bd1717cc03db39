"""The parts of one engine, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .arguments import Arguments
from .events import EventHub
from .execution import Executor
from .folders import Folders
from .history import History
from .hooks import Hooks
from .interruption import Interruption
from .logs import LogKeeper
from .numbering import Numbering
from .prompt_queue import PromptQueue
from .registry import NodeRegistry
from .reporting import Watching
from .tracebacks import PathFilter
from .user_files import UserFiles
from .worker import Worker


@dataclass(frozen=True)
class Engine:
    """Everything that routes and plugins reach for."""

    arguments: Arguments
    folders: Folders
    registry: NodeRegistry
    paths: PathFilter
    queue: PromptQueue
    history: History
    interruption: Interruption
    watching: Watching
    hub: EventHub
    worker: Worker
    logs: LogKeeper
    users: UserFiles
    numbering: Numbering
    hooks: Hooks

    @property
    def features(self) -> dict[str, object]:
        """The server's feature flags, as /features and the web socket tell them."""
        return features(self.arguments)


def features(arguments: Arguments) -> dict[str, object]:
    """What this engine can do beyond the first versions of the API."""
    return {
        "supports_preview_metadata": True,
        "max_upload_size": arguments.max_upload_bytes,
        "extension": {"manager": {"supports_v4": False}},
        "node_replacements": True,
        "assets": False,
        "supports_model_type_tags": False,
    }


def assemble(
    arguments: Arguments,
    folders: Folders,
    registry: NodeRegistry,
    logs: LogKeeper,
    free_models: Callable[[bool], None],
) -> Engine:
    """An engine that is not started yet."""
    watching, interruption, history = Watching(), Interruption(), History()
    queue = PromptQueue(on_change=lambda: hub.send_status())
    hub = EventHub(
        features(arguments),
        lambda: {"exec_info": {"queue_remaining": queue.remaining()}},
        watching,
    )
    paths = PathFilter.of(folders)
    executor = Executor(registry, hub, interruption, paths, watching)
    previews = arguments.preview_method != "none"
    return Engine(
        arguments=arguments,
        folders=folders,
        registry=registry,
        paths=paths,
        queue=queue,
        history=history,
        interruption=interruption,
        watching=watching,
        hub=hub,
        worker=Worker(queue, history, executor, hub, free_models, previews),
        logs=logs,
        users=UserFiles(folders.user),
        numbering=Numbering(),
        hooks=Hooks(),
    )
