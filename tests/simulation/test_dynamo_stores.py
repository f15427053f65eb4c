"""The stores cannot tell the quick DynamoDB from moto."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from moto import mock_aws

from shared.domain.calendar import CalendarStatus
from shared.domain.claim import Claim
from shared.domain.connect import ConnectStatus
from shared.domain.feed import Feed
from shared.domain.meeting import Assignment, Override
from shared.domain.rules import Choice
from shared.domain.series import Series
from shared.errors import CallerError, PermanentError, TransientError
from shared.storage import Page, Stores, open_stores
from tests.integration.storage_values import NOW, calendar, event, meeting, session
from tests.simulation.dynamo import DynamoWorld
from tests.simulation.dynamo_stage import SECOND, moto_rows, readable
from tests.tables import STORED, create_tables

STEPS = 200
FULL = pytest.mark.full
SHORT = ("a", "b", "c")
AWKWARD = ("日本", "x" * 1_024)


class Walk:
    """Random statements of every store; equal seeds draw equal statements."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def step(self) -> Callable[[Stores], object]:
        kinds = (
            self.calendar_change,
            self.calendar_read,
            self.meeting_change,
            self.meeting_change,
            self.meeting_read,
            self.claim,
            self.session,
            self.account,
            self.settings,
            self.workspace,
        )
        return self.chance.choice(kinds)()

    def name(self) -> str:
        """Of a row; moto takes empty and long ones too easily, which has a test of its own."""
        awkward = self.chance.random() < 0.03
        return self.chance.choice(AWKWARD if awkward else SHORT)

    def word(self) -> str:
        """Of an attribute that some index may have for a key."""
        return "" if self.chance.random() < 0.03 else self.name()

    def moment(self) -> datetime:
        return NOW + timedelta(minutes=self.chance.randrange(8))

    def maybe(self, value: Any) -> Any:
        return self.chance.choice((None, value))

    def calendar_change(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fields: dict[str, Any] = {
            "entity_id": self.name(),
            "email": self.maybe("ada@example.com"),
            "status": self.chance.choice(list(CalendarStatus)),
            "metadata": {"k": self.word()},
            "read_since": at,
        }
        some = {key: fields[key] for key in self.chance.sample(sorted(fields), 2)}
        fresh = calendar(name, tenant_id=self.word(), status=fields["status"])
        return self.chance.choice(
            (
                lambda s: s.calendars.add(fresh),
                lambda s: s.calendars.add(fresh),
                lambda s: s.calendars.change(name, updated_at=at, **some),
                lambda s: s.calendars.begin_read(name),
                lambda s: s.calendars.pause_read(name, read_next="p"),
                lambda s: s.calendars.finish_read(name, swept_at=at),
                lambda s: s.calendars.spare_read(name, read_since=at),
                lambda s: s.calendars.delete(name),
            )
        )

    def calendar_read(self) -> Callable[[Stores], object]:
        name, other, limit = self.name(), self.name(), self.chance.randrange(1, 4)
        status = self.chance.choice(list(CalendarStatus))
        wanted = self.chance.choice(
            (
                {},
                {"tenant_id": name},
                {"tenant_id": name, "entity_id": other},
                {"status": status},
                {"status": status, "entity_id": name},
                {"entity_id": name},
            )
        )
        return self.chance.choice(
            (
                lambda s: s.calendars.get(name),
                lambda s: s.calendars.get_many([name, other, "none"]),
                lambda s: every(lambda at: s.calendars.find(cursor=at, limit=limit, **wanted)),
                lambda s: every(lambda at: s.calendars.every(cursor=at, limit=limit)),
                lambda s: s.calendars.due(limit=9),
                lambda s: sorted(s.calendars.by_status(status, limit=9), key=repr),
            )
        )

    def meeting_change(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fresh = meeting(
            event=event(name, calendar_id=self.word(), series_id=self.maybe(self.word()), start=at),
            meeting_key=self.maybe(self.word()),
            due=self.chance.random() < 0.5,
            next_attempt=self.maybe(self.moment()),
            wake_at=self.maybe(self.moment()),
            released=frozenset(self.chance.sample(SHORT, self.chance.randrange(3))),
            override=Override(choice=self.chance.choice(list(Choice))),
            assignment=self.maybe(
                Assignment(bot_id="b", deduplication_key="k", fingerprint="f", join_at=at)
            ),
        )
        flag = self.chance.random() < 0.5
        return self.chance.choice(
            (
                lambda s: s.meetings.save(fresh),
                lambda s: s.meetings.save(replace(fresh, version=1)),
                lambda s: rewritten(s, name, changes={"due": flag, "wake_at": at}),
                lambda s: rewritten(s, name, changes={"event": fresh.event}),
                lambda s: s.meetings.set_override(name, fresh.override, now=at),
                lambda s: s.meetings.set_opt_out(name, opted_out=flag, now=at),
                lambda s: s.meetings.wake(name, now=at, shared=flag),
                lambda s: s.meetings.forget_bot(name, now=at),
                lambda s: s.meetings.delete(name),
            )
        )

    def meeting_read(self) -> Callable[[Stores], object]:
        name, limit = self.name(), self.chance.randrange(1, 4)
        start, end = self.maybe(self.moment()), self.maybe(self.moment())
        series = Series(name, self.name() or "s")
        return self.chance.choice(
            (
                lambda s: s.meetings.get(name),
                lambda s: s.meetings.get_many(list(SHORT)),
                lambda s: s.meetings.due(now=NOW + 4 * 60 * SECOND, limit=9),
                lambda s: every(
                    lambda at: s.meetings.of_calendar(
                        name, start=start, end=end, cursor=at, limit=limit
                    )
                ),
                lambda s: sorted(s.meetings.of_series(series), key=repr),
                lambda s: sorted(s.meetings.of_key(name), key=repr),
            )
        )

    def claim(self) -> Callable[[Stores], object]:
        name, at = self.name(), self.moment()
        fresh = Claim(
            meeting_key=name,
            event_id="e",
            meeting_url="https://meet.google.com/abc",
            start=at,
            end=at + timedelta(hours=1),
            fingerprint="f",
            keys=frozenset(self.chance.sample(SHORT, self.chance.randrange(3))),
            idempotency_key="i",
            bot_id=self.maybe(self.word()),
            due=self.chance.random() < 0.5,
            next_attempt=self.maybe(self.moment()),
            version=self.chance.choice((None, None, 1, 2)),
        )
        return self.chance.choice(
            (
                lambda s: s.claims.save(fresh),
                lambda s: s.claims.save(fresh),
                lambda s: s.claims.remove(fresh),
                lambda s: s.claims.wake(name, now=at),
                lambda s: s.claims.due(now=at, limit=9),
                lambda s: sorted(s.claims.of_bot(name), key=repr),
                lambda s: sorted(s.claims.starting(start=NOW, end=at), key=repr),
            )
        )

    def session(self) -> Callable[[Stores], object]:
        fresh = session(
            self.name(),
            tenant_id=self.word(),
            status=self.chance.choice(list(ConnectStatus)),
            created_at=self.moment(),
            sealed_code=self.maybe(b"\x00\xff"),
            version=self.chance.choice((None, 1, 2)),
        )
        tenant, entity = fresh.tenant_id, fresh.entity_id
        return self.chance.choice(
            (
                lambda s: s.sessions.add(fresh),
                lambda s: s.sessions.save(fresh),
                lambda s: s.sessions.get(fresh.session_id),
                lambda s: s.sessions.waiting(limit=9),
                lambda s: s.sessions.delete(fresh.session_id),
                lambda s: every(
                    lambda at: s.sessions.of_entity(tenant, entity, cursor=at, limit=1)
                ),
            )
        )

    def account(self) -> Callable[[Stores], object]:
        key, word, now = self.name(), self.word(), NOW + timedelta(hours=self.chance.randrange(4))
        holder = self.maybe(word)
        return self.chance.choice(
            (
                lambda s: s.accounts.get(key),
                lambda s: s.accounts.claim(key, claim_id=word, now=now),
                lambda s: s.accounts.assign(key, claim_id=word, calendar_id=word),
                lambda s: s.accounts.release(key, calendar_id=holder),
            )
        )

    def settings(self) -> Callable[[Stores], object]:
        scope, word, flag = self.name(), self.name(), self.chance.random() < 0.5
        series = Series(word, self.chance.choice(("s", "s_R20270301", "t")))
        rules = {"n": self.chance.choice((0, -1, 2.5, 1e20, 1e-7)), "l": [word, None, {"": []}]}
        return self.chance.choice(
            (
                lambda s: s.settings.rules(scope),
                lambda s: s.settings.rules_of([scope, "none"]),
                lambda s: s.settings.put_rules(scope, rules, by="b", at=NOW),
                lambda s: s.settings.put_rules(scope, {"n": rules["n"]}, by="b", at=NOW),
                lambda s: s.settings.forget_rules(scope),
                lambda s: s.settings.series.put_opt_out(series, opted_out=flag),
                lambda s: s.settings.series.put_override(series, Override(choice=Choice.ON)),
                lambda s: s.settings.series.of([series]),
                lambda s: s.settings.series.forget(word),
            )
        )

    def workspace(self) -> Callable[[Stores], object]:
        name, version = self.name(), self.chance.randrange(3)
        return self.chance.choice(
            (
                lambda s: s.workspace.feed(),
                lambda s: s.workspace.save_feed(Feed(cursor=NOW)),
                lambda s: s.workspace.read_budget(name),
                lambda s: s.workspace.write_budget(name, {1: 2, 30: 4}, version=version),
                lambda s: s.workspace.report(name),
                lambda s: s.workspace.put_report(name, {"at": 1.50, "of": [True, None]}),
            )
        )


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(s, marks=FULL) for s in range(3, 40))])
def test_stores_cannot_tell_it_from_moto(seed: int) -> None:
    world = DynamoWorld(clock=lambda: NOW, chance=Random(1))
    with mock_aws():
        there, walk = create_tables(), Walk(seed)
        names = {name: getattr(there, name) for name in STORED}
        for name, schema in STORED.items():
            world.add_table(names[name], schema)
        theirs, ours = open_stores(there), open_stores(there)
        for number in range(STEPS):
            step = walk.step()
            expected = outcome(step, theirs)
            with world.installed():
                assert expected == outcome(step, ours), number
        for name in names.values():
            assert moto_rows(name) == sorted(map(readable, world.rows(name).values()), key=repr)


def every(ask: Callable[[str | None], Page[Any]]) -> list[Any]:
    """All pages, in no order: neither a scan has one nor rows of one range key.

    Where a page ends with the last row, AWS tells a cursor all the same, and moto does not.
    """
    page = ask(None)
    found = list(page.items)
    while page.next_cursor:
        page = ask(page.next_cursor)
        found += page.items
    return sorted(found, key=repr)


def rewritten(stores: Stores, name: str, *, changes: dict[str, Any]) -> object:
    standing = stores.meetings.get(name)
    return standing and stores.meetings.save(replace(standing, **changes))


def outcome(step: Callable[[Stores], object], stores: Stores) -> object:
    try:
        return step(stores)
    except (CallerError, PermanentError, TransientError) as error:
        return type(error), error.code, str(error)
