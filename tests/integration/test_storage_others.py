"""Settings, connect sessions, accounts, the workspace and API keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.connect import ConnectStatus
from shared.domain.feed import Feed, OpenSweep
from shared.domain.meeting import Override
from shared.domain.rules import Choice
from shared.domain.series import Series, Words
from shared.errors import CallerError
from shared.storage import ApiKey, Claim, Conflict, Stores
from shared.storage.accounts import CLAIM_LIFE
from shared.storage.table import Table
from tests.integration.storage_values import NOW, session

OFF = Override(choice=Choice.OFF, set_by="ada", set_at=NOW, source="api")


def _nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"deeper": document}
    return document


def test_rules_are_replaced_as_a_whole(stores: Stores) -> None:
    assert stores.settings.rules("tenant:t") is None
    stores.settings.put_rules("tenant:t", {"rsvp": "any", "min_others": 2}, by="k1", at=NOW)
    stores.settings.put_rules("tenant:t", {"rsvp": "accepted"}, by="k1", at=NOW)
    stores.settings.put_rules("default", {}, by="k1", at=NOW)

    assert stores.settings.rules("tenant:t") == {"rsvp": "accepted"}
    assert stores.settings.rules_of(["default", "tenant:t", "entity:t:e"]) == {
        "default": {},
        "tenant:t": {"rsvp": "accepted"},
    }


@pytest.mark.parametrize(
    "document",
    [
        {"bot": {"config": {"default": 1, "null": None, "self": {"attr_name": [1, "a"]}}}},
        {"n": [0, -1, 1.5, 1e100, 10**37, 0.1, True, False]},
        _nested(30),
    ],
)
def test_any_reasonable_document_is_kept(stores: Stores, document: dict[str, Any]) -> None:
    stores.settings.put_rules("default", document, by="k1", at=NOW)

    assert document == stores.settings.rules("default")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"": 1}, "name_empty"),
        ({"n": [{"m": 10**38}]}, "number_out_of_range"),
        ({"n": 1e200}, "number_out_of_range"),
        ({"n": 1e-200}, "number_out_of_range"),
        ({"n": float("nan")}, "number_out_of_range"),
        ({"n": float("-inf")}, "number_out_of_range"),
        (_nested(31), "document_too_deep"),
        (_nested(900), "document_too_deep"),
    ],
)
def test_what_cannot_be_kept_is_the_callers_mistake(
    stores: Stores, document: dict[str, Any], code: str
) -> None:
    with pytest.raises(CallerError) as caught:
        stores.settings.put_rules("default", document, by="k1", at=NOW)

    assert caught.value.code == code


def test_half_a_character_is_replaced(stores: Stores) -> None:
    stores.settings.put_rules("default", {"bot_name": "N\ud83d"}, by="k1", at=NOW)

    assert stores.settings.rules("default") == {"bot_name": "N?"}


def test_series_overrides(stores: Stores) -> None:
    said, plain = Series("c", "s"), Series("c", "plain")
    words = stores.settings.series
    assert {} == words.of([said])
    words.put_override(said, OFF)
    words.put_override(plain, Override())

    found = words.of([said, plain, Series("d", "s")])
    assert {said: Words(override=OFF), plain: Words(override=Override())} == found
    assert {} == words.of([])


def test_a_series_may_have_a_name_beyond_the_length_of_a_key(stores: Stores) -> None:
    long, longer = (Series("c", "\u4f1a" * 1_000 + tail) for tail in ("", "x"))
    stores.settings.series.put_override(long, OFF)

    assert {long: Words(override=OFF)} == stores.settings.series.of([long, longer])


def _split(moment: str = "", *, calendar_id: str = "c") -> Series:
    return Series(calendar_id, f"abc_R{moment}" if moment else "abc")


ON = replace(OFF, choice=Choice.ON)
AUTO = replace(OFF, choice=Choice.AUTO)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({"": OFF}, {"": OFF, "20270301": OFF, "20270401T150000": OFF}),
        ({"20270301": OFF}, {"": None, "20270301": OFF, "20270401T150000": OFF}),
        ({"20270401T150000": OFF}, {"": None, "20270301": None, "20270401T150000": OFF}),
        ({"": OFF, "20270301": ON}, {"": OFF, "20270301": ON, "20270401T150000": ON}),
        ({"20270301": ON, "": OFF}, {"": OFF, "20270301": ON, "20270401T150000": ON}),
        ({"": OFF, "20270301": AUTO}, {"": OFF, "20270301": AUTO, "20270401T150000": AUTO}),
        ({"": OFF, "20270401T150000": ON}, {"": OFF, "20270301": OFF, "20270401T150000": ON}),
    ],
)
def test_what_is_cut_off_a_series_keeps_the_word_on_it(
    stores: Stores, said: dict[str, Override], heard: dict[str, Override | None]
) -> None:
    for moment, override in said.items():
        stores.settings.series.put_override(_split(moment), override)

    found = stores.settings.series.of(_split(moment) for moment in heard)

    assert heard == {moment: found.get(_split(moment), Words()).override for moment in heard}
    assert {} == stores.settings.series.of([_split("20270301", calendar_id="other")])


def test_an_invitation_keeps_its_word_in_a_calendar_with_other_ids(stores: Stores) -> None:
    first = Series("c", "AAMk1", "abc@google.com")
    later = Series("c", "AAMk2", "abc_R20270301T150000@google.com")
    stores.settings.series.put_override(first, OFF)

    assert {later: Words(override=OFF)} == stores.settings.series.of([later])
    assert {first: Words(override=OFF)} == stores.settings.series.of([first])


def test_a_series_own_word_counts_whatever_its_ical_uid_says(stores: Stores) -> None:
    stores.settings.series.put_override(Series("c", "AAMk2", "abc_R20270301@google.com"), OFF)

    for uid in ("", "other@google.com", "abc@google.com"):
        series = Series("c", "AAMk2", uid)
        assert {series: Words(override=OFF)} == stores.settings.series.of([series])


def test_an_opt_out_stands_beside_the_override(stores: Stores) -> None:
    words = stores.settings.series
    words.put_opt_out(_split(), opted_out=True)
    words.put_override(_split(), ON)
    later = _split("20270301")
    assert {later: Words(override=ON, opted_out=True)} == words.of([later])

    words.put_opt_out(later, opted_out=False)
    assert {
        _split(): Words(override=ON, opted_out=True),
        later: Words(override=ON),
    } == words.of([_split(), later])


def test_what_was_said_of_its_series_goes_with_a_calendar(stores: Stores) -> None:
    words = stores.settings.series
    for calendar_id in ("c", "kept"):
        words.put_override(_split("20270301", calendar_id=calendar_id), OFF)
        words.put_opt_out(Series(calendar_id, "other"), opted_out=True)
    stores.settings.put_rules("default", {}, by="k1", at=NOW)

    words.forget("c")
    words.forget("nobody")

    for calendar_id, left in (("c", 0), ("kept", 3)):
        series = [
            _split("20270301", calendar_id=calendar_id),
            _split("20270401", calendar_id=calendar_id),
            Series(calendar_id, "other"),
        ]
        assert left == len(words.of(series))
    assert {} == stores.settings.rules("default")


def test_two_words_at_once_are_both_kept(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another word is written between the reading and the writing of this one."""
    words, read = stores.settings.series, Table.get
    others = [_split("20270401"), _split("20270501")]

    def read_late(table: Table[Any], key: str) -> Any:
        row = read(table, key)
        if key == "series:c:abc" and others:
            words.put_override(others.pop(), ON)
        return row

    monkeypatch.setattr(Table, "get", read_late)
    words.put_override(_split("20270301"), OFF)

    wanted = {_split("20270301"): OFF, _split("20270401"): ON, _split("20270501"): ON}
    assert wanted == {one: said.override for one, said in words.of(wanted).items()}


def test_a_session_moves_on_under_its_lock(stores: Stores) -> None:
    added = stores.sessions.add(session(metadata={"default": "x"}, sealed_code=b"\x00\xff"))
    opened = stores.sessions.save(replace(added, status=ConnectStatus.OPENED))

    assert (added.version, opened.version) == (1, 2)
    assert opened == stores.sessions.get("session-1")
    with pytest.raises(Conflict):
        stores.sessions.save(replace(added, status=ConnectStatus.FAILED))
    with pytest.raises(Conflict):
        stores.sessions.add(session())
    assert stores.sessions.get("nobody") is None


def test_one_of_many_callbacks_takes_a_session(stores: Stores) -> None:
    added = stores.sessions.add(session())

    def consent(number: int) -> bool:
        taken = replace(added, status=ConnectStatus.CONSENTED, state_hash=str(number))
        try:
            stores.sessions.save(taken)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(consent, range(8))).count(True) == 1


def test_only_waiting_sessions_wait_oldest_first(stores: Stores) -> None:
    for name, age, status in [
        ("young", 1, ConnectStatus.WAITING),
        ("old", 9, ConnectStatus.WAITING),
        ("done", 5, ConnectStatus.DONE),
    ]:
        created_at = NOW - timedelta(minutes=age)
        stores.sessions.add(session(name, created_at=created_at, status=status, sealed_token=b"t"))

    waiting = stores.sessions.waiting(limit=10)

    assert [item.session_id for item in waiting] == ["old", "young"]
    assert [item.sealed_token for item in waiting] == [b"t", b"t"]
    stores.sessions.save(replace(waiting[0], status=ConnectStatus.DONE, sealed_token=None))
    assert [item.session_id for item in stores.sessions.waiting(limit=10)] == ["young"]


def test_the_first_claim_stands(stores: Stores) -> None:
    first = stores.accounts.claim("a", claim_id="1", now=NOW)

    assert first == Claim(account_key="a", claim_id="1", calendar_id=None)
    assert stores.accounts.claim("a", claim_id="2", now=NOW) == first
    assert stores.accounts.get("a") == first
    assert stores.accounts.get("b") is None


@pytest.mark.parametrize(
    ("after", "claimant"),
    [
        (timedelta(), "1"),
        (CLAIM_LIFE, "1"),
        (CLAIM_LIFE + timedelta(microseconds=1), "2"),
    ],
)
def test_a_claim_left_by_a_crash_is_taken_over(stores: Stores, after, claimant) -> None:
    stores.accounts.claim("a", claim_id="1", now=NOW)

    taken = stores.accounts.claim("a", claim_id="2", now=NOW + after)

    assert Claim(account_key="a", claim_id=claimant) == taken == stores.accounts.get("a")
    loser = {"1": "2", "2": "1"}[claimant]
    with pytest.raises(Conflict):
        stores.accounts.assign("a", claim_id=loser, calendar_id="c")


def test_who_cannot_double_anything_waits_no_longer_than_it_says(stores: Stores) -> None:
    patience = timedelta(seconds=30)
    stores.accounts.claim("a", claim_id="1", now=NOW)

    early = stores.accounts.claim("a", claim_id="2", now=NOW + patience, left_after=patience)
    late = NOW + patience + timedelta(microseconds=1)
    taken = stores.accounts.claim("a", claim_id="2", now=late, left_after=patience)

    assert ["1", "2"] == [early.claim_id, taken.claim_id]
    # Others go on waiting for the whole life of what was taken over.
    assert "2" == stores.accounts.claim("a", claim_id="3", now=late + CLAIM_LIFE).claim_id


def test_impatience_takes_no_account_from_its_calendar(stores: Stores) -> None:
    stores.accounts.claim("a", claim_id="1", now=NOW)
    stores.accounts.assign("a", claim_id="1", calendar_id="c")

    late = stores.accounts.claim(
        "a", claim_id="2", now=NOW + timedelta(days=1), left_after=timedelta()
    )

    assert Claim(account_key="a", claim_id="1", calendar_id="c") == late


def test_a_claim_with_a_calendar_never_ages(stores: Stores) -> None:
    stores.accounts.claim("a", claim_id="1", now=NOW)
    stores.accounts.assign("a", claim_id="1", calendar_id="c")

    late = stores.accounts.claim("a", claim_id="2", now=NOW + timedelta(days=400))

    assert Claim(account_key="a", claim_id="1", calendar_id="c") == late


def test_a_claimant_who_comes_back_keeps_its_claim_young(stores: Stores) -> None:
    late = NOW + CLAIM_LIFE + timedelta(minutes=1)
    stores.accounts.claim("a", claim_id="1", now=NOW)
    stores.accounts.claim("a", claim_id="1", now=late)

    assert "1" == stores.accounts.claim("a", claim_id="2", now=late + CLAIM_LIFE).claim_id


def test_racing_claims_agree(stores: Stores) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(lambda n: stores.accounts.claim("a", claim_id=str(n), now=NOW), range(8))
        )

    assert set(claims) == {stores.accounts.get("a")}


def test_only_the_claimant_assigns(stores: Stores) -> None:
    stores.accounts.claim("a", claim_id="1", now=NOW)

    with pytest.raises(Conflict):
        stores.accounts.assign("a", claim_id="2", calendar_id="c")
    with pytest.raises(Conflict):
        stores.accounts.assign("unclaimed", claim_id="1", calendar_id="c")
    stores.accounts.assign("a", claim_id="1", calendar_id="c")
    stores.accounts.assign("a", claim_id="1", calendar_id="c")

    assert stores.accounts.claim("a", claim_id="3", now=NOW) == Claim(
        account_key="a", claim_id="1", calendar_id="c"
    )
    assert stores.accounts.get("unclaimed") is None


def test_an_account_is_freed_by_its_calendar_only(stores: Stores) -> None:
    stores.accounts.claim("a", claim_id="1", now=NOW)
    assert not stores.accounts.release("a", calendar_id="c")
    stores.accounts.assign("a", claim_id="1", calendar_id="c")

    assert not stores.accounts.release("a", calendar_id="other")
    assert not stores.accounts.release("a", calendar_id=None)
    assert stores.accounts.release("a", calendar_id="c")
    assert not stores.accounts.release("a", calendar_id="c")
    assert not stores.accounts.release("a", calendar_id=None)
    assert stores.accounts.claim("a", claim_id="2", now=NOW).claim_id == "2"
    assert stores.accounts.release("a", calendar_id=None)


def test_the_feed(stores: Stores) -> None:
    assert stores.workspace.feed() == Feed()
    full = Feed(
        cursor=NOW,
        swept_at=NOW + timedelta(microseconds=7),
        open=OpenSweep(next_page="https://x/?cursor=1", started_at=NOW, list_started=NOW),
        refused=True,
    )
    stores.workspace.save_feed(full)
    assert stores.workspace.feed() == full
    stores.workspace.save_feed(Feed(cursor=NOW))
    assert stores.workspace.feed() == Feed(cursor=NOW)


def test_budgets_are_written_by_compare_and_swap(stores: Stores) -> None:
    assert stores.workspace.read_budget("list") == ({}, 0)
    assert stores.workspace.write_budget("list", {356_000_000: 2}, version=0)
    assert not stores.workspace.write_budget("list", {1: 1}, version=0)
    assert stores.workspace.read_budget("list") == ({356_000_000: 2}, 1)
    assert stores.workspace.write_budget("list", {}, version=1)
    assert not stores.workspace.write_budget("list", {1: 1}, version=1)
    assert stores.workspace.read_budget("list") == ({}, 2)
    assert stores.workspace.read_budget("other") == ({}, 0)


def test_racing_spenders_never_spend_a_token_twice(stores: Stores) -> None:
    def spend(_: int) -> None:
        while True:
            slots, version = stores.workspace.read_budget("list")
            if stores.workspace.write_budget("list", {1: slots.get(1, 0) + 1}, version=version):
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(spend, range(12)))

    assert stores.workspace.read_budget("list") == ({1: 12}, 12)


def test_reports(stores: Stores) -> None:
    assert stores.workspace.report("drift") is None
    stores.workspace.put_report("drift", {"missing": [], "checked": 12, "at": None})
    assert stores.workspace.report("drift") == {"missing": [], "checked": 12, "at": None}
    assert stores.workspace.report("audit") is None


def test_api_keys(stores: Stores) -> None:
    key = ApiKey(
        prefix="rk_1", digest="d", scopes=frozenset({"a", "b"}), name="host", created_at=NOW
    )
    bare = replace(key, prefix="rk_2", scopes=frozenset(), revoked_at=NOW)
    stores.api_keys.put(key)
    stores.api_keys.put(bare)

    assert stores.api_keys.get("rk_1") == key
    assert stores.api_keys.get("rk_2") == bare
    assert stores.api_keys.get("rk_3") is None
