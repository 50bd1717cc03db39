"""The door in a browser: somebody who signed in sees it, and nothing leaves it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_front_page_calls_nobody_else(visitor: Callable[..., Visitor]) -> None:
    person = visitor()
    assert "Stillframe" in person.go("/").title()
    assert person.outside == [] and person.errors == []
