"""Keywords: whole words and phrases, in any case, width and script."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.keywords import first_keyword, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Weekly  Stand-up (EMEA) #3", ("weekly", "stand", "up", "emea", "3")),
        ("Dana's 1:1", ("dana", "s", "1", "1")),
        ("Dana\u2019s", ("dana", "s")),
        ("team_sync", ("team", "sync")),
        # Full-width letters, a ligature, a superscript and sharp s.
        ("\uff31\uff22\uff32 \ufb01nal x\u00b2 Stra\u00dfe", ("qbr", "final", "x2", "strasse")),
        ("Cafe\u0301", ("caf\u00e9",)),
        (
            "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
            ("\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3",),
        ),
        # Devanagari: the vowel signs belong to their words.
        ("हिन्दी पाठ", ("हिन्दी", "पाठ")),
        ("週次会議", ("週", "次", "会", "議")),
        ("Acme社とキックオフ", ("acme", "社", "と", "キ", "ッ", "ク", "オ", "フ")),
        ("주간 회의", ("주간", "회의")),
        ("🎉 - !?", ()),
        ("", ()),
    ],
)
def test_the_words_of_a_title(text, words):
    assert words == words_of(text)


@pytest.mark.parametrize(
    ("keyword", "title", "found"),
    [
        ("standup", "Daily Standup", True),
        ("STANDUP", "daily standup!", True),
        ("  standup ", "standup", True),
        ("standup", "Daily Standups", False),
        ("stand", "Daily Standup", False),
        ("up", "Daily Standup", False),
        ("stand*", "Daily Standups", True),
        ("stand*", "Stand", True),
        ("stand*", "Understand", False),
        ("weekly sync", "Acme: weekly sync", True),
        ("weekly sync", "weekly team sync", False),
        ("weekly sync", "sync weekly", False),
        ("weekly sync", "Weekly-Sync", True),
        ("weekly sync", "biweekly sync", False),
        ("weekly sync", "weekly syncs", False),
        ("weekly sync*", "weekly syncs", True),
        ("sales\uff0a", "salesforce", True),
        ("stand-up", "stand up", True),
        ("café", "Cafe\u0301 chat", True),
        ("strasse", "Hauptstr. / Straße", True),
        # No regular expressions.
        ("s.andup", "standup", False),
        ("(", "(", False),
        ("会議", "週次会議", True),
        ("会議室", "会議", False),
        ("회의", "주간 회의", True),
        ("회의", "주간 회의는", False),
        ("회의*", "주간 회의는", True),
        ("ประชุม", "นัดประชุมทีม", True),
        ("x", "", False),
        ("", "x", False),
        ("*", "x", False),
    ],
)
def test_a_keyword_in_a_title(keyword, title, found):
    assert (keyword if found else None) == first_keyword((keyword,), title)


def test_the_first_keyword_of_the_list_counts():
    assert "sync" == first_keyword(("lunch", "sync", "weekly"), "Weekly sync")


def test_an_empty_list_finds_nothing():
    assert first_keyword((), "Weekly sync") is None


letters = st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=1, max_size=8)


@given(letters, letters, letters)
def test_a_word_is_found_in_any_normal_form(before, word, after):
    title = f"{before}, {word} - {after}"
    assert word == first_keyword((word,), title)
    assert word == first_keyword((word,), unicodedata.normalize("NFKD", title))


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_text_is_a_keyword_or_title(keyword, title):
    first_keyword((keyword,), title)
    assert words_of(title) == words_of(" ".join(words_of(title)))
    if words_of(keyword):
        assert keyword == first_keyword((keyword,), f"{title} {keyword} {title}")
