"""Rules documents: scope over scope, and the name that a bot gets."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from shared.domain.rules import (
    Base,
    BotSettings,
    Bounds,
    Dedupe,
    Denials,
    HiddenGuests,
    Matches,
    Mode,
    Private,
    Recurrence,
    Rsvp,
    Rules,
    Scheduling,
    Veto,
    Vote,
    Weekday,
    Window,
    rules_in_force,
)


def test_without_documents_the_defaults_are_in_force():
    assert Rules() == rules_in_force()


def test_every_key_of_a_document_is_read():
    document = {
        "mode": "preview",
        "base": "external",
        "rsvp": "accepted",
        "private": "allow",
        "min_others": 2,
        "hidden_guests": "external",
        "internal_domains": ["acme.example"],
        "include": {"keywords": ["qbr"], "people": ["a@b.example"], "domains": ["c.example"]},
        "exclude": {"keywords": ["lunch"]},
        "deny": {"platforms": ["webex"]},
        "attendees": {"min": 2, "max": None},
        "duration_minutes": {"max": 90},
        "hours": [{"days": ["mon", "fri"], "from": "09:00", "to": "17:30"}],
        "recurrence": "recurring",
        "vote": "all_agree",
        "veto": "any",
        "dedupe": "calendar",
        "scheduling": "self_managed",
        "horizon_hours": 1.5,
        "bot": {"bot_name": "Scribe", "config": {"variant": {}}},
    }
    expected = Rules(
        mode=Mode.PREVIEW,
        base=Base.EXTERNAL,
        rsvp=Rsvp.ACCEPTED,
        private=Private.ALLOW,
        min_others=2,
        hidden_guests=HiddenGuests.EXTERNAL,
        internal_domains=("acme.example",),
        include=Matches(keywords=("qbr",), people=("a@b.example",), domains=("c.example",)),
        exclude=Matches(keywords=("lunch",)),
        deny=Denials(platforms=("webex",)),
        attendees=Bounds(min=2),
        duration_minutes=Bounds(max=90),
        hours=(
            Window(
                days=frozenset({Weekday.MONDAY, Weekday.FRIDAY}), start=time(9), end=time(17, 30)
            ),
        ),
        recurrence=Recurrence.RECURRING,
        vote=Vote.ALL_AGREE,
        veto=Veto.ANY,
        dedupe=Dedupe.CALENDAR,
        scheduling=Scheduling.SELF_MANAGED,
        horizon=timedelta(minutes=90),
        bot=BotSettings(bot_name="Scribe", config={"variant": {}}),
    )
    assert expected == rules_in_force(document)


@pytest.mark.parametrize(
    ("default", "tenant", "entity", "base"),
    [
        ({}, {}, {}, Base.ALL),
        ({"base": "off"}, {}, {}, Base.OFF),
        ({"base": "off"}, {"base": "external"}, {}, Base.EXTERNAL),
        ({"base": "off"}, {"base": "external"}, {"base": "internal"}, Base.INTERNAL),
        ({}, {"base": "external", "locked": ["base"]}, {"base": "internal"}, Base.EXTERNAL),
        # A key may be locked at the value that a wider scope gives it.
        ({"base": "off"}, {"locked": ["base"]}, {"base": "internal"}, Base.OFF),
        ({}, {"base": "external", "locked": ["rsvp"]}, {"base": "internal"}, Base.INTERNAL),
    ],
)
def test_locked_keys_beat_the_entity_which_beats_tenant_and_default(default, tenant, entity, base):
    assert base is rules_in_force(default, tenant=tenant, entity=entity).base


def test_an_entity_can_only_add_to_what_is_denied():
    rules = rules_in_force(
        {"deny": {"keywords": ["legal"]}},
        tenant={"deny": {"keywords": ["salary"], "domains": ["rival.example"]}},
        entity={"deny": {"keywords": ["legal", "doctor"]}},
    )
    assert Denials(keywords=("legal", "salary", "doctor"), domains=("rival.example",)) == rules.deny


def test_a_key_that_is_set_to_none_lifts_the_limit_of_the_wider_scope():
    hours = [{"days": ["mon"], "from": "09:00", "to": "17:00"}]
    wider = {"hours": hours, "horizon_hours": 24}
    narrower = {"hours": None, "horizon_hours": None}
    rules = rules_in_force(wider, entity=narrower)
    assert (None, None) == (rules.hours, rules.horizon)


PEOPLE = {"owner": "Ada", "tenant": "Acme", "title": "Kickoff"}


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("Notetaker", PEOPLE, "Notetaker"),
        ("{owner}'s notes", PEOPLE, "Ada's notes"),
        ("{tenant}: {title} for {owner}", PEOPLE, "Acme: Kickoff for Ada"),
        ("{title} {title}", PEOPLE, "Kickoff Kickoff"),
        # What is filled in is not filled again.
        ("{title}", PEOPLE | {"title": "{owner} and {title}"}, "{owner} and {title}"),
        ("{title}", PEOPLE | {"title": " two\n lines\t"}, "two lines"),
        ("{title}", PEOPLE | {"title": "x" * 200}, "x" * 100),
        ("{title} notes", PEOPLE | {"title": "x" * 99}, "x" * 99),
        ("Notes - {title}", PEOPLE | {"title": None}, "Notes"),
        ("Notes - {title}", PEOPLE | {"title": "  "}, "Notes"),
        ("{owner}'s notes", PEOPLE | {"owner": None}, "notes"),
        ("{owner}\u2019s notes", PEOPLE | {"owner": None}, "notes"),
        ("{tenant} {title} notes", PEOPLE | {"title": ""}, "Acme notes"),
        ("{owner}", PEOPLE | {"owner": None}, "Notetaker"),
        ("{owner}", PEOPLE | {"owner": "\0"}, "Notetaker"),
        ("-- Notes --", PEOPLE, "-- Notes --"),
    ],
)
def test_the_name_of_a_bot_is_filled_and_cut(name, values, shown):
    settings = BotSettings(bot_name=name, config={"variant": {}})
    assert BotSettings(bot_name=shown, config={"variant": {}}) == settings.rendered(**values)
