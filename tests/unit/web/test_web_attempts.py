"""How wrong passwords are counted."""

from __future__ import annotations

from web.api.attempts import Attempts


def test_an_address_waits_after_its_limit_and_no_other_does() -> None:
    now = [0.0]
    attempts = Attempts(limit=3, window_seconds=60.0, clock=lambda: now[0])
    for _ in range(3):
        assert attempts.wait_seconds("10.0.0.1") == 0
        attempts.failed("10.0.0.1")
        now[0] += 10
    assert attempts.wait_seconds("10.0.0.1") == 30.0
    assert attempts.wait_seconds("10.0.0.2") == 0


def test_what_is_older_than_the_window_is_forgiven() -> None:
    now = [0.0]
    attempts = Attempts(limit=1, window_seconds=60.0, clock=lambda: now[0])
    attempts.failed("10.0.0.1")
    now[0] = 61.0
    assert attempts.wait_seconds("10.0.0.1") == 0
