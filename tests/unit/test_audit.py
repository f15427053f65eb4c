"""The audit's memory: what is stored comes back, and pages add up."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.audit import ITEMS_MAX, Audit, AuditItem, audit_document, audit_from
from shared.domain.drift import Drift
from tests.unit.core_values import NOW, moments

words = st.text(max_size=10)
items = st.builds(
    AuditItem, drift=st.sampled_from(Drift), calendar_id=words, event_id=words, reason=words
)
audits = st.builds(
    Audit,
    started_at=moments,
    finished_at=st.none() | moments,
    next_page=st.none() | words,
    events=st.integers(0, 10**6),
    counts=st.fixed_dictionaries({drift: st.integers(0, 1000) for drift in Drift}),
    items=st.lists(items, max_size=5).map(tuple),
)


@given(audits)
def test_what_is_stored_comes_back(audit: Audit) -> None:
    stored = json.loads(json.dumps(audit_document(audit)))
    assert audit == audit_from(stored)


def test_without_a_stored_walk_there_is_none() -> None:
    assert audit_from(None) is None
    assert audit_from({}) is None


@given(st.lists(st.lists(items, max_size=4), max_size=4))
def test_pages_add_up(pages: list[list[AuditItem]]) -> None:
    walk = Audit(started_at=NOW)
    for page in pages:
        walk = walk.with_page(10, page)
    everything = [item for page in pages for item in page]
    assert 10 * len(pages) == walk.events
    assert len(everything) == sum(walk.counts.values())
    assert tuple(everything) == walk.items
    for drift in Drift:
        assert walk.counts[drift] == sum(item.drift is drift for item in everything)


def test_only_the_first_items_are_kept_but_all_are_counted() -> None:
    item = AuditItem(drift=Drift.ORPHAN, calendar_id="c", event_id="e", reason="rsvp")
    walk = Audit(started_at=NOW).with_page(300, [item] * 150).with_page(300, [item] * 150)
    assert (ITEMS_MAX, 300) == (len(walk.items), walk.counts[Drift.ORPHAN])
    # A row of DynamoDB holds 400 KB.
    assert len(json.dumps(audit_document(walk))) < 100_000
