"""What the engine is and has: nodes, models, memory, features, log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from ..assembly import Engine
from ..devices import system_stats
from ..errors import BadRequest, FileMissing, UnknownFolder
from ..files import listed
from ..folders import current_kind, inside

# Example workflows of a plugin stand in a folder of one of these names.
_EXAMPLE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")


def node_routes(engine: Engine) -> web.RouteTableDef:
    """/system_stats, /features and /object_info."""
    routes = web.RouteTableDef()

    @routes.get("/system_stats")
    async def stats(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(system_stats, engine.arguments.cpu)
        found["system"]["argv"] = [engine.paths.text(word) for word in found["system"]["argv"]]
        return web.json_response(found)

    @routes.get("/features")
    async def features(request: web.Request) -> web.Response:
        return web.json_response(engine.features)

    @routes.get("/object_info")
    async def nodes(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(engine.registry.describe_all))

    @routes.get("/object_info/{name}")
    async def node(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in engine.registry.classes:
            return web.json_response({})
        return web.json_response({name: await asyncio.to_thread(engine.registry.describe, name)})

    @routes.get("/node_replacements")
    async def replacements(request: web.Request) -> web.Response:
        return web.json_response({})

    return routes


def model_routes(engine: Engine) -> web.RouteTableDef:
    """/models, /embeddings and /experiment/models."""
    routes = web.RouteTableDef()
    folders = engine.folders

    @routes.get("/embeddings")
    async def embeddings(request: web.Request) -> web.Response:
        names = await asyncio.to_thread(folders.list, "embeddings")
        return web.json_response([name.rsplit(".", 1)[0] for name in names])

    @routes.get("/models")
    async def kinds(request: web.Request) -> web.Response:
        return web.json_response([kind for kind in folders.kinds if kind != "custom_nodes"])

    @routes.get("/models/{folder}")
    async def names(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(folders.list, _kind(request)))

    @routes.get("/experiment/models")
    async def kinds_with_folders(request: web.Request) -> web.Response:
        shown = [kind for kind in folders.kinds if kind not in ("configs", "custom_nodes")]
        # Only the names of search folders leave, not where they are on this machine.
        return web.json_response(
            [
                {"name": kind, "folders": [engine.paths.text(p) for p in folders.kinds[kind][0]]}
                for kind in shown
            ]
        )

    @routes.get("/experiment/models/{folder}")
    async def files_with_places(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(_placed, engine, _kind(request)))

    @routes.get("/experiment/models/preview/{folder}/{path_index}/{file:.*}")
    async def preview(request: web.Request) -> web.Response:
        roots = folders.kinds[_kind(request)][0]
        index = request.match_info["path_index"]
        if not index.isdecimal() or int(index) >= len(roots):
            raise BadRequest("path_index", f"{index!r} is no index of a folder.")
        mime, body = await asyncio.to_thread(_preview, Path(roots[int(index)]), request.match_info["file"])
        return web.Response(body=body, content_type=mime)

    def _kind(request: web.Request) -> str:
        kind = current_kind(request.match_info["folder"])
        if kind not in folders.kinds:
            raise UnknownFolder(kind)
        return kind

    return routes


def _placed(engine: Engine, kind: str) -> list[dict[str, Any]]:
    found = []
    roots = [Path(root) for root in engine.folders.kinds[kind][0]]
    for name in engine.folders.list(kind):
        index = next((i for i, root in enumerate(roots) if (root / name).exists()), 0)
        stat = (roots[index] / name).stat()
        found.append({"name": name, "pathIndex": index, "size": stat.st_size, "modified": stat.st_mtime})
    return found


def _preview(root: Path, name: str) -> tuple[str, bytes]:
    """The picture beside a file of weights, as webp."""
    from ..files import reencoded

    stem = inside(root, name).with_suffix("")
    for suffix in (".preview.png", ".png", ".webp", ".jpg", ".jpeg"):
        picture = stem.with_name(stem.name + suffix)
        if picture.is_file():
            return reencoded(picture, "webp")
    raise FileMissing(f"{name}'s preview", root.name)


def plugin_routes(engine: Engine) -> web.RouteTableDef:
    """/extensions, /i18n, /workflow_templates and /global_subgraphs: what plugins bring besides nodes."""
    routes = web.RouteTableDef()
    plugins = engine.registry.plugin_folders

    @routes.get("/extensions")
    async def extensions(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(_scripts, engine))

    @routes.get("/i18n")
    async def translations(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(_translations, plugins.values()))

    @routes.get("/workflow_templates")
    async def templates(request: web.Request) -> web.Response:
        found = {
            name: [p.stem for p in sorted(path.glob("*.json"))] for name, path in example_folders(engine)
        }
        return web.json_response({name: names for name, names in found.items() if names})

    @routes.get("/global_subgraphs")
    async def subgraphs(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(_subgraphs, plugins)
        return web.json_response(
            {key: {k: v for k, v in s.items() if k != "data"} for key, s in found.items()}
        )

    @routes.get("/global_subgraphs/{key}")
    async def subgraph(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(_subgraphs, plugins)
        return web.json_response(found.get(request.match_info["key"]))

    return routes


def example_folders(engine: Engine) -> Iterable[tuple[str, Path]]:
    """Each plugin's folder of example workflows, where it has one."""
    for name, path in engine.registry.plugin_folders.items():
        for folder in _EXAMPLE_FOLDERS:
            if (path / folder).is_dir():
                yield name, path / folder
                break


def _scripts(engine: Engine) -> list[str]:
    return [
        f"/extensions/{name}/{script.relative_to(folder).as_posix()}"
        for name, folder in engine.registry.web_directories.items()
        for script in sorted(folder.rglob("*.js"))
    ]


def _translations(plugins: Iterable[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for plugin in plugins:
        for file in sorted(plugin.glob("locales/*/*.json")):
            words = json.loads(file.read_bytes())
            language = merged.setdefault(file.parent.name, {})
            language.update(
                words if file.stem == "main" else {file.stem: language.get(file.stem, {}) | words}
            )
    return merged


def _subgraphs(plugins: dict[str, Path]) -> dict[str, dict[str, Any]]:
    return {
        f"{name}.{file.stem}": {
            "source": "custom_node",
            "name": file.stem,
            "info": {"node_pack": f"custom_nodes.{name}"},
            "data": file.read_text(encoding="utf-8"),
        }
        for name, path in plugins.items()
        for file in sorted(path.glob("subgraphs/*.json"))
    }


def internal_routes(engine: Engine) -> web.RouteTableDef:
    """/internal, for the frontend alone: never under /api."""
    routes = web.RouteTableDef()
    subscribers: set[str] = set()

    @routes.get("/internal/logs")
    async def logs(request: web.Request) -> web.Response:
        return web.json_response(engine.logs.text())

    @routes.get("/internal/logs/raw")
    async def raw(request: web.Request) -> web.Response:
        return web.json_response({"entries": engine.logs.entries(), "size": {"cols": 80, "rows": 24}})

    @routes.patch("/internal/logs/subscribe")
    async def subscribe(request: web.Request) -> web.Response:
        body = await request.json()
        (subscribers.add if body["enabled"] else subscribers.discard)(body["clientId"])
        return web.Response(status=200)

    @routes.get("/internal/folder_paths")
    async def folder_paths(request: web.Request) -> web.Response:
        kinds = engine.folders.kinds
        return web.json_response({k: [engine.paths.text(p) for p in kinds[k][0]] for k in kinds})

    @routes.get("/internal/files/{type}")
    async def files(request: web.Request) -> web.Response:
        folder = engine.folders.directory(request.match_info["type"])
        if folder is None:
            raise BadRequest("type", "it is none of input, output, temp.")
        return web.json_response(await asyncio.to_thread(listed, folder))

    def tell(entry: dict[str, str]) -> None:
        for client in list(subscribers):
            engine.hub.send("logs", {"entries": [entry], "size": None}, client)

    engine.logs.on_entry = tell
    return routes
