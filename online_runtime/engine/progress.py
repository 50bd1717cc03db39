"""How a running node tells how far it is, and learns that it should stop."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image


class Progress(Protocol):
    """The running node's line to whoever watches it."""

    @property
    def wants_previews(self) -> bool:
        """Whether computing a preview is worth it: False when nobody asked for one."""

    def update(self, value: int, total: int, preview: Image.Image | None = None) -> None:
        """Tell that `value` of `total` steps are done. Raises Interrupted when asked to stop."""

    def check_interrupted(self) -> None:
        """Raise Interrupted when the prompt was asked to stop. Call it in long loops."""


class _Unwatched:
    """Nobody watches: nodes that are called outside of a prompt, as tests do."""

    wants_previews = False

    def update(self, value: int, total: int, preview: Image.Image | None = None) -> None:
        return None

    def check_interrupted(self) -> None:
        return None


_UNWATCHED: Progress = _Unwatched()
_current: ContextVar[Progress] = ContextVar("progress", default=_UNWATCHED)


def current() -> Progress:
    """The progress of the node that runs in this context; one that does nothing outside of a prompt."""
    return _current.get()


def use(progress: Progress) -> Token[Progress]:
    """Make `progress` current in this context; give the token to `restore` afterwards."""
    return _current.set(progress)


def restore(token: Token[Progress]) -> None:
    """Undo a `use`."""
    _current.reset(token)
