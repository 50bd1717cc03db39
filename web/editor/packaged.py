"""Files of the packaged frontend as answers."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from web.editor.frontend import static_folder

HASHED = "/assets/"  # these files have their content's hash in their name


def packaged_file(request: Request, path: str) -> Response | None:
    """The file at `path` (percent-encoded), or a 304; None when the package has no such file.

    Raises FrontendNotInstalled.
    """
    name = unquote(path).lstrip("/")
    if not name or "\0" in name or ".." in PurePosixPath(name).parts:
        return None
    files = StaticFiles(directory=static_folder(), check_dir=False)
    found, stat = files.lookup_path(name)
    if stat is None or not static_folder().joinpath(name).is_file():
        return None
    answer = files.file_response(found, stat, request.scope)
    fresh = "private, max-age=31536000, immutable" if path.startswith(HASHED) else "no-cache"
    answer.headers["Cache-Control"] = fresh
    return answer
