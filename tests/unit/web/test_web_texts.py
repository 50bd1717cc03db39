"""One catalogue: every text in both languages, with the same fields, each of them used."""

from __future__ import annotations

import re
import string
from pathlib import Path

from web.pages.texts import LANGUAGES, catalogue, chosen_language, text

SOURCES = [*Path("web/pages").rglob("*.py"), *Path("web/signin").rglob("*.py")]
KEY = re.compile(r"""["']([a-z][\w-]*\.[a-z0-9][\w-]*)["']""")
BUILT = re.compile(
    r"""f["']([a-z][\w-]*\.[\w-]*?){"""
)  # f"state.{state}": everything that begins so may be said


def fields_of(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name}


def test_every_text_is_in_every_language_with_the_same_fields() -> None:
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key
        assert len({frozenset(fields_of(words)) for words in texts.values()}) == 1, key
        assert all(words.strip() for words in texts.values()), key


def test_every_text_is_said_somewhere() -> None:
    sources = "\n".join(file.read_text() for file in SOURCES)
    used, begun = set(KEY.findall(sources)), tuple(set(BUILT.findall(sources)))
    unused = [key for key in catalogue() if key not in used and not key.startswith(begun)]
    assert unused == []


def test_everything_that_is_said_has_a_text() -> None:
    files = {key.split(".")[0] for key in catalogue()}
    said = re.compile(
        r"""\b(?:say|told|section|page_header|empty_state|fact|action_button|go_button|confirmed|show_secret)"""
        r"""\(\s*["']([a-z][\w-]*\.[a-z0-9][\w-]*)["']"""
    )
    for file in SOURCES:
        examples = file == Path("web/pages/__init__.py")
        for key in () if examples else said.findall(file.read_text()):
            assert key in catalogue(), f"{file}: {key}"
    assert "projects" in files


def test_a_reader_gets_what_was_chosen_then_what_the_browser_prefers_then_english() -> None:
    assert chosen_language("zh", "en-GB,en;q=0.9") == "zh"
    assert chosen_language(None, "zh-CN,zh;q=0.9,en;q=0.8") == "zh"
    assert chosen_language("xx", "fr, de;q=0.5") == "en"
    assert chosen_language(None, "") == "en"


def test_fields_are_filled_in_as_they_are() -> None:
    assert text("shell.account", "en", name="{ana}") == "Signed in as {ana}"
