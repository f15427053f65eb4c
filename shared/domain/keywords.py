"""Keywords in titles: whole words, whatever their case, width or punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

CONTINUES = "*"

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_LETTERS_MARKS_NUMBERS = "LMN"
# Kana, Han, Thai, Lao, Burmese and Khmer, written without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text: NFKC, case folded, split at whatever is no letter, mark or digit.

    Scripts without spaces give one word for each character, so that a keyword in them, being a
    phrase of such words, is found anywhere in a row of them. Korean has spaces; its particles
    stick to the word, which a trailing `*` is for.
    """
    folded = _folded(text)
    if folded.isascii():
        return tuple(_ASCII_WORD.findall(folded))
    return tuple("".join(_spaced(folded)).split())


@lru_cache(maxsize=1_024)
def _searchable(text: str) -> str:
    """The words with a space around each."""
    return f" {' '.join(words_of(text))} "


def first_keyword(keywords: tuple[str, ...], text: str) -> str | None:
    """The first of `keywords` found in the text.

    A keyword of several words is found where they follow each other; after a trailing `*` the
    last word may go on.
    """
    searched = _searchable(text)
    for needle, keyword in _needles(keywords):
        if needle in searched:
            return keyword
    return None


@lru_cache(maxsize=1_024)
def _needles(keywords: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What to look for, with the keyword it stands for; one without a word finds nothing."""
    return tuple((_needle(keyword), keyword) for keyword in keywords if words_of(keyword))


def _needle(keyword: str) -> str:
    needle = _searchable(keyword)
    return needle.rstrip() if _folded(keyword).rstrip().endswith(CONTINUES) else needle


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Folding can undo the normal form, so it comes between two of them.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _spaced(text: str) -> Iterator[str]:
    for character in text:
        if unicodedata.category(character)[0] not in _LETTERS_MARKS_NUMBERS:
            yield " "
        elif _is_unspaced(ord(character)):
            yield f" {character} "
        else:
            yield character


def _is_unspaced(code: int) -> bool:
    return any(first <= code <= last for first, last in _UNSPACED)
