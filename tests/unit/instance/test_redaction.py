"""Secrets in what an engine prints, wherever a read cuts them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from online_runtime.instance.redaction import Redaction


@given(
    st.dictionaries(st.sampled_from(["A", "B", "C"]), st.text("xyz\n", min_size=2, max_size=6), min_size=1),
    st.text("xyz\n", max_size=60),
    st.lists(st.integers(0, 60)),
)
def test_however_a_stream_is_cut_it_is_shown_as_the_whole_text_would_be(
    secrets: dict[str, str], text: str, cuts: list[int]
) -> None:
    redaction = Redaction(secrets)
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    pieces = [text[a:b].encode() for a, b in pairwise(places)]
    shown = b"".join(redaction.feed(piece) for piece in pieces) + redaction.rest()
    for value in secrets.values():
        assert value.encode() not in shown


def test_a_secret_is_replaced_by_its_name_and_the_rest_stays() -> None:
    redaction = Redaction({"TOKEN": "s3cr3t-value"})
    assert redaction.feed(b"before s3cr3t-") == b"before "
    assert redaction.feed(b"value after s3") == b"[secret TOKEN] after "
    assert redaction.rest() == b"s3"


def test_of_two_secrets_of_which_one_holds_the_other_the_longer_one_is_replaced() -> None:
    redaction = Redaction({"SHORT": "secret", "LONG": "secret-and-more"})
    shown = redaction.feed(b"a secret-and-more b secret c") + redaction.rest()
    assert shown == b"a [secret LONG] b [secret SHORT] c"


def test_what_is_printed_at_once_is_shown_at_once() -> None:
    redaction = Redaction({"TOKEN": "s3cr3t-value"})
    assert redaction.feed(b"progress 10%\r") == b"progress 10%\r"
