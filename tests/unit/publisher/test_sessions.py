"""Sessions end: by sign-out, by idleness, by age, and with the password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from publisher.accounts import Accounts, Role
from publisher.db.control import Control, open_control
from publisher.errors import AccountNotFound, ApiKeyNotFound, BadAccountName, LastAdmin, PasswordTooShort
from publisher.sessions import Sessions, digest, end_sessions
from web.signin.audit import Audit, Deed

PASSWORD = "long enough to be one"
IDLE, LONGEST = timedelta(hours=1), timedelta(hours=5)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    opened = open_control(f"sqlite:///{tmp_path / 'control.db'}")
    yield opened
    opened.close()


class Now:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def go(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Now:
    return Now()


@pytest.fixture
def sessions(control: Control, clock: Now) -> Sessions:
    return Sessions(control, idle=IDLE, longest=LONGEST, clock=clock)


def test_a_session_is_its_accounts_until_it_is_ended(control: Control, sessions: Sessions) -> None:
    ana = Accounts(control).create("ana", Role.DEVELOPER, PASSWORD)
    session_id = sessions.open(ana, "10.0.0.1", "a browser")
    found = sessions.find(digest(session_id))
    assert found is not None and found.account.name == "ana"
    assert sessions.find(session_id) is None, "what is stored must not be what is shown"
    sessions.end(digest(session_id))
    assert sessions.find(digest(session_id)) is None


def test_the_database_holds_no_session_id(control: Control, sessions: Sessions, tmp_path: Path) -> None:
    session_id = sessions.open(Accounts(control).create("ana", Role.ADMIN, PASSWORD), "", "")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("control.db*"))
    assert session_id.encode() not in stored and digest(session_id).encode() in stored


def test_an_idle_session_ends_and_one_in_use_goes_on(
    control: Control, sessions: Sessions, clock: Now
) -> None:
    ana = Accounts(control).create("ana", Role.ADMIN, PASSWORD)
    used, idle = (digest(sessions.open(ana, "", "")) for _ in range(2))
    for _ in range(3):
        clock.go(minutes=40)
        assert sessions.find(used) is not None
    assert sessions.find(idle) is None


def test_looking_without_asking_keeps_no_session_alive(
    control: Control, sessions: Sessions, clock: Now
) -> None:
    session = digest(sessions.open(Accounts(control).create("ana", Role.ADMIN, PASSWORD), "", ""))
    clock.go(minutes=40)
    assert sessions.find(session, asking=False) is not None
    clock.go(minutes=40)
    assert sessions.find(session) is None


def test_no_session_outlives_its_end_however_busy_it_is(
    control: Control, sessions: Sessions, clock: Now
) -> None:
    session = digest(sessions.open(Accounts(control).create("ana", Role.ADMIN, PASSWORD), "", ""))
    for _ in range(9):
        clock.go(minutes=33)
        assert sessions.find(session) is not None
    clock.go(minutes=4)
    assert sessions.find(session) is None


def test_a_new_password_and_signing_out_everywhere_end_all_of_that_account_only(
    control: Control, sessions: Sessions
) -> None:
    accounts = Accounts(control)
    ana, bob = (accounts.create(name, Role.ADMIN, PASSWORD) for name in ("ana", "bob"))
    mine, theirs = [digest(sessions.open(ana, "", "")) for _ in range(2)], digest(sessions.open(bob, "", ""))
    assert end_sessions(control, ana) == 2
    mine.append(digest(sessions.open(ana, "", "")))
    accounts.set_password(ana, PASSWORD + "!")
    assert [sessions.find(one) for one in mine] == [None, None, None]
    assert sessions.find(theirs) is not None and sessions.of(ana) == ()


def test_what_is_over_is_swept_when_the_next_one_is_opened(
    control: Control, sessions: Sessions, clock: Now
) -> None:
    ana = Accounts(control).create("ana", Role.ADMIN, PASSWORD)
    sessions.open(ana, "", "")
    clock.go(hours=2)
    sessions.open(ana, "", "")
    with control.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM sessions")).scalar() == 1


def test_the_last_admin_stays(control: Control) -> None:
    accounts = Accounts(control)
    accounts.create("ana", Role.ADMIN, PASSWORD)
    for attempt in (lambda: accounts.remove("ana"), lambda: accounts.set_role("ana", Role.VIEWER)):
        with pytest.raises(LastAdmin):
            attempt()
    accounts.create("bob", Role.ADMIN, PASSWORD)
    assert accounts.set_role("ana", Role.VIEWER).role == Role.VIEWER
    accounts.remove("ana")
    assert [one.name for one in accounts.everyone()] == ["bob"]


def test_a_removed_account_leaves_neither_key_nor_session(control: Control, sessions: Sessions) -> None:
    accounts = Accounts(control)
    accounts.create("bob", Role.ADMIN, PASSWORD)
    ana = accounts.create("ana", Role.VIEWER, PASSWORD)
    _, key = accounts.create_api_key(ana, "pipeline")
    session = digest(sessions.open(ana, "", ""))
    accounts.remove("ana")
    assert accounts.by_api_key(key) is None and sessions.find(session) is None
    with pytest.raises(AccountNotFound, match="bob"):
        accounts.find("ana")


def test_a_key_is_revoked_by_its_own_account_only_and_once(control: Control) -> None:
    accounts = Accounts(control)
    ana, bob = (accounts.create(name, Role.VIEWER, PASSWORD) for name in ("ana", "bob"))
    view, key = accounts.create_api_key(ana, "pipeline")
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke_api_key(bob, view.id)
    assert accounts.by_api_key(key) == ana
    accounts.revoke_api_key(ana, view.id)
    assert accounts.by_api_key(key) is None
    with pytest.raises(ApiKeyNotFound):
        accounts.revoke_api_key(ana, view.id)


def test_names_and_passwords_that_will_not_do_are_refused(control: Control) -> None:
    accounts = Accounts(control)
    for name in ("", "-x", "a b", "<b>", "x" * 64):
        with pytest.raises(BadAccountName):
            accounts.create(name, Role.VIEWER, PASSWORD)
    with pytest.raises(PasswordTooShort):
        accounts.create("ana", Role.VIEWER, "short")


def test_the_audit_log_is_only_added_to(control: Control, clock: Now) -> None:
    audit = Audit(control, clock)
    for number in range(3):
        audit.record(Deed("ana", "API", "10.0.0.1", "project.create", f"p{number}"), "done")
    assert [line.subject for line in audit.latest(2)] == ["p2", "p1"]
    assert [line.subject for line in audit.latest(5, before=audit.latest(1)[0].id)] == ["p1", "p0"]
    for change in ("UPDATE audit_log SET outcome = 'never'", "DELETE FROM audit_log"):
        with pytest.raises(IntegrityError, match="only added to"), control.write() as tx:
            tx.execute(text(change))
    assert len(audit.latest(9)) == 3
