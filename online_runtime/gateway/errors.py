"""What can go wrong at the door of the online service. Each error has fields and a sentence that names
the next step.

    GatewayError
    ├── BadSetting
    ├── TokenRefused
    ├── UnknownPath
    ├── UnknownService
    ├── NoInstance
    ├── GatewayNotReady
    ├── InstanceUnreachable
    ├── InstanceAnswerBroken
    ├── BodyTooLarge
    ├── BadPath
    ├── PromptInvalid
    ├── PromptUnknown
    ├── PromptLost
    ├── PromptExpired
    ├── PromptUndecided
    ├── FileMissing
    ├── OwnerGone
    ├── JobsQueryRefused
    ├── JobsUnavailable
    ├── GatewayFault
    └── CallerGone
"""

from __future__ import annotations

from datetime import datetime


class GatewayError(Exception):
    """Root of all errors of this package."""


class BadSetting(GatewayError):
    """A value on the command line that cannot be used."""

    def __init__(self, name: str, value: object, wanted: str) -> None:
        self.name, self.value, self.wanted = name, value, wanted
        super().__init__(f"{name} is {value!r}, but must be {wanted}.")


class TokenRefused(GatewayError):
    """No token, a wrong one, or one that was revoked."""

    def __init__(self, service: str, given: bool) -> None:
        self.service, self.given = service, given
        what = "The token is not valid" if given else "A token is needed"
        super().__init__(
            f"{what} for service {service}: send 'Authorization: TOKEN' or 'Authorization: Bearer TOKEN' "
            "with a token of this service."
        )


class UnknownPath(GatewayError):
    """A path that does not lead to a service."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} leads nowhere here; services are under /api/predict/SERVICE/.")


class UnknownService(GatewayError):
    """The routing table has no such service."""

    def __init__(self, service: str) -> None:
        self.service = service
        super().__init__(
            f"There is no online service {service!r}; check the name, or deploy the project first."
        )


class NoInstance(GatewayError):
    """No instance of the service accepts calls now."""

    def __init__(self, service: str, retry_after_seconds: int) -> None:
        self.service, self.retry_after_seconds = service, retry_after_seconds
        super().__init__(
            f"No instance of service {service} accepts calls now; try again in {retry_after_seconds} s."
        )


class GatewayNotReady(GatewayError):
    """This gateway runs and cannot serve yet."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"This gateway is not ready: {reason}.")


class InstanceUnreachable(GatewayError):
    """An instance did not answer. `refused`: nothing listens there, so it has seen nothing of the call."""

    def __init__(self, instance_id: str, cause: str, refused: bool) -> None:
        self.instance_id, self.cause, self.refused = instance_id, cause, refused
        super().__init__(f"Instance {instance_id} did not answer ({cause}); try again.")


class InstanceAnswerBroken(GatewayError):
    """An instance answered something that its engine's API does not know."""

    def __init__(self, instance_id: str, path: str, found: str) -> None:
        self.instance_id, self.path, self.found = instance_id, path, found
        super().__init__(f"Instance {instance_id} answered {path} with {found}; look at the instance's log.")


class BodyTooLarge(GatewayError):
    """A body over the service's limit."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(
            f"The body is larger than {limit_bytes} bytes, the limit of this service; send "
            f"less or raise the limit."
        )


class BadPath(GatewayError):
    """A path or file name that would leave its folder."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"{name!r} is refused: use relative names without '..'.")


class PromptInvalid(GatewayError):
    """A prompt that no engine can run. `kind` is ComfyUI's error type."""

    def __init__(self, kind: str, message: str, details: str) -> None:
        self.kind, self.message, self.details = kind, message, details
        super().__init__(f"{message} {details}")


class PromptUnknown(GatewayError):
    """This service never accepted a prompt of that id."""

    def __init__(self, service: str, prompt_id: str) -> None:
        self.service, self.prompt_id = service, prompt_id
        super().__init__(
            f"Service {service} has no prompt {prompt_id}; check the id that POST /prompt answered."
        )


class PromptLost(GatewayError):
    """The prompt was accepted and could not be finished."""

    def __init__(self, service: str, prompt_id: str, reason: str) -> None:
        self.service, self.prompt_id, self.reason = service, prompt_id, reason
        super().__init__(f"Prompt {prompt_id} of service {service} is lost: {reason} Submit it again.")


class PromptExpired(GatewayError):
    """The result of the prompt was kept as long as the service says, and then removed."""

    def __init__(self, service: str, prompt_id: str, expired_at: datetime) -> None:
        self.service, self.prompt_id, self.expired_at = service, prompt_id, expired_at
        super().__init__(
            f"The result of prompt {prompt_id} of service {service} has expired: it was removed at "
            f"{expired_at:%Y-%m-%d %H:%M:%SZ}. Submit the prompt again, or have the service keep results for "
            "longer (archive.days, archive.bytes)."
        )


class PromptUndecided(GatewayError):
    """The same call is being accepted at this very moment."""

    def __init__(self, service: str, prompt_id: str) -> None:
        self.service, self.prompt_id = service, prompt_id
        super().__init__(
            f"Service {service} is still accepting prompt {prompt_id} from an earlier call; "
            f"ask again in a second."
        )


class FileMissing(GatewayError):
    """Neither the archive nor an instance has such a file."""

    def __init__(self, service: str, name: str) -> None:
        self.service, self.name = service, name
        super().__init__(
            f"Service {service} has no file {name!r}; use filename, subfolder and type as "
            f"/history gives them."
        )


class OwnerGone(GatewayError):
    """Something that only the instance that ran the prompt could do."""

    def __init__(self, what: str, prompt_id: str) -> None:
        self.what, self.prompt_id = what, prompt_id
        super().__init__(
            f"{what} needs the instance that ran prompt {prompt_id}, which is gone; ask "
            f"without that parameter."
        )


class JobsQueryRefused(GatewayError):
    """A filter, order, page or list of ids that jobs cannot be asked for by."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        self.name, self.value, self.wanted = name, value, wanted
        super().__init__(f"{name} is {value!r}, but must be {wanted}.")


class JobsUnavailable(GatewayError):
    """The jobs database did not take a change or answer a question; nothing was accepted."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(f"The jobs database is not available ({cause}); nothing was accepted, try again.")


class GatewayFault(GatewayError):
    """A bug of the gateway; its log has the traceback."""

    def __init__(self) -> None:
        super().__init__("The gateway failed on this call; its log says why. Report it with that log.")


class CallerGone(GatewayError):
    """The caller hung up; nobody is left to answer."""

    def __init__(self) -> None:
        super().__init__("The caller closed the connection before its call was complete.")
