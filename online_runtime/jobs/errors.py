"""What can go wrong with jobs and their archive. Each error has fields and a sentence that names the next
step.

JobsError
├── IllegalJobMove
├── JobsDatabaseTooNew
├── DatabaseNotSupported
├── JobsDatabaseClosed
├── PromptIdTaken
├── IdempotencyKeyReused
└── OutsideArchive
"""

from __future__ import annotations


class JobsError(Exception):
    """Root of all errors of this package."""


class IllegalJobMove(JobsError):
    """A state change that the table of moves does not have: a bug, never a caller's fault."""

    def __init__(self, now: str, to: str) -> None:
        self.now, self.to = now, to
        super().__init__(f"A job cannot go from {now} to {to}.")


class JobsDatabaseTooNew(JobsError):
    """The jobs database was written by a newer version; nothing was changed in it."""

    def __init__(self, found: str, known: str) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"The jobs database has schema {found}, this version knows up to {known}: upgrade stillframe, "
            f"or point --jobs-url at another database."
        )


class DatabaseNotSupported(JobsError):
    """A database URL that this installation cannot open, whatever is stored there."""

    def __init__(self, backend: str, remedy: str) -> None:
        self.backend, self.remedy = backend, remedy
        super().__init__(f"A database of the kind {backend!r} cannot be used here: {remedy}.")


class JobsDatabaseClosed(JobsError):
    """Something was asked of a jobs database that is being closed."""

    def __init__(self) -> None:
        super().__init__(
            "The jobs database is closed because this process is ending; ask again on another gateway."
        )


class PromptIdTaken(JobsError):
    """A caller chose a prompt id that this service has already used for another prompt."""

    def __init__(self, service: str, prompt_id: str) -> None:
        self.service, self.prompt_id = service, prompt_id
        super().__init__(
            f"Service {service} already has a prompt {prompt_id} with another body; "
            "leave prompt_id out or choose a new one."
        )


class IdempotencyKeyReused(JobsError):
    """An Idempotency-Key came again with another body."""

    def __init__(self, service: str, prompt_id: str) -> None:
        self.service, self.prompt_id = service, prompt_id
        super().__init__(
            f"This Idempotency-Key was used before in service {service} for prompt {prompt_id} "
            "with another body; use a new key for a new prompt."
        )


class OutsideArchive(JobsError):
    """A file name that would leave the folder of its prompt."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is not a path inside the archive: use relative names without '..'.")
