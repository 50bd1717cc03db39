"""From arguments to a listening engine, and down again."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from . import compat, folders, logs, plugins
from .arguments import Arguments
from .assembly import Engine, assemble
from .errors import EngineError
from .extra_paths import add_extra_paths
from .folders import Folders
from .registry import BUILTIN, NodeRegistry
from .server import build_app
from .startup import STARTUP

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0  # how long a running prompt may take to notice that the engine stops
CLOSE_SECONDS = 1.0  # how long open requests may take


def run(arguments: Arguments) -> int:
    """Prepare, listen, and serve until SIGTERM or SIGINT. Returns the exit code."""
    keeper = logs.start()
    try:
        engine = prepare(arguments, keeper)
    except EngineError as error:
        log.error("%s", error)
        return 1
    if arguments.quick_test:
        return 0
    return asyncio.run(_serve(engine))


def prepare(arguments: Arguments, keeper: logs.LogKeeper) -> Engine:
    """Folders, compatibility modules, own nodes, plugins: all that comes before listening."""
    with STARTUP.stage("own nodes"):
        from .models import attention, memory
        from .nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
    with STARTUP.stage("folders"):
        places = prepare_folders(arguments)
    memory.configure(arguments.cpu)
    attention.configure(
        arguments.attention, frozenset({"xformers"}) if arguments.disable_xformers else frozenset()
    )
    registry = NodeRegistry()
    engine = assemble(arguments, places, registry, keeper, memory.free)
    load_nodes(engine, NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS)
    return engine


def prepare_folders(arguments: Arguments) -> Folders:
    """Make the folders, empty `temp`, and use them from now on. Raises BadArgument."""
    places = Folders.below(
        arguments.base_directory,
        models=arguments.models_directory,
        input=arguments.input_directory,
        output=arguments.output_directory,
        temp=arguments.temp_directory,
        user=arguments.user_directory,
    )
    for config in arguments.extra_model_paths:
        add_extra_paths(places, config)
    for folder in (places.input, places.output, places.temp, places.user):
        folder.mkdir(parents=True, exist_ok=True)
    _empty(places.temp)
    folders.use(places)
    return places


def load_nodes(engine: Engine, classes: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """The engine's own nodes, then the plugins' unless the arguments forbid them."""
    engine.registry.add(BUILTIN, classes, names)
    with STARTUP.stage("compatibility"):
        compat.install(engine)
    if engine.arguments.disable_all_custom_nodes:
        log.info("Custom nodes are disabled")
        return
    with STARTUP.stage("plugins"):
        prepared = plugins.run_prestartup_scripts(engine.folders)
        loaded = plugins.load_all(engine.folders, engine.registry)
    for one in (*prepared, *loaded):
        STARTUP.plugins[one.path.name] = STARTUP.plugins.get(one.path.name, 0.0) + one.seconds


def _empty(folder: Path) -> None:
    """Remove what is in `folder`, not the folder: it may be a link or a mount."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


async def _serve(engine: Engine) -> int:
    loop = asyncio.get_running_loop()
    engine.hub.attach(loop)
    prompt_server = compat.PromptServer.instance
    prompt_server.loop = loop
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = build_app(engine, prompt_server.routes, prompt_server.app)
    prompt_server.app = app
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, engine.arguments.listen, engine.arguments.port).start()
    except OSError as error:
        log.error("Cannot listen on %s:%s: %s", engine.arguments.listen, engine.arguments.port, error)
        await runner.cleanup()
        return 1
    engine.worker.start()
    STARTUP.ready()
    log.info("%s", STARTUP.sentence())
    host, port = runner.addresses[0][:2]
    log.info("Starting server\n")
    log.info("To see the GUI go to: http://%s:%s", f"[{host}]" if ":" in host else host, port)
    await stop.wait()
    return await _stop(engine, runner)


async def _stop(engine: Engine, runner: web.AppRunner) -> int:
    log.info("Stopping")
    ended = await asyncio.to_thread(engine.worker.stop, STOP_SECONDS)
    await engine.hub.close()
    await runner.cleanup()
    if not ended:
        log.warning("The running prompt did not stop within %s seconds and is abandoned", STOP_SECONDS)
        sys.stderr.flush()
        os._exit(0)  # its thread cannot be ended, and leaving it to the interpreter may hang or crash
    return 0
