"""Who may do what: one table, and nothing that changes something is missing in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from publisher.accounts import Role
from web.api.app import create_app
from web.installation import open_installation
from web.signin.rights import READING, allows, listed, right_for, role_for

PERFORMED = re.compile(r"""(?:perform|\.may|role_for)\(\s*["']([\w.-]+)["']""")


def changing_calls(folder: Path) -> list[tuple[str, str]]:
    app = create_app(open_installation(folder / "home", {}, make=True))
    described = app.openapi()["paths"]
    return [
        (method.upper(), re.sub(r"{\w+}", "x", path))
        for path, methods in described.items()
        for method in methods
        if method.upper() not in READING
    ]


def test_every_changing_call_of_the_api_stands_in_the_table(tmp_path: Path) -> None:
    missing = [call for call in changing_calls(tmp_path) if not listed(*call)]
    assert missing == [], "add a line for each to the table in web/signin/rights.py"


def test_every_action_of_the_console_stands_in_the_table() -> None:
    used = {
        action for file in Path("web/pages").rglob("*.py") for action in PERFORMED.findall(file.read_text())
    }
    assert used, "the pattern no longer finds what pages perform"
    for action in used:
        assert role_for(action) in set(Role), action


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/api/v1/projects", Role.VIEWER),
        ("POST", "/api/v1/projects", Role.DEVELOPER),
        ("DELETE", "/api/v1/projects/studio", Role.ADMIN),
        ("POST", "/api/v1/projects/studio/deployments", Role.DEVELOPER),
        ("GET", "/api/v1/accounts", Role.ADMIN),
        ("GET", "/api/v1/audit", Role.ADMIN),
        ("POST", "/api/v1/keys", Role.VIEWER),
        ("GET", "/projects/studio/editor/ws", Role.DEVELOPER),
        ("POST", "/projects/studio/editor/prompt", Role.DEVELOPER),
        ("DELETE", "/api/v1/accounts/a/b", Role.ADMIN),
        ("POST", "/whatever/nobody/thought/of", Role.ADMIN),
    ],
)
def test_a_call_needs_the_role(method: str, path: str, role: Role) -> None:
    assert right_for(method, path).role == role


def test_each_role_may_what_the_lesser_may_and_no_other() -> None:
    order = [Role.VIEWER, Role.DEVELOPER, Role.ADMIN]
    for mine, role in enumerate(order):
        assert [allows(role, needed) for needed in order] == [mine >= theirs for theirs in range(3)]
    assert not allows("nobody", Role.VIEWER)


def test_reading_is_not_recorded_and_changing_is() -> None:
    assert right_for("GET", "/api/v1/projects/studio").action is None
    assert right_for("POST", "/api/v1/projects").action == "project.create"
    assert right_for("PUT", "/unheard/of").action == "PUT /unheard/of"
