"""What can go wrong at the doors. HTTP statuses and exit codes of all errors stand in web/verdicts.py.

WebError
├── SettingRefused
│   ├── UnknownSetting
│   └── BadSetting
├── HomeNotFound
├── PlatformNotRunning
├── DoorUnreachable
├── DoorRefused
├── WorkerNotRunning
├── PlatformRunning
├── PortTaken
├── PartDidNotStart
├── CredentialsWrong
├── TooManyAttempts
├── OriginRefused
├── NotAllowed
├── NoSuchPage
├── ConsoleNotLoaded
├── BodyTooLarge
├── RequestRefused
├── FileUnreadable
├── EngineUnreachable
├── CallRefused
│   ├── CallDenied
│   ├── CallNotFound
│   ├── CallTooLarge
│   └── CallUnavailable
├── WorkflowFailed
├── ModelsMissing
├── NodesUnknown
├── ServiceStillServes
├── WaitedTooLong
├── DeploymentNotSucceeded
├── AnswerNeeded
├── Declined
└── DemoFailed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class WebError(Exception):
    """Root of all errors of this package."""


class SettingRefused(WebError):
    """A setting that cannot be used. Nothing was started."""


class UnknownSetting(SettingRefused):
    """A key that no setting has."""

    def __init__(self, key: str, source: str, known: Sequence[str], example: str) -> None:
        self.key, self.source, self.known, self.example = key, source, tuple(known), example
        super().__init__(
            f"{source} sets {key!r}, which is no setting of Stillframe. A valid line is: {example}"
        )


class BadSetting(SettingRefused):
    """A known setting with a value of the wrong kind."""

    def __init__(self, key: str, source: str, value: object, wanted: str, example: str) -> None:
        self.key, self.source, self.value, self.wanted, self.example = key, source, value, wanted, example
        super().__init__(f"{source} sets {key} to {value!r}, but it must be {wanted}. For example: {example}")


class HomeNotFound(WebError):
    """A home folder that was named and is not there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(
            f"There is no home at {home}: `stillframe up` and `stillframe project create` make one, "
            "or name yours with --home."
        )


class PlatformNotRunning(WebError):
    """The command needs the control plane of this home, and it does not run."""

    def __init__(self, home: Path, wanted_for: str) -> None:
        self.home, self.wanted_for = home, wanted_for
        super().__init__(
            f"Nothing runs on the home {home}, and {wanted_for} needs it: run `stillframe up --home {home}`."
        )


class DoorUnreachable(WebError):
    """The platform runs, and its web door does not answer."""

    def __init__(self, url: str, reason: str, log: Path) -> None:
        self.url, self.reason, self.log = url, reason, log
        super().__init__(
            f"The web door at {url} does not answer ({reason.rstrip('.')}). Why stands in {log}; "
            "the supervisor starts it again, so try once more."
        )


class DoorRefused(WebError):
    """What the web door refused, for a command that asked it: `problem` is the door's own document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, problem
        super().__init__(str(problem.get("detail") or f"the web door answered {status}"))


class WorkerNotRunning(WebError):
    """What was asked for is on record, and no worker is there to carry it out."""

    def __init__(self, wanted: str, seconds: float, log: Path, then: str) -> None:
        self.wanted, self.seconds, self.log = wanted, seconds, log
        super().__init__(
            f"No worker has been alive for {seconds:g} s, so {wanted} does not move. "
            f"Why stands in {log}. {then}"
        )


class DoorNotReady(WebError):
    """This door answers, and what it is asked for cannot be carried out now."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The platform is not ready: {reason}.")


class PlatformRunning(WebError):
    """A second `stillframe up` on one home."""

    def __init__(self, home: Path, pid: int, since: str, url: str) -> None:
        self.home, self.pid, self.since, self.url = home, pid, since, url
        super().__init__(
            f"The home {home} is already served by process {pid} (since {since}) at {url}: "
            "use that one, stop it with ctrl-C, or choose another --home."
        )


class PortTaken(WebError):
    """Another program listens where the platform should."""

    def __init__(self, listen: str, port: int, option: str) -> None:
        self.listen, self.port, self.option = listen, port, option
        super().__init__(
            f"Port {port} on {listen} is taken by another program: choose one with {option}, or 0 for any."
        )


class PartDidNotStart(WebError):
    """The web door, the gateway or the worker did not come up."""

    def __init__(self, part: str, reason: str, log: Path, tail: Sequence[str] = ()) -> None:
        self.part, self.reason, self.log, self.tail = part, reason, log, tuple(tail)
        last = f" Its last line: {tail[-1]}" if tail else ""
        super().__init__(f"The {part} did not start: {reason}.{last} Its log is {log}.")


class CredentialsWrong(WebError):
    """No credentials, or wrong ones. Says nothing about which part was wrong."""

    def __init__(self) -> None:
        super().__init__(
            "Sign in with the admin password (HTTP Basic) that `stillframe up` printed at its first start, "
            "or with an API key as `Authorization: Bearer KEY`."
        )


class TooManyAttempts(WebError):
    """Too many wrong passwords from one address."""

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(
            f"Too many wrong passwords from this address: try again in {retry_after_seconds:.0f} seconds."
        )


class OriginRefused(WebError):
    """A request whose Host or Origin this server does not answer to."""

    def __init__(self, header: str, value: str) -> None:
        self.header, self.value = header, value
        super().__init__(
            f"This server does not answer to {header} {value!r}: call it by the address that it printed at "
            "its start, or name the host in the setting `hosts`."
        )


class NotAllowed(WebError):
    """Somebody asked for what their role may not do. It was not done, and stands in the audit log."""

    def __init__(self, name: str, role: str, needed: str, action: str) -> None:
        self.name, self.role, self.needed, self.action = name, role, needed, action
        super().__init__(
            f"{name} has the role {role}, and {action} needs {needed}: ask an admin to do it, or to give "
            f"the role with `stillframe account role {name} {needed}`."
        )


class NoSuchPage(WebError):
    """An address of the console that no page has."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"There is no page at {path}: go to the projects, or use the navigation.")


class ConsoleNotLoaded(WebError):
    """The console's libraries did not load within the limit. The API answers meanwhile."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        super().__init__(
            f"The console did not load within {limit_seconds:g} s: reload the page; if that does not help, "
            "HOME/run/logs/web.log says why. The command line and the API work meanwhile."
        )


class BodyTooLarge(WebError):
    """A request body over the limit. It was not read."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"The request body is over the limit of {limit_bytes // 2**20} MiB: send less.")


class RequestRefused(WebError):
    """A request whose fields do not say what is needed."""

    def __init__(self, what: str, problems: Sequence[str] = ()) -> None:
        self.what, self.problems = what, tuple(problems)
        super().__init__(f"{what}: {'; '.join(problems)}." if problems else f"{what}.")


class FileUnreadable(WebError):
    """A file named on the command line that cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path} cannot be used: {reason}. Check the path and who may read it.")


class EngineUnreachable(WebError):
    """Nothing answered at an engine's or gateway's address."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(
            f"Nothing answered at {url} ({reason}): see `stillframe workstation status` or `stillframe up`."
        )


class CallRefused(WebError):
    """The engine or the gateway answered a call with an error. `answer` is its own document."""

    def __init__(self, url: str, code: int, reason: str, answer: object = None) -> None:
        self.url, self.code, self.reason, self.answer = url, code, reason, answer
        super().__init__(f"{url} answered {code}: {reason}")


class CallDenied(CallRefused):
    """The token is missing, wrong or revoked."""


class CallNotFound(CallRefused):
    """What was called does not exist."""


class CallTooLarge(CallRefused):
    """The body is over the service's limit."""


class CallUnavailable(CallRefused):
    """Nothing takes calls at present."""


class WorkflowFailed(WebError):
    """A prompt ended without a result."""

    def __init__(self, prompt_id: str, node: str, reason: str, traceback: Sequence[str] = ()) -> None:
        self.prompt_id, self.node, self.reason, self.traceback = prompt_id, node, reason, tuple(traceback)
        at = f" at node {node}" if node else ""
        super().__init__(f"The workflow failed{at}: {reason}. See the engine's log for the whole traceback.")


class ModelsMissing(WebError):
    """A workflow names models that the home does not have. Nothing was run."""

    def __init__(self, missing: Sequence[str], models: Path) -> None:
        self.missing, self.models = tuple(missing), models
        super().__init__(f"The workflow wants models that are not in {models}: {' '.join(missing)}")


class NodesUnknown(WebError):
    """A workflow uses nodes that the engine does not have. Nothing was run."""

    def __init__(self, nodes: Sequence[str], project: str) -> None:
        self.nodes, self.project = tuple(nodes), project
        super().__init__(
            f"The workstation {project} does not have these nodes of the workflow: {', '.join(nodes)}. "
            f"Install the plugins that bring them and restart it; see `stillframe plugin imports {project}`."
        )


class ServiceStillServes(WebError):
    """A project cannot be removed while its service runs. Nothing was removed."""

    def __init__(self, project: str, instances: int) -> None:
        self.project, self.instances = project, instances
        super().__init__(
            f"Project {project} has {instances} online instances: "
            f"run `stillframe service stop {project}` first."
        )


class WaitedTooLong(WebError):
    """A wait reached its limit. What was waited for may still happen."""

    def __init__(self, what: str, limit_seconds: float, then: str) -> None:
        self.what, self.limit_seconds, self.then = what, limit_seconds, then
        super().__init__(f"Waited {limit_seconds:.0f} s for {what}, and it did not happen. {then}")


class DeploymentNotSucceeded(WebError):
    """A deployment that was waited for ended, but not in success."""

    def __init__(self, project: str, number: int, state: str, reason: str) -> None:
        self.project, self.number, self.state, self.reason = project, number, state, reason
        super().__init__(
            f"Deployment {number} of {project} ended {state}: "
            f"{(reason or 'no reason recorded').rstrip('.')}. "
            f"What it did, step by step: stillframe deployment show {project} {number}"
        )


class AnswerNeeded(WebError):
    """A destructive command without --yes and without a terminal to ask at."""

    def __init__(self, question: str) -> None:
        self.question = question
        super().__init__(f"{question} There is no terminal to ask at: repeat the command with --yes.")


class Declined(WebError):
    """A destructive command whose question was answered with no."""

    def __init__(self) -> None:
        super().__init__("Nothing was changed.")


class DemoFailed(WebError):
    """A claim of the demo that did not hold."""

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(f"The demo failed at {step!r}: {reason}")
