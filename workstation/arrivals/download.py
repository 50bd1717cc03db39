"""Downloading a model by URL, going on where an earlier attempt stopped."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from workstation.arrivals.errors import DownloadCutOff, DownloadFailed
from workstation.arrivals.receiving import Arriving
from workstation.atomic import write_text
from workstation.layout import Home
from workstation.models import ModelFile
from workstation.plugins.repositories import without_credentials

SILENCE_SECONDS = 60.0  # how long a source may say nothing
_READ_BYTES = 1 << 20
_SCHEMES = ("http", "https", "file")
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")

OnBytes = Callable[[int, "int | None"], None]


@dataclass(frozen=True)
class Source:
    """Where a model comes from; `validator` is the ETag or time of the file there: two are never mixed."""

    url: str
    validator: str = ""


def name_of(url: str) -> str:
    """The file name that a URL or path suggests."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def add_model(
    home: Home,
    kind: str,
    source: str,
    *,
    name: str | None = None,
    sha256: str | None = None,
    replace_it: bool = False,
    progress: OnBytes | None = None,
) -> ModelFile:
    """Bring a model from an http, https or file URL, or a path, into `kind`. Repeatable: it goes on.

    Raises ModelNameUnusable, ModelExists, ArrivalInProgress, ModelBytesWrong, NoRoomForModel, DownloadFailed,
    DownloadCutOff.
    """
    url = _url(source)
    arriving = Arriving(home, kind, name or name_of(url), None, sha256, replace_it)
    there = arriving.arrived()
    if there is not None:
        return there
    _receive(arriving, url, progress)
    _note_file(arriving).unlink(missing_ok=True)
    return arriving.finish()


def _receive(arriving: Arriving, url: str, progress: OnBytes | None) -> None:
    shown = without_credentials(url)
    known = _noted(arriving)
    offset = arriving.received_bytes() if known.url == shown and known.validator else 0
    answer = _ask(url, offset, known.validator)
    with answer:
        begins, size = _begins(answer, offset)
        sized = replace(arriving, size_bytes=size)
        with sized.part(begins) as part:
            _note(arriving, Source(shown, _validator(answer)))
            received = begins
            try:
                while data := answer.read(_READ_BYTES):
                    received = part.write(data)
                    if progress is not None:
                        progress(received, size)
            except (OSError, http.client.HTTPException):
                raise DownloadCutOff(shown, received, size) from None
    if size is not None and received != size:
        raise DownloadCutOff(shown, received, size)


def _url(source: str) -> str:
    scheme = urlsplit(source).scheme
    if "://" not in source:
        path = Path(source).expanduser().absolute()
        if not path.is_file():
            raise DownloadFailed(source, "there is no such file, and it is no URL")
        return path.as_uri()
    if scheme not in _SCHEMES:
        raise DownloadFailed(source, f"{scheme} is none of {', '.join(_SCHEMES)}")
    return source


def _ask(url: str, offset: int, validator: str) -> Any:
    """An answer that begins at `offset`, or at 0 when the source cannot or its file is another one."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity"})
    if offset and validator:
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", validator)
    try:
        return urllib.request.urlopen(request, timeout=SILENCE_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            return _ask(url, 0, "")
        reason = f"the server answers {error.code} {error.reason}"
        raise DownloadFailed(without_credentials(url), reason) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise DownloadFailed(without_credentials(url), str(why)) from None


def _begins(answer: Any, offset: int) -> tuple[int, int | None]:
    """Where the answer's bytes begin, and how many the whole file has when that is told."""
    if getattr(answer, "status", None) == http.client.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found and int(found[1]) == offset:
            return offset, None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length")
    return 0, int(length) if length and length.isdecimal() else None


def _validator(answer: Any) -> str:
    etag = str(answer.headers.get("ETag") or "")
    return etag if etag and not etag.startswith("W/") else str(answer.headers.get("Last-Modified") or "")


def _note_file(arriving: Arriving) -> Path:
    return arriving.partial.with_name(f"{arriving.partial.name}.json")


def _note(arriving: Arriving, source: Source) -> None:
    write_text(_note_file(arriving), json.dumps({"url": source.url, "validator": source.validator}))


def _noted(arriving: Arriving) -> Source:
    try:
        found = json.loads(_note_file(arriving).read_bytes())
        return Source(str(found["url"]), str(found["validator"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Source("")  # without it the download only begins anew
