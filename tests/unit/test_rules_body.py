"""Rules documents at the door: what is taken, what is refused, and which key is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.rules import Rules, rules_in_force
from shared.entrypoints.http import read_body
from shared.entrypoints.rules_body import CONFIG_BYTES_MAX, RulesBody, rules_document
from shared.errors import CallerError
from shared.storage.attributes import typed

# The document of the reference: every key at its default.
EVERY_KEY: dict[str, Any] = {
    "mode": "live",
    "base": "all",
    "rsvp": "not_declined",
    "private": "deny",
    "min_others": 1,
    "hidden_guests": "skip",
    "internal_domains": [],
    "include": {"keywords": [], "people": [], "domains": []},
    "exclude": {"keywords": [], "people": [], "domains": []},
    "deny": {"keywords": [], "people": [], "domains": [], "platforms": []},
    "attendees": {"min": None, "max": None},
    "duration_minutes": {"min": None, "max": None},
    "hours": None,
    "recurrence": "any",
    "vote": "any",
    "veto": "organizer",
    "dedupe": "tenant",
    "scheduling": "managed",
    "horizon_hours": None,
    "locked": [],
    "bot": {"bot_name": "Notetaker", "config": {}},
}


def taken(document: object, *, may_lock: bool = True) -> dict[str, Any]:
    request = APIGatewayProxyEventV2({"body": json.dumps(document)})
    return rules_document(read_body(request, RulesBody), may_lock=may_lock)


def test_every_key_at_its_default_is_the_default():
    assert EVERY_KEY == taken(EVERY_KEY)
    assert Rules() == rules_in_force(EVERY_KEY)
    assert EVERY_KEY.keys() == RulesBody.model_fields.keys()


@pytest.mark.parametrize("key", EVERY_KEY)
def test_only_what_was_set_is_kept(key):
    assert {} == taken({})
    assert {key: EVERY_KEY[key]} == taken({key: EVERY_KEY[key]})


WINDOW = {"days": ["mon", "sun"], "from": "22:00", "to": "06:00"}


@pytest.mark.parametrize(
    "document",
    [
        *({"mode": each} for each in ("live", "preview", "paused")),
        *({"base": each} for each in ("off", "all", "external", "internal", "organizer")),
        *({"rsvp": each} for each in ("any", "not_declined", "tentative_or_accepted", "accepted")),
        *({"private": each} for each in ("deny", "allow")),
        *({"hidden_guests": each} for each in ("skip", "external")),
        *({"recurrence": each} for each in ("any", "recurring", "one_off")),
        *({"vote": each} for each in ("any", "organizer_first", "all_agree")),
        *({"veto": each} for each in ("none", "organizer", "any")),
        *({"dedupe": each} for each in ("tenant", "domain", "calendar")),
        *({"scheduling": each} for each in ("managed", "self_managed")),
        {"min_others": 0},
        {"internal_domains": ["acme.example", "*.acme.example", "bücher.example"]},
        {"include": {"keywords": ["QBR", "weekly sync", "stand*", "会議"]}},
        {"exclude": {"people": ["Ada@Acme.example", "o'neil+x@sub.acme.example"]}},
        {"deny": {"platforms": ["zoom", "slack_huddle_observer"]}},
        {"attendees": {"min": 3}},
        {"attendees": {"min": 3, "max": 3}},
        {"duration_minutes": {"max": 40_320}},
        {"hours": [WINDOW, WINDOW | {"from": "00:00", "to": "00:00"}]},
        {"horizon_hours": 672},
        {"horizon_hours": 0.5},
        {"locked": ["deny", "base", "horizon_hours"]},
        {"bot": {"config": {"recording_config": {"transcript": {"provider": {}}}}}},
        {"bot": {"bot_name": "{owner}'s notes of {title}, {tenant}"}},
        {"bot": {"config": {"metadata": {"customer": "42"}}}},
    ],
    ids=json.dumps,
)
def test_right_values_are_taken_as_they_are(document):
    assert document == taken(document)
    rules_in_force(document)
    typed(document)


def nested(levels: int) -> object:
    return {"a": nested(levels - 1)} if levels else 1


REFUSED = [
    ({"colour": "red"}, "colour"),
    ({"include": {"platforms": []}}, "include.platforms"),
    ({"hours": [WINDOW | {"start": "09:00"}]}, "hours.0.start"),
    ({"bot": {"name": "x"}}, "bot.name"),
    *(
        ({key: value}, key)
        for key in EVERY_KEY
        for value in ("nonsense", 7.5, True, [[]])
        if (key, value) != ("horizon_hours", 7.5) and (key, value) != ("locked", [[]])
        if key not in {"hours", "internal_domains"} or value != [[]]
    ),
    *(({key: None}, key) for key in EVERY_KEY if EVERY_KEY[key] is not None),
    ({"min_others": -1}, "min_others"),
    ({"min_others": 10**40}, "min_others"),
    ({"internal_domains": ["acme"]}, "internal_domains.0"),
    ({"internal_domains": ["acme.example", "*.*.example"]}, "internal_domains.1"),
    ({"internal_domains": ["owner@acme.example"]}, "internal_domains.0"),
    ({"internal_domains": ["a.example"] * 501}, "internal_domains"),
    ({"include": {"keywords": [""]}}, "include.keywords.0"),
    ({"include": {"keywords": ["   "]}}, "include.keywords.0"),
    ({"include": {"keywords": ["*"]}}, "include.keywords.0"),
    ({"include": {"keywords": ["ok", "?!"]}}, "include.keywords.1"),
    ({"include": {"keywords": ["st*nd"]}}, "include.keywords.0"),
    ({"include": {"keywords": ["stand *"]}}, "include.keywords.0"),
    ({"include": {"keywords": ["a\nb"]}}, "include.keywords.0"),
    ({"include": {"keywords": ["x" * 101]}}, "include.keywords.0"),
    ({"include": {"keywords": ["x"] * 201}}, "include.keywords"),
    ({"exclude": {"people": ["ada"]}}, "exclude.people.0"),
    ({"exclude": {"people": ["ada@acme@example"]}}, "exclude.people.0"),
    ({"exclude": {"people": ["Ada <ada@acme.example>"]}}, "exclude.people.0"),
    ({"exclude": {"domains": ["https://acme.example"]}}, "exclude.domains.0"),
    ({"deny": {"platforms": ["teams"]}}, "deny.platforms.0"),
    ({"attendees": {"min": 4, "max": 3}}, "attendees"),
    ({"attendees": {"min": 2.5}}, "attendees.min"),
    ({"attendees": {"max": 10_001}}, "attendees.max"),
    ({"duration_minutes": {"min": 61, "max": 60}}, "duration_minutes"),
    ({"duration_minutes": {"min": -1}}, "duration_minutes.min"),
    ({"hours": []}, "hours"),
    ({"hours": [WINDOW] * 51}, "hours"),
    ({"hours": [WINDOW | {"days": []}]}, "hours.0.days"),
    ({"hours": [WINDOW | {"days": ["monday"]}]}, "hours.0.days.0"),
    ({"hours": [WINDOW | {"from": "9:00"}]}, "hours.0.from"),
    ({"hours": [WINDOW | {"to": "24:00"}]}, "hours.0.to"),
    ({"hours": [{"days": ["mon"], "from": "09:00"}]}, "hours.0.to"),
    ({"horizon_hours": 0}, "horizon_hours"),
    ({"horizon_hours": -1}, "horizon_hours"),
    ({"horizon_hours": 672.5}, "horizon_hours"),
    ({"horizon_hours": float("inf")}, "horizon_hours"),
    ({"horizon_hours": float("nan")}, "horizon_hours"),
    ({"locked": ["colour"]}, "locked"),
    ({"locked": ["locked"]}, "locked"),
    ({"bot": {"bot_name": ""}}, "bot.bot_name"),
    ({"bot": {"bot_name": "x" * 201}}, "bot.bot_name"),
    ({"bot": {"bot_name": "{email}"}}, "bot.bot_name"),
    ({"bot": {"bot_name": "{owner} {"}}, "bot.bot_name"),
    ({"bot": {"bot_name": "{{owner}}"}}, "bot.bot_name"),
    ({"bot": {"config": []}}, "bot.config"),
    *(
        ({"bot": {"config": {key: "x"}}}, "bot.config")
        for key in ("join_at", "meeting_url", "bot_name", "deduplication_key")
    ),
    ({"bot": {"config": {"metadata": {"rollcall_meeting": "x"}}}}, "bot.config"),
    ({"bot": {"config": {"a": "x" * CONFIG_BYTES_MAX}}}, "bot.config"),
    ({"bot": {"config": {"a": 10**38}}}, "bot.config"),
    ({"bot": {"config": {"a": [1e-200]}}}, "bot.config"),
    ({"bot": {"config": {"a": float("nan")}}}, "bot.config"),
    ({"bot": {"config": {"a": float("-inf")}}}, "bot.config"),
    ({"bot": {"config": {"a": {"": 1}}}}, "bot.config"),
    ({"bot": {"config": nested(22)}}, "bot.config"),
]


@pytest.mark.parametrize(("document", "field"), REFUSED)
def test_wrong_ones_are_refused_naming_the_key(document, field):
    with pytest.raises(CallerError) as refused:
        taken(document)
    assert (400, "body_invalid", field) == (
        refused.value.status,
        refused.value.code,
        refused.value.field,
    )


def test_only_a_tenant_locks():
    document = {"base": "off", "locked": ["base"]}
    assert document == taken(document, may_lock=True)
    with pytest.raises(CallerError) as refused:
        taken(document, may_lock=False)
    assert (400, "locked") == (refused.value.status, refused.value.field)
    assert {"locked": []} == taken({"locked": []}, may_lock=False)


@given(
    st.dictionaries(
        st.sampled_from(sorted(EVERY_KEY)),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["keywords", "people", "min", "max", "config", "bot_name"]),
                    inner,
                )
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_whatever_is_taken_can_be_read_and_stored(document):
    try:
        stored = taken(document)
    except CallerError:
        return
    rules_in_force(stored)
    typed(stored)
