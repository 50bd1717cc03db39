"""Lengths of time and sizes as a person reads them."""

from __future__ import annotations

import pytest

from web.pages.parts.moments import duration_text, size_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.042, "0.042 s"),
        (3.21, "3.2 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


@pytest.mark.parametrize(
    ("size_bytes", "words"), [(0, "0 B"), (1023, "1023 B"), (14_541, "14.2 KiB"), (6.9 * 2**30, "6.9 GiB")]
)
def test_a_size_is_told_in_powers_of_1024(size_bytes: float, words: str) -> None:
    assert size_text(size_bytes) == words
