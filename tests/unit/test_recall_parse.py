"""Every published event payload, and what broken or hostile ones become."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.calendar import CalendarStatus, Platform
from shared.domain.event import Answer, Event, EventBot, ListedEvent, owned_by
from shared.domain.people import guests_of
from shared.recall.parse import parse_bot, parse_calendar, parse_each, parse_event
from shared.recall.provider_event import ATTENDEES_MAX, TITLE_CHARACTERS_MAX
from shared.recall.reading import Malformed

PAYLOADS = Path(__file__).parents[1] / "payloads" / "events"
NAMES = sorted(path.stem for path in PAYLOADS.glob("*.json"))

# Facts that are not: no answer but accepted, no flag set, nobody else.
QUIET = {
    "series_id": None,
    "all_day": False,
    "cancelled": False,
    "deleted": False,
    "private": False,
    "owner_is_organizer": False,
    "owner_answer": Answer.ACCEPTED,
    "guests_hidden": False,
}
OWNS = {"owner_is_organizer": True}
# What sets each payload apart, and how many people besides the owner it shows.
FACTS: dict[str, tuple[str, dict[str, object], int]] = {
    "01": ("Acme x Globex: onboarding kickoff", OWNS, 2),
    "02": ("Weekly pipeline review", {"series_id": "7h2d9f4k1s6g3j8l5q0w2e7r9t"}, 2),
    "03": ("Acme x Initech: contract questions", {"cancelled": True, "deleted": True}, 1),
    "04": ("Site visit at Globex", OWNS, 1),
    "05": (
        "Public holiday in the Berlin office",
        {"all_day": True, "owner_answer": Answer.NONE, "guests_hidden": True},
        1,
    ),
    "06": ("Demo rehearsal", OWNS, 0),
    "07": ("Vendor webinar", {"owner_answer": Answer.DECLINED}, 2),
    "08": ("Initech procurement check-in", {"owner_answer": Answer.TENTATIVE}, 1),
    "09": ("Globex weekly sync", OWNS | {"series_id": "4c6v8b0n1m3a5s7d9f2g4h6j8k"}, 1),
    "10": (
        "Globex quarterly business review",
        {"owner_answer": Answer.NONE, "guests_hidden": True},
        1,
    ),
    "11": ("Globex standing call (moved forward each week)", OWNS, 1),
    "12": ("Northwind x Fabrikam: pilot scope", OWNS, 2),
    "13": (
        "Delivery stand-up",
        {
            "series_id": "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABG97d1ba129c1358a3"
            "84ad6ad9010163e8AAAAAAENAAA="
        },
        2,
    ),
    "14": ("Canceled: Fabrikam pricing call", {"cancelled": True, "deleted": True}, 2),
    "15": ("Lunch with the finance team", OWNS, 1),
    "16": ("Out of office", OWNS | {"all_day": True}, 0),
    "17": ("Prepare board deck", OWNS, 0),
    "18": ("Globex quarterly business review", {}, 2),
    "19": ("Optional: tooling show-and-tell", {"owner_answer": Answer.DECLINED}, 1),
    "20": ("Fabrikam procurement hour", {"owner_answer": Answer.TENTATIVE}, 2),
    "21": (
        "Fabrikam steering committee",
        OWNS
        | {
            "series_id": "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABGa0e7313b87855540"
            "b71b7c6045b34ac9AAAAAAENAAA="
        },
        1,
    ),
    "22": ("Fabrikam partner town hall", {"owner_answer": Answer.NONE}, 2),
    "23": ("Candidate interview", OWNS | {"private": True}, 1),
}


def other_people(event: Event) -> int:
    return len(guests_of(event, None).others)


def payload(number: str) -> dict:
    (path,) = PAYLOADS.glob(f"{number}-*.json")
    return json.loads(path.read_text("utf-8"))


def listed(number: str, **raw: object) -> ListedEvent:
    """A published payload with keys of its provider part replaced (None: taken out)."""
    document = payload(number)
    document["raw"].update(raw)
    document["raw"] = {key: value for key, value in document["raw"].items() if value is not None}
    return parse_event(document)


def test_every_payload_is_described():
    assert [name[:2] for name in NAMES] == sorted(FACTS)


@pytest.mark.parametrize("name", NAMES)
def test_facts_of_the_provider(name):
    title, facts, others = FACTS[name[:2]]

    event = parse_event(payload(name[:2])).event

    assert asdict(event) | QUIET | facts | {"title": title} == asdict(event)
    assert other_people(event) == others


@pytest.mark.parametrize("name", NAMES)
def test_facts_of_recall_are_taken_over(name):
    document = payload(name[:2])

    entry = parse_event(document)

    event = entry.event
    assert event.event_id == document["id"]
    assert event.calendar_id == document["calendar_id"]
    assert event.platform.value == document["platform"]
    assert event.platform_id == document["platform_id"]
    assert event.ical_uid == document["ical_uid"]
    assert event.meeting_url == document["meeting_url"]
    assert event.meeting_platform == document["meeting_platform"]
    assert event.start == datetime.fromisoformat(document["start_time"])
    assert event.end == datetime.fromisoformat(document["end_time"])
    assert event.start.tzinfo is UTC
    assert entry.updated_at == datetime.fromisoformat(document["updated_at"])
    assert len(entry.bots) == len(document["bots"])


def test_a_stale_bot_keeps_the_start_it_was_scheduled_for():
    entry = parse_event(payload("09"))

    assert entry.bots == (
        EventBot(
            bot_id="59c05bfd-9eae-5360-938c-79b922451b7a",
            start=datetime(2027, 3, 4, 8, tzinfo=UTC),
            deduplication_key="2027-03-04T08:00:00Z-https://meet.google.com/tpc-rdqo-vhs",
            meeting_url="https://meet.google.com/tpc-rdqo-vhs",
        ),
    )
    assert entry.event.start == datetime(2027, 3, 5, 10, tzinfo=UTC)


def test_the_owner_is_marked_where_the_provider_tells():
    google = parse_event(payload("01")).event

    assert [a.email for a in google.attendees if a.is_owner] == ["owner@acme.example"]
    assert [a.answer for a in google.attendees] == [Answer.ACCEPTED, Answer.ACCEPTED, Answer.NONE]


def test_an_organizer_on_microsofts_own_list_is_the_owner():
    guest = {"emailAddress": {"address": "Guest@Fabrikam.example"}, "type": "required"}
    owner = {"emailAddress": {"address": "Owner@Northwind.example"}, "type": "required"}

    event = listed("12", attendees=[owner, guest]).event

    assert [(a.email, a.is_owner) for a in event.attendees] == [
        ("owner@northwind.example", True),
        ("guest@fabrikam.example", False),
    ]
    assert other_people(event) == 1


def test_the_owner_of_a_guests_copy_is_known_by_the_calendars_address():
    event = parse_event(payload("13")).event

    assert other_people(event) == 2
    assert other_people(owned_by(event, "Owner@northwind.example")) == 1
    assert owned_by(event, None) == event


@pytest.mark.parametrize(
    ("number", "marks", "answer"),
    [
        # Google says it with the attendee alone.
        ("01", {"email": "Owner@acme.example", "responseStatus": "declined"}, Answer.DECLINED),
        (
            "01",
            {"email": "owner@acme.example", "responseStatus": "declined", "self": False},
            Answer.DECLINED,
        ),
        ("01", {"email": "dana@acme.example", "responseStatus": "declined"}, Answer.NONE),
    ],
)
def test_an_answer_is_the_owner_s_by_its_address(number, marks, answer):
    event = listed(number, attendees=[marks], organizer={"email": "dana@acme.example"}).event

    assert answer is owned_by(event, "owner@acme.example").owner_answer


def test_an_unmarked_organizer_may_decline():
    attendees = [{"email": "owner@acme.example", "responseStatus": "declined"}]
    event = listed("01", attendees=attendees).event

    assert (True, Answer.ACCEPTED) == (event.owner_is_organizer, event.owner_answer)
    assert Answer.DECLINED is owned_by(event, "owner@acme.example").owner_answer


def test_who_is_marked_organizes_under_that_address_too():
    attendees = [{"email": "alias@acme.example", "self": True, "responseStatus": "accepted"}]
    event = listed("01", attendees=attendees, organizer={"email": "Alias@acme.example"}).event

    assert not event.owner_is_organizer
    assert owned_by(event, None).owner_is_organizer
    assert owned_by(event, "owner@acme.example").owner_is_organizer


def test_the_answer_of_a_marked_owner_stands():
    attendees = [
        {"email": "alias@acme.example", "responseStatus": "needsAction", "self": True},
        {"email": "owner@acme.example", "responseStatus": "declined"},
    ]
    event = listed("01", attendees=attendees, organizer={"email": "dana@acme.example"}).event

    assert Answer.NONE is owned_by(event, "owner@acme.example").owner_answer


def test_microsoft_answers_beside_the_list():
    declined = {
        "emailAddress": {"address": "owner@northwind.example"},
        "status": {"response": "declined"},
    }
    event = listed("13", attendees=[declined], responseStatus={"response": "none"}).event

    assert Answer.NONE is owned_by(event, "owner@northwind.example").owner_answer


@pytest.mark.parametrize(
    ("number", "room"),
    [
        ("01", {"email": "room@acme.example", "resource": True}),
        ("01", {"email": "c_188@resource.calendar.google.com"}),
        ("12", {"emailAddress": {"address": "room@northwind.example"}, "type": "resource"}),
    ],
)
def test_rooms_are_no_people(number, room):
    event = listed(number, attendees=[room]).event

    assert [attendee.is_resource for attendee in event.attendees] == [True]
    assert other_people(event) == 0


@pytest.mark.parametrize(
    ("number", "raw", "hidden"),
    [
        ("01", {"guestsCanSeeOtherGuests": False}, False),  # the organizer sees them
        ("02", {"guestsCanSeeOtherGuests": False}, True),
        ("02", {"attendees": None}, True),
        ("02", {"attendees": []}, True),
        ("01", {"attendees": None}, False),
        ("01", {"attendeesOmitted": True}, True),
        ("18", {"hideAttendees": True}, True),
        ("12", {"hideAttendees": True}, False),
        ("18", {"attendees": []}, True),
        ("12", {"attendees": []}, False),
    ],
)
def test_when_the_guest_list_is_not_to_be_trusted(number, raw, hidden):
    assert listed(number, **raw).event.guests_hidden is hidden


@pytest.mark.parametrize(
    ("number", "raw", "private"),
    [
        ("01", {"visibility": "confidential"}, True),
        ("01", {"visibility": "public"}, False),
        ("12", {"sensitivity": "private"}, True),
        ("12", {"sensitivity": "confidential"}, True),
        ("12", {"sensitivity": "personal"}, False),
    ],
)
def test_private_in_each_providers_words(number, raw, private):
    assert listed(number, **raw).event.private is private


ZONES = {
    **dict.fromkeys(("01", "02", "03", "04", "07", "08", "09", "10", "11", "23"), "Europe/Berlin"),
    "05": None,
    "06": "America/New_York",
    # W. Europe Standard Time, though Graph tells the start in UTC.
    **dict.fromkeys((str(number) for number in range(12, 23)), "Europe/Berlin"),
}


@pytest.mark.parametrize("name", NAMES)
def test_where_each_payload_was_planned(name):
    assert ZONES[name[:2]] == parse_event(payload(name[:2])).event.time_zone


@pytest.mark.parametrize(
    ("number", "raw", "zone"),
    [
        ("01", {"start": {"dateTime": "2027-03-02T16:00:00Z"}}, None),
        ("01", {"start": {"timeZone": "Mars/Olympus"}}, None),
        ("01", {"start": {"timeZone": "America"}}, None),
        ("01", {"start": {"timeZone": "../../etc/passwd"}}, None),
        ("01", {"start": {"timeZone": ["UTC"]}}, None),
        ("12", {"originalStartTimeZone": "Pacific Standard Time"}, "America/Los_Angeles"),
        ("12", {"originalStartTimeZone": "India Standard Time"}, "Asia/Calcutta"),
        # Graph also passes on what other clients wrote.
        ("12", {"originalStartTimeZone": "Asia/Tokyo"}, "Asia/Tokyo"),
        ("12", {"originalStartTimeZone": "tzone://Microsoft/Custom"}, "UTC"),
        ("12", {"originalStartTimeZone": None}, "UTC"),
        (
            "12",
            {"originalStartTimeZone": None, "start": {"timeZone": "Tokyo Standard Time"}},
            "Asia/Tokyo",
        ),
        ("12", {"originalStartTimeZone": None, "start": None}, None),
    ],
)
def test_time_zones_in_each_providers_words(number, raw, zone):
    found = listed(number, **raw).event.time_zone
    assert (zone is None) == (found is None)
    if found is not None:
        summer = datetime(2027, 7, 1, tzinfo=UTC)
        same = [summer.astimezone(ZoneInfo(name)).utcoffset() for name in (zone, found)]
        assert same[0] == same[1]


def test_a_recurrence_without_series_id_goes_by_its_ical_uid():
    google = listed("02", recurringEventId=None)
    microsoft = listed("13", seriesMasterId=None)

    assert google.event.series_id == google.event.ical_uid
    assert microsoft.event.series_id == microsoft.event.ical_uid
    assert parse_event(payload("01")).event.series_id is None


@pytest.mark.parametrize("number", ["01", "02", "12", "13"])
def test_a_payload_of_a_provider_may_lack_every_key(number):
    document = payload(number) | {"raw": {}}

    event = parse_event(document).event

    assert (event.title, event.attendees, event.organizer_email) == ("", (), None)
    assert (event.guests_hidden, event.owner_answer) == (True, Answer.NONE)


@pytest.mark.parametrize("number", ["02", "13"])
@pytest.mark.parametrize("junk", [None, 7, "text", [None, 7, "text", {}], {"deep": {}}, True])
def test_wrong_types_in_a_providers_payload_count_as_absent(number, junk):
    document = payload(number)
    for key in document["raw"]:
        parse_event(document | {"raw": document["raw"] | {key: junk}})


IDENTITY = (
    "id",
    "calendar_id",
    "platform",
    "platform_id",
    "start_time",
    "end_time",
    "updated_at",
    "meeting_url",
    "bots",
    "raw",
)


@pytest.mark.parametrize("key", IDENTITY)
def test_an_event_without_identity_is_set_aside(key):
    document = payload("02")
    del document[key]

    with pytest.raises(Malformed) as refused:
        parse_event(document)

    assert refused.value.key == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", ""),
        ("id", 7),
        ("calendar_id", "\ud800"),
        ("platform", "caldav"),
        ("start_time", "2027-03-02"),
        ("start_time", "2027-03-02T15:00:00"),
        ("start_time", "0001-01-01T00:00:00+14:00"),
        ("start_time", "soon"),
        ("end_time", None),
        ("meeting_url", 7),
        ("meeting_url", 0),
        ("meeting_url", []),
        ("meeting_url", "https://zoom.us/j/" + "1" * 2_000),
        ("bots", None),
        ("bots", [None]),
        ("bots", [{"bot_id": "b", "start_time": "2027-03-02T15:00:00Z"}]),
        ("raw", None),
        ("raw", []),
    ],
)
def test_identity_that_cannot_be_used_is_set_aside(key, value):
    with pytest.raises(Malformed):
        parse_event(payload("02") | {key: value})


def test_a_deleted_event_needs_no_payload_of_its_provider():
    event = parse_event(payload("03") | {"raw": None}).event

    assert event.deleted is True


def test_a_malformed_event_does_not_stop_the_others():
    good, bad, nameless = payload("01"), payload("02"), payload("04")
    del bad["start_time"]
    nameless["id"] = "<script>"

    events, malformed = parse_each([bad, good, None, nameless], parse_event)

    assert [entry.event.event_id for entry in events] == [good["id"]]
    assert malformed == (bad["id"], "?", "?")


def test_texts_are_kept_storable_and_short():
    event = listed("01", summary="\ud83d half a sign " + "x" * 10_000).event

    assert len(event.title) == TITLE_CHARACTERS_MAX
    assert event.title.encode("utf-8").startswith(b"? half a sign")


def test_a_crowd_is_cut_and_said_to_be():
    crowd = [{"email": f"guest{n}@globex.example"} for n in range(ATTENDEES_MAX + 1)]

    event = listed("01", attendees=crowd).event

    assert (len(event.attendees), event.guests_hidden) == (ATTENDEES_MAX, True)


def json_values() -> st.SearchStrategy[object]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
        ),
        max_leaves=10,
    )


def paths(value: object, path: tuple = ()) -> list[tuple]:
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(deep for key, child in children for deep in paths(child, (*path, key)))]


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_whatever_stands_anywhere_an_event_is_read_or_set_aside(data):
    document = {"event": payload(data.draw(st.sampled_from([name[:2] for name in NAMES])))}
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(document)[1:]))
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = data.draw(json_values())

    events, malformed = parse_each([document["event"]], parse_event)

    assert len(events) + len(malformed) == 1
    for entry in events:
        json.dumps(asdict(entry.event), default=str, ensure_ascii=False).encode()


CALENDAR = {
    "id": "0512a606-f31c-58ad-8692-f62ffc95b96f",
    "platform": "google_calendar",
    "oauth_client_id": "1055-example.apps.googleusercontent.com",
    "oauth_client_secret": "GOCSPX-example",
    "oauth_refresh_token": "1//04example",
    "oauth_email": "Owner@acme.example",
    "metadata": {"user_id": "u_17"},
    "platform_email": "Owner@Acme.example",
    "status": "disconnected",
    "status_changes": [
        {"status": "disconnected", "created_at": "2027-02-01T09:05:00Z", "message": "revoked"},
        {"status": "connecting", "created_at": "2027-02-01T09:00:00Z", "message": "old"},
    ],
    "created_at": "2027-02-01T09:00:00.101220Z",
    "updated_at": "2027-02-01T09:05:00.120400Z",
}


def test_a_calendar_keeps_nothing_secret():
    calendar = parse_calendar(CALENDAR)

    assert calendar.calendar_id == CALENDAR["id"]
    assert calendar.platform is Platform.GOOGLE
    assert calendar.email == "owner@acme.example"
    assert (calendar.status, calendar.status_reason) == (CalendarStatus.DISCONNECTED, "revoked")
    assert calendar.updated_at == datetime(2027, 2, 1, 9, 5, 0, 120_400, tzinfo=UTC)
    for secret in ("GOCSPX-example", "1//04example", "1055-example"):
        assert secret not in repr(calendar)


def test_a_code_says_more_than_a_text():
    changes = [
        {
            "status": "disconnected",
            "created_at": "2027-02-01T09:05:00Z",
            "message": "Token has been expired or revoked.",
            "sub_code": "invalid_grant",
        }
    ]
    assert parse_calendar(CALENDAR | {"status_changes": changes}).status_reason == "invalid_grant"


@pytest.mark.parametrize("changes", [None, [], [None], "text", [{"status": "connected"}]])
def test_a_calendar_may_lack_its_history_and_its_address(changes):
    document = CALENDAR | {"status_changes": changes, "platform_email": None}

    calendar = parse_calendar(document)

    assert (calendar.email, calendar.status_reason) == (None, None)


@pytest.mark.parametrize("key", ["id", "platform", "status", "created_at", "updated_at"])
def test_a_calendar_needs_its_identity(key):
    document = copy.deepcopy(CALENDAR)
    del document[key]

    with pytest.raises(Malformed):
        parse_calendar(document)


def test_the_newest_status_is_told_by_time_and_not_by_text():
    changes = [
        {"code": "call_ended", "created_at": "2027-03-03T09:00:00.5Z"},
        {"code": "in_waiting_room", "created_at": "2027-03-03T09:00:00Z"},
        {"code": "odd", "created_at": "later"},
    ]

    assert parse_bot({"id": "b", "status_changes": changes}).status == "call_ended"


def test_done_does_not_hide_how_a_bot_fared():
    done = {"code": "done", "created_at": "2027-03-03T09:01:00Z", "sub_code": None}
    ended = {
        "code": "call_ended",
        "created_at": "2027-03-03T09:00:00Z",
        "sub_code": "timeout_exceeded_waiting_room",
    }

    told = parse_bot({"id": "b", "status_changes": [ended, done]})
    assert ("call_ended", "timeout_exceeded_waiting_room") == (told.status, told.sub_code)
    assert parse_bot({"id": "b", "status_changes": [done]}).status == "done"


def test_a_bot_shows_its_newest_status():
    bot = parse_bot(
        {
            "id": "2bfb5078-80b1-52da-80a2-b7db870259ae",
            "join_at": None,
            "metadata": {"event_id": "e", "empty": None},
            "status_changes": [
                {"code": "ready", "created_at": "2027-03-03T08:00:00Z", "sub_code": None},
                {"code": "fatal", "created_at": "2027-03-03T09:01:00Z", "sub_code": "meeting_full"},
            ],
        }
    )

    assert (bot.status, bot.sub_code, bot.join_at) == ("fatal", "meeting_full", None)
    assert bot.metadata == {"event_id": "e"}
