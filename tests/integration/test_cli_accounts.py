"""Accounts and the audit log as a person types them, while nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.accounts import Accounts
from publisher.db.control import open_control
from tests.running_platform import Platform
from web.verdicts import BAD_INPUT, CONFLICT, NOT_FOUND, REFUSED
from workstation.home import open_home

pytestmark = pytest.mark.slow


def test_accounts_are_made_changed_and_removed_and_each_is_on_record(tmp_path: Path) -> None:
    platform = Platform(open_home(tmp_path / "home").root)
    made = platform.json("account", "add", "ana", "--role", "admin")
    control = open_control(f"sqlite:///{platform.home / 'control.db'}")
    assert Accounts(control).verify("ana", made["password"]) is not None
    platform.cli("account", "add", "ana", code=CONFLICT)
    platform.cli("account", "add", "bob", "--role", "king", code=BAD_INPUT)
    platform.cli("account", "role", "nobody", "viewer", code=NOT_FOUND)
    platform.cli("account", "role", "ana", "viewer", code=REFUSED)
    platform.cli("account", "remove", "ana", "--yes", code=REFUSED)
    platform.cli("account", "add", "bob", "--role", "admin")
    platform.cli("account", "remove", "ana", code=REFUSED)  # no terminal to ask at, and no --yes
    platform.cli("account", "remove", "ana", "--yes")
    assert [one["name"] for one in platform.json("account", "list")] == ["bob"]
    lines = [(one["action"], one["subject"], one["source"]) for one in platform.json("audit")]
    assert lines == [
        ("account.remove", "ana", "CLI"),
        ("account.create", "bob", "CLI"),
        ("account.create", "ana", "CLI"),
    ]
    control.close()
