"""Prompts to weighted tokens; no torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from online_runtime.engine.models.errors import VocabularyMissing
from online_runtime.engine.models.tokens import BYTE_VOCABULARY, CLIP_VOCABULARY, Tokenizer, tokenizer_of_size
from online_runtime.engine.models.weighted_text import chunks, weighted


def pieces(text: str) -> list[tuple[str, float]]:
    return [(piece.text, pytest.approx(piece.weight)) for piece in weighted(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1.0)]),
        ("a (red) cat", [("a ", 1.0), ("red", 1.1), (" cat", 1.0)]),
        ("a (red:1.3) cat", [("a ", 1.0), ("red", 1.3), (" cat", 1.0)]),
        ("((red))", [("red", 1.21)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
        (r"a \(plain\) one", [("a ", 1.0), ("(", 1.0), ("plain", 1.0), (")", 1.0), (" one", 1.0)]),
        ("(open", [("(", 1.0), ("open", 1.0)]),
        ("shut)", [("shut", 1.0), (")", 1.0)]),
        ("10:30", [("10:30", 1.0)]),
        ("(ratio 16:9 wide)", [("ratio 16:9 wide", 1.1)]),
        ("(x:-0.5)", [("x", -0.5)]),
        ("", []),
    ],
)
def test_brackets_weigh_what_they_hold(text: str, expected: list[tuple[str, float]]) -> None:
    assert pieces(text) == expected


def test_ten_thousand_brackets_are_no_problem() -> None:
    assert weighted("(" * 10_000 + "a" + ")" * 500)[-1].text == "a"


def test_a_text_becomes_77_tokens_with_a_start_an_end_and_padding() -> None:
    tokenizer = tokenizer_of_size(BYTE_VOCABULARY, [])
    (chunk,) = chunks("hi (yo:1.5)", tokenizer, pad=513)
    assert len(chunk.tokens) == len(chunk.weights) == 77
    assert chunk.tokens[0] == 512 and chunk.tokens[5:] == (513,) * 72
    assert chunk.weights[:6] == (1.0, 1.0, 1.0, 1.5, 1.5, 1.0)


def test_a_long_text_fills_several_chunks_and_short_words_are_not_cut() -> None:
    tokenizer = tokenizer_of_size(BYTE_VOCABULARY, [])
    first, second = chunks("sixsix " * 13, tokenizer, pad=513)
    word = tuple(tokenizer.words("sixsix")[0])
    assert first.tokens == (512, *(word * 12), 513, *[513] * 3)
    assert second.tokens == (512, *word, 513, *[513] * 69)


def test_merges_join_the_most_frequent_pairs_first() -> None:
    tokenizer = Tokenizer([("c", "a"), ("ca", "t</w>"), ("a", "t</w>")])
    assert tokenizer.size == 517
    assert tokenizer.words("Cat at") == [[513], [514]]


def test_without_clips_vocabulary_the_error_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(VocabularyMissing, match="open_clip_torch"):
        tokenizer_of_size(CLIP_VOCABULARY, [tmp_path])


def test_an_embedding_takes_the_places_of_its_vectors_with_the_weight_of_its_bracket() -> None:
    tokenizer = tokenizer_of_size(BYTE_VOCABULARY, [])
    (chunk,) = chunks("a (embedding:calm.pt:1.5), b", tokenizer, pad=513, vectors_in=lambda name: 3)
    assert chunk.inversions == {2: ("calm.pt", 0), 3: ("calm.pt", 1), 4: ("calm.pt", 2)}
    assert chunk.weights[1:7] == (1.0, 1.5, 1.5, 1.5, 1.0, 1.0)


@pytest.mark.slow
def test_tokens_are_those_of_transformers_clip_tokenizer() -> None:
    from transformers import CLIPTokenizer

    merges = [
        ("c", "a"),
        ("ca", "t</w>"),
        ("t", "h"),
        ("th", "e</w>"),
        ("l", "l"),
        ("1", "2</w>"),
        ("h", "e"),
    ]
    ours = Tokenizer(merges)
    words = dict(ours._numbers)
    words |= {"<|startoftext|>": ours.start, "<|endoftext|>": ours.end}
    theirs = CLIPTokenizer(vocab=words, merges=merges)
    for text in (
        "The cat's hello, 12 DON'T!",
        "ünïcode — “quotes” …!!",
        "a  b\n\tc_d 3rd",
        "日本語 hello",
        "",
    ):
        flat = [token for word in ours.words(text) for token in word]
        assert theirs(text)["input_ids"] == [ours.start, *flat, ours.end], text
