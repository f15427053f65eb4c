"""Who counts as a person, who is the owner, and who comes from outside."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.address import domains_from
from shared.domain.event import Answer, Attendee, owned_by
from shared.domain.people import (
    Audience,
    Guests,
    audience,
    guests_of,
    internal_domains,
    organizes,
    owner_address,
)
from tests.unit.core_values import event

ME = "owner@acme.example"
DANA = "dana@acme.example"
GUEST = "guest@globex.example"


def person(email: str, answer: Answer = Answer.NONE, **flags: bool) -> Attendee:
    return Attendee(email=email, answer=answer, **flags)


def guests(*attendees: Attendee, by: str | None = ME, **facts: Any) -> Guests:
    facts = {"owner_is_organizer": by == ME, "organizer_email": by, **facts}
    return guests_of(event(attendees=attendees, **facts), ME)


@pytest.mark.parametrize(
    ("found", "others"),
    [
        (guests(), set()),
        (guests(person(ME, is_owner=True)), set()),
        # Microsoft marks nobody: the calendar's own address does.
        (guests(person("Owner@Acme.example"), person(DANA)), {DANA}),
        (guests(person(DANA), person("Dana@ACME.example")), {DANA}),
        # Another address of the owner, marked by the provider.
        (guests(person("me@alias.example", is_owner=True), person(DANA)), {DANA}),
        # A tag or dots are no alias that anybody declared.
        (guests(person("owner+notes@acme.example")), {"owner+notes@acme.example"}),
        (guests(person("room@acme.example", is_resource=True), person(DANA)), {DANA}),
        (guests(person("c_188x@resource.calendar.google.com")), set()),
        (guests(person("c_188x@group.calendar.google.com")), set()),
        # A group is one address.
        (guests(person("team@acme.example")), {"team@acme.example"}),
        (guests(person(DANA, Answer.DECLINED), person(GUEST)), {GUEST}),
        (guests(by=GUEST), {GUEST}),
        (guests(person(GUEST), by=GUEST), {GUEST}),
        (guests(person(GUEST, Answer.DECLINED), by=GUEST), set()),
        (guests(person(DANA), by=None), {DANA}),
        (guests(by="room@acme.example"), {"room@acme.example"}),
        (guests(person("room@acme.example", is_resource=True), by="room@acme.example"), set()),
        (guests(by="c_188x@group.calendar.google.com"), set()),
        # The provider says that the owner organizes, whatever the address.
        (guests(by="shared@acme.example", owner_is_organizer=True), set()),
        (guests(person(""), by=None), set()),
    ],
)
def test_the_other_people(found: Guests, others: set[str]) -> None:
    assert others == found.others


def test_the_organizer_stands_apart_from_the_invited() -> None:
    found = guests(person(GUEST), person(DANA, Answer.DECLINED), by=GUEST)
    assert (GUEST, {DANA}, {DANA, GUEST}) == (found.organizer, found.invited, found.everybody)
    assert {"acme.example", "globex.example"} == found.domains


@pytest.mark.parametrize(
    ("facts", "own"),
    [
        ({"owner_is_organizer": True, "organizer_email": GUEST}, True),
        ({"owner_is_organizer": True, "organizer_email": None}, True),
        ({"organizer_email": "OWNER@acme.example"}, True),
        ({"organizer_email": GUEST}, False),
        ({"organizer_email": None}, False),
        ({"organizer_email": "me@alias.example"}, True),
    ],
)
def test_whose_meeting_it_is(facts: dict[str, Any], own: bool) -> None:
    attendees = (person("me@alias.example", is_owner=True),)
    assert own is organizes(event(attendees=attendees, **facts), ME)


def test_googles_two_domains_are_one_mailbox() -> None:
    mail = event(attendees=(person("ada@googlemail.com"),), organizer_email="ada@gmail.com")
    assert organizes(mail, "Ada@googlemail.com")
    assert frozenset() == guests_of(mail, "ada@gmail.com").others
    owned = owned_by(mail, "ada@gmail.com")
    assert (True, True) == (owned.attendees[0].is_owner, owned.owner_is_organizer)


@pytest.mark.parametrize(
    ("email", "facts", "address"),
    [
        (ME, {}, ME),
        (None, {"attendees": (person("me@alias.example", is_owner=True),)}, "me@alias.example"),
        (None, {"owner_is_organizer": True, "organizer_email": DANA, "attendees": ()}, DANA),
        (None, {"organizer_email": GUEST, "attendees": ()}, None),
    ],
)
def test_the_address_of_the_owner(
    email: str | None, facts: dict[str, Any], address: str | None
) -> None:
    assert address == owner_address(event(**facts), email)


@pytest.mark.parametrize(
    ("declared", "owner", "inside", "outside"),
    [
        ((), ME, ["acme.example"], ["eu.acme.example", "globex.example"]),
        (("globex.example",), ME, ["globex.example"], ["acme.example"]),
        (
            ("acme.example", "*.acme.example"),
            ME,
            ["acme.example", "eu.acme.example"],
            ["x.example"],
        ),
        ((), "me@gmail.com", [], ["gmail.com", "acme.example"]),
        ((), "me@googlemail.com", [], ["gmail.com"]),
        # Whoever declares a free-mail domain means it.
        (("gmail.com",), "me@gmail.com", ["gmail.com"], ["acme.example"]),
        (("gmail.com",), None, ["gmail.com"], ["acme.example"]),
    ],
)
def test_the_domains_of_ones_own(
    declared: tuple[str, ...], owner: str | None, inside: list[str], outside: list[str]
) -> None:
    domains = internal_domains(declared, owner)
    assert domains is not None
    assert inside == [domain for domain in [*inside, *outside] if domains.cover(domain)]


@pytest.mark.parametrize("owner", [None, "", "no address"])
def test_without_an_owner_nobody_knows_what_is_ones_own(owner: str | None) -> None:
    assert internal_domains((), owner) is None


OWN = domains_from(("acme.example",))


@pytest.mark.parametrize(
    ("found", "hidden", "expected"),
    [
        (guests(), False, Audience.NOBODY),
        (guests(), True, Audience.UNKNOWN),
        (guests(person(DANA)), False, Audience.INTERNAL),
        (guests(person(DANA)), True, Audience.UNKNOWN),
        (guests(person(DANA), person(GUEST)), False, Audience.EXTERNAL),
        # One visible guest from outside is enough.
        (guests(person(GUEST)), True, Audience.EXTERNAL),
        (guests(by=GUEST), True, Audience.EXTERNAL),
        (guests(by=DANA), True, Audience.UNKNOWN),
        (guests(person(DANA), person(GUEST, Answer.DECLINED)), False, Audience.INTERNAL),
        (guests(person("room@globex.example", is_resource=True)), False, Audience.NOBODY),
        (guests(person("sales@globex.example")), False, Audience.EXTERNAL),
        (guests(person("x@eu.acme.example")), False, Audience.EXTERNAL),
        (guests(person("no address")), False, Audience.EXTERNAL),
    ],
)
def test_who_besides_the_owner_is_there(found: Guests, hidden: bool, expected: Audience) -> None:
    assert expected is audience(found, internal=OWN, guests_hidden=hidden)


def test_nobody_is_from_outside_where_nothing_is_known_of_the_inside() -> None:
    assert Audience.UNKNOWN is audience(guests(person(GUEST)), internal=None)
    assert Audience.NOBODY is audience(guests(), internal=None)
    assert Audience.UNKNOWN is audience(guests(), internal=None, guests_hidden=True)
