"""Who may do what: one table for the REST API, the console and everything else behind the web door. Pure.

A viewer reads. A developer changes workstations and deploys. An admin also removes, gives access and sets up.
A changing call that the table does not have is for admins only; a test names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from publisher.accounts import Role

READING = frozenset({"GET", "HEAD", "OPTIONS"})
_RANK: Mapping[str, int] = {Role.VIEWER: 0, Role.DEVELOPER: 1, Role.ADMIN: 2}

# Role, method (* is any), path, action. A line whose action is `-` changes nothing and is not recorded; one
# whose method and path are `-` is an action that only the console has.
_TABLE = """
viewer     POST    /signout                                                        account.sign-out
viewer     *       /_nicegui/{rest:path}                                           -
viewer     *       /_nicegui_ws/{rest:path}                                        -
developer  *       /projects/{project}/editor/{rest:path}                          -

viewer     POST    /api/v1/keys                                                    key.create
viewer     DELETE  /api/v1/keys/{key}                                              key.revoke
viewer     POST    /api/v1/sessions/end                                            account.sign-out-everywhere
viewer     POST    /api/v1/password                                                account.change-password
admin      GET     /api/v1/accounts                                                -
admin      POST    /api/v1/accounts                                                account.create
admin      PATCH   /api/v1/accounts/{account}                                      account.change
admin      DELETE  /api/v1/accounts/{account}                                      account.remove
admin      GET     /api/v1/audit                                                   -

developer  POST    /api/v1/projects                                                project.create
admin      DELETE  /api/v1/projects/{project}                                      project.remove
developer  POST    /api/v1/projects/{project}/workstation/start                    workstation.start
developer  POST    /api/v1/projects/{project}/workstation/stop                     workstation.stop
developer  POST    /api/v1/projects/{project}/workstation/restart                  workstation.restart
developer  PUT     /api/v1/projects/{project}/workflows/{rest:path}                workflow.save
developer  POST    /api/v1/projects/{project}/plugins                              plugin.install
developer  POST    /api/v1/projects/{project}/plugins/scan                         -
developer  POST    /api/v1/projects/{project}/plugins/{plugin}/update              plugin.update
developer  POST    /api/v1/projects/{project}/plugins/{plugin}/{change}            plugin.change
developer  DELETE  /api/v1/projects/{project}/plugins/{plugin}                     plugin.remove
developer  POST    /api/v1/projects/{project}/dependencies                         dependency.add
viewer     POST    /api/v1/projects/{project}/dependencies/plan                    -
developer  DELETE  /api/v1/projects/{project}/dependencies/{package}               dependency.remove
viewer     POST    /api/v1/models/missing                                          -
developer  PUT     /api/v1/models/files/{rest:path}                                model.upload
developer  DELETE  /api/v1/models/uploads/{rest:path}                              model.give-up-upload

developer  POST    /api/v1/projects/{project}/snapshots                            snapshot.freeze
developer  POST    /api/v1/projects/{project}/snapshots/{snapshot}/verify          snapshot.verify
developer  POST    /api/v1/projects/{project}/snapshots/{snapshot}/restore         snapshot.restore
admin      DELETE  /api/v1/projects/{project}/snapshots/{snapshot}                 snapshot.remove
developer  POST    /api/v1/projects/{project}/snapshots/verify                     snapshot.verify
developer  PUT     /api/v1/projects/{project}/snapshots/overlay                    snapshot.overlay
admin      POST    /api/v1/projects/{project}/snapshots/prune                      snapshot.prune
admin      POST    /api/v1/projects/{project}/snapshots/gc                         snapshot.collect

developer  POST    /api/v1/projects/{project}/deployments                          deployment.request
developer  POST    /api/v1/projects/{project}/deployments/{number}/cancel          deployment.cancel
developer  POST    /api/v1/projects/{project}/rollbacks                            deployment.roll-back
developer  PATCH   /api/v1/services/{service}/configuration                        service.configure
developer  POST    /api/v1/services/{service}/configurations/{version}/restore     service.configure
admin      PUT     /api/v1/services/{service}/secrets/{name}                       secret.set
admin      DELETE  /api/v1/services/{service}/secrets/{name}                       secret.remove
admin      POST    /api/v1/services/{service}/stop                                 service.stop
developer  POST    /api/v1/services/{service}/resume                               service.resume
admin      POST    /api/v1/services/{service}/tokens                               token.create
admin      DELETE  /api/v1/services/{service}/tokens/{token_id}                    token.revoke
"""


@dataclass(frozen=True)
class Right:
    """What one call needs. `action` is None for a call that changes nothing."""

    role: str
    action: str | None


@dataclass(frozen=True)
class _Line:
    method: str
    pattern: re.Pattern[str]
    right: Right


def right_for(method: str, path: str) -> Right:
    """What a call of the web door needs. The first line of the table that fits counts."""
    for line in _lines():
        if line.method in ("*", method) and line.pattern.fullmatch(path):
            return line.right
    return Right(Role.VIEWER, None) if method in READING else Right(Role.ADMIN, f"{method} {path}")


def listed(method: str, path: str) -> bool:
    """Whether the table itself has a line for this call."""
    return any(line.method in ("*", method) and line.pattern.fullmatch(path) for line in _lines())


def role_for(action: str) -> str:
    """The least role that may do an action, by its name. KeyError for a name that the table does not have."""
    return _roles()[action]


def allows(role: str, needed: str) -> bool:
    """Whether an account of `role` may do what `needed` may. Nobody's role allows nothing."""
    return role in _RANK and _RANK[role] >= _RANK[needed]


@cache
def _lines() -> tuple[_Line, ...]:
    return tuple(_parsed())


@cache
def _roles() -> Mapping[str, str]:
    return {line.right.action: line.right.role for line in _lines() if line.right.action is not None}


def _parsed() -> Iterator[_Line]:
    for text in filter(None, _TABLE.splitlines()):
        role, method, path, action = text.split()
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path).replace(r"\{rest:path\}", ".*"))
        yield _Line(method, re.compile(pattern), Right(Role(role), None if action == "-" else action))
