"""What can go wrong at the editor.

EditorError
├── FrontendNotInstalled
├── EngineGone
├── TemplateNotFound
└── UploadTooLarge
"""

from __future__ import annotations

from collections.abc import Sequence

from web.errors import WebError


class EditorError(WebError):
    """Root of the editor's errors."""


class FrontendNotInstalled(EditorError):
    """The package that holds the frontend is not there."""

    def __init__(self) -> None:
        super().__init__(
            "The graph editor is not installed: install stillframe with its extra `frontend` "
            "(pip install 'stillframe[frontend]') and open this page again."
        )


class EngineGone(EditorError):
    """The engine's process is there, but its port does not answer, or it hung up in the middle."""

    def __init__(self, project: str, reason: str) -> None:
        self.project, self.reason = project, reason
        super().__init__(
            f"The engine of {project} does not answer ({reason}): it starts, restarts or ended; see "
            f"`stillframe workstation log {project}`."
        )


class TemplateNotFound(EditorError):
    """No workflow template of that name."""

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        super().__init__(f"There is no workflow template {name!r}: there are {', '.join(existing)}.")


class UploadTooLarge(EditorError):
    """A body over what engines take."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"Engines take at most {limit_bytes // 2**20} MiB at once: make the file smaller, or put it into "
            "the workstation's input folder."
        )
