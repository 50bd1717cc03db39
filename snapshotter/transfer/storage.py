"""Folders at a URL, through fsspec: what is asked of them, and their errors without passwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import unquote

from snapshotter.errors import SnapshotterError
from snapshotter.transfer.errors import UrlFailed, UrlSilent, UrlUnusable
from snapshotter.transfer.patience import Patience

CHUNK_BYTES = 1 << 20
Wait = Callable[[Callable[[], Any]], Any]
_SECRETS = re.compile(
    r"(?i)\b([\w-]*(?:key|secret|token|password|signature|credential)[\w-]*)(\s*[=:]\s*)\S+"
)


def without_secrets(url: str) -> str:
    """The URL for people and logs: without user, password, query and fragment; in doubt only its protocol."""
    scheme, there, rest = url.partition("://")
    if not there or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", scheme):
        return "the URL"
    place, mark, after = rest.partition("?") if "?" in rest else rest.partition("#")
    if mark and "@" in after and "@" not in place:
        return f"{scheme}://..."  # A password may hold any of these marks.
    return f"{scheme}://{place.partition('#')[0].rpartition('@')[2]}"


class Storage:
    """The folder at `url`. `shown` is its name for people.

    All errors of the other side are UrlFailed; UrlSilent, when it does not answer within `limit_seconds`.
    """

    def __init__(
        self, url: str, options: Mapping[str, Any] | None = None, limit_seconds: float | None = None
    ) -> None:
        """Raises UrlUnusable for a URL whose protocol nobody here knows."""
        self.shown = without_secrets(url)
        if self.shown == "the URL" or "::" in url:
            raise UrlUnusable(self.shown, "it has no protocol, or more than one")
        self._secrets = sorted(_secrets_of(url, options or {}), key=len, reverse=True)
        from fsspec.core import url_to_fs

        self._patience = Patience(self.shown, limit_seconds)
        try:
            self._fs, root = self._patience.wait(
                "Opening the folder", lambda: url_to_fs(url, **(options or {}))
            )
        except SnapshotterError:
            raise
        except (ImportError, ValueError, TypeError) as error:
            raise UrlUnusable(self.shown, self._said(error)) from None
        except Exception as error:  # noqa: BLE001 - each library has its own; all are told, none is kept
            raise UrlFailed(self.shown, "Opening the folder", self._said(error)) from None
        self._root = str(root).rstrip("/")

    def sizes(self, folder: str) -> dict[str, int]:
        """Every file below `folder` by its path in it, with its length; empty without such a folder."""

        def find() -> dict[str, dict[str, Any]]:
            self._fs.invalidate_cache()
            return dict(self._fs.find(f"{self._root}/{folder}", detail=True))

        with self._asking("Listing what is there") as wait:
            try:
                found = wait(find)
            except FileNotFoundError:
                return {}
        inside = f"{self._root}/{folder}/".lstrip("/")
        return {
            path.lstrip("/").removeprefix(inside): int(facts["size"] or 0) for path, facts in found.items()
        }

    def read(self, path: str, most_bytes: int) -> bytes | None:
        """The whole file, or None when there is none. Longer than `most_bytes` is a UrlFailed."""

        def read() -> bytes:
            with self._fs.open(f"{self._root}/{path}", "rb") as file:
                return bytes(file.read(most_bytes + 1))

        with self._asking(f"Reading {path}") as wait:
            try:
                data: bytes = wait(read)
            except FileNotFoundError:
                return None
        if len(data) > most_bytes:
            raise UrlFailed(self.shown, f"Reading {path}", f"it has more than {most_bytes} bytes")
        return data

    def pieces(self, path: str) -> Iterator[bytes]:
        """The file piece by piece. Raises UrlFailed, also when it is not there."""

        def begin() -> Any:
            return self._fs.open(f"{self._root}/{path}", "rb")

        with self._asking(f"Reading {path}") as wait, _open(wait, begin) as file:
            while data := wait(lambda: bytes(file.read(CHUNK_BYTES))):
                yield data

    def send(self, path: str, pieces: Iterator[bytes]) -> None:
        """Write a file. It may be cut off when the other side is a plain disk: its length tells."""
        full = f"{self._root}/{path}"

        def begin() -> Any:
            self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            return self._fs.open(full, "wb")

        with self._asking(f"Writing {path}") as wait, _open(wait, begin) as file:
            for data in pieces:
                wait(partial(file.write, data))

    def rename(self, old: str, new: str) -> None:
        """Give a finished file its name, replacing what had it."""
        with self._asking(f"Writing {new}") as wait:
            wait(lambda: self._fs.mv(f"{self._root}/{old}", f"{self._root}/{new}"))

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Wait]:
        """Gives what waits for one answer of the other side; its errors are told as ours."""
        try:
            yield partial(self._patience.wait, doing)
        except SnapshotterError:
            raise
        except Exception as error:  # noqa: BLE001 - botocore, paramiko, aiohttp: no common root; told as ours
            raise UrlFailed(self.shown, doing, self._said(error)) from None

    def _said(self, error: Exception) -> str:
        """What an error says, without the secrets of the URL and the options."""
        said = f"{type(error).__name__}: {error}"
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return _SECRETS.sub(r"\1\2***", said)


@contextmanager
def _open(wait: Wait, ask: Callable[[], Any]) -> Iterator[Any]:
    """A file of the other side, closed whatever happens, unless it is the one that hangs."""
    file = wait(ask)
    try:
        yield file
    except UrlSilent:
        raise
    except BaseException:
        wait(file.close)
        raise
    wait(file.close)


def _secrets_of(url: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Everything of the URL that `without_secrets` leaves out, whole and in parts."""
    person, at, _ = url.partition("://")[2].rpartition("@")
    query = url.partition("?")[2]
    written = [person, *person.split(":", 1), query, url.partition("#")[2]] if at else [query]
    written += [pair.partition("=")[2] for pair in query.split("&")]
    written += [value for value in options.values() if isinstance(value, str)]
    for secret in written:
        if secret:
            yield secret
            if unquote(secret) != secret:
                yield unquote(secret)
