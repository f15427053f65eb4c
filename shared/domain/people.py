"""People: who meets whom in one event copy, and whether anybody comes from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.address import Domains, canonical, domain_of, domains_from, is_free_mail
from shared.domain.event import Answer, Event

# Google's own addresses of rooms, shared calendars and imports: nobody sits behind them.
_NO_PERSON = ".calendar.google.com"


class Audience(StrEnum):
    """Who besides the owner is in a meeting."""

    NOBODY = "nobody"
    INTERNAL = "internal"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """The people of one event copy besides its owner, by canonical address.

    `organizer` is None when the owner organizes, or nobody human does. `invited` are attendees,
    the organizer not among them; a group is one of them, and its address counts by its domain.
    `others` are those of everybody who have not declined, `domains` those of everybody.
    """

    organizer: str | None
    invited: frozenset[str]
    everybody: frozenset[str]
    others: frozenset[str]
    domains: frozenset[str]


def guests_of(event: Event, owner_email: str | None) -> Guests:
    """The owner is whom the provider marks, and whoever has the calendar's own address."""
    nobody = owner_addresses(event, owner_email)
    organizer = canonical(event.organizer_email or "")
    addresses, declined = {organizer}, set()
    for guest in event.attendees:
        address = canonical(guest.email)
        addresses.add(address)
        if guest.is_resource:
            nobody.add(address)
        if guest.answer is Answer.DECLINED:
            declined.add(address)
    everybody = frozenset(filter(_is_person, addresses - nobody))
    return Guests(
        organizer=organizer if organizer in everybody else None,
        invited=everybody - {organizer},
        everybody=everybody,
        others=everybody - declined if declined else everybody,
        domains=frozenset(map(domain_of, everybody)),
    )


def organizes(event: Event, owner_email: str | None) -> bool:
    """Whether the owner organizes: the provider's own flag, else the address."""
    if event.owner_is_organizer or event.organizer_email is None:
        return event.owner_is_organizer
    return canonical(event.organizer_email) in owner_addresses(event, owner_email)


def owner_addresses(event: Event, owner_email: str | None) -> set[str]:
    """All addresses by which the owner is known in this event."""
    addresses = {canonical(guest.email) for guest in event.attendees if guest.is_owner}
    if owner_email is not None:
        addresses.add(canonical(owner_email))
    if event.owner_is_organizer and event.organizer_email is not None:
        addresses.add(canonical(event.organizer_email))
    return addresses


def owner_address(event: Event, owner_email: str | None) -> str | None:
    """The address of the calendar's account, else one by which the provider marks the owner."""
    return owner_email or min(owner_addresses(event, None), default=None)


def audience(guests: Guests, *, internal: Domains | None, guests_hidden: bool = False) -> Audience:
    """Somebody from outside settles it even where the rest of the list is hidden.

    `internal` None: nobody knows which domains are one's own.
    """
    if internal is None:
        return Audience.UNKNOWN if guests_hidden or guests.others else Audience.NOBODY
    if any(not internal.cover(domain_of(other)) for other in guests.others):
        return Audience.EXTERNAL
    if guests_hidden:
        return Audience.UNKNOWN
    return Audience.INTERNAL if guests.others else Audience.NOBODY


def internal_domains(declared: tuple[str, ...], owner_email: str | None) -> Domains | None:
    """The declared domains, else the owner's own; strangers share a free-mail domain.

    None when nothing is declared and the owner's address is not known.
    """
    if declared:
        return domains_from(declared)
    domain = domain_of(owner_email or "")
    if not domain:
        return None
    return domains_from(() if is_free_mail(domain) else (domain,))


def _is_person(address: str) -> bool:
    return address != "" and not address.endswith(_NO_PERSON)
