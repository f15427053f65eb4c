"""An entity's own page: its calendars, meetings and rules, read in three requests at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.calendar import Calendar, CalendarStatus
from shared.domain.consider import Surroundings, choice_of, explained
from shared.domain.erasure import mark_name
from shared.domain.meeting import Meeting
from shared.domain.own_rules import Documents
from shared.domain.page_link import LinkRefusal, OwnPageLink, own_page_of, whole_seconds
from shared.domain.reach import Reach, is_in_call, reach_of
from shared.domain.rules import Choice
from shared.domain.scope import Scope, rules_from, scopes_of
from shared.domain.series import UNSAID, series_of
from shared.errors import CallerError
from shared.flows.calendars import not_found

if TYPE_CHECKING:
    from shared.domain.secret import Secret
    from shared.storage import Page, Stores, Together

CALENDARS_MAX = 20
# With two rows for each series these fit into one request.
MEETINGS_A_PAGE = 40
LOOK_BACK = timedelta(hours=24)
LOOK_AHEAD = timedelta(days=28)
STATUS = {LinkRefusal.UNKNOWN: 404, LinkRefusal.EXPIRED: 410, LinkRefusal.REVOKED: 410}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMeeting:
    """A meeting as explained; `choice` is in force, `series_choice` the series' (None: no series).

    `reach`: what a word can still do for it.
    """

    meeting: Meeting
    choice: Choice
    series_choice: Choice | None
    reach: Reach

    @property
    def by_series(self) -> bool:
        """The word in force is that of the series."""
        return self.choice is not self.meeting.override.choice

    @property
    def in_call(self) -> bool:
        return is_in_call(self.meeting)

    @property
    def may_be_covered(self) -> bool:
        """No bot by this copy; a denial would keep those of the others out as well."""
        return self.reach is not Reach.FIXED and not self.meeting.outcome.reason.startswith("vote.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPage:
    """What the page shows; `calendar` is the one whose meetings stand below, None without any.

    `at_risk`: meetings of this page that only want the calendar back, None while it is connected.
    """

    calendars: tuple[Calendar, ...]
    calendar: Calendar | None
    meetings: tuple[OwnMeeting, ...] = ()
    at_risk: int | None = None
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRules:
    """The documents around an entity, and the version of its own (0: it never had any)."""

    scope: Scope
    documents: Documents
    version: int


def admitted(token: str, *, link_secret: Secret, now: datetime) -> OwnPageLink:
    """The link, or CallerError `page_link_unknown` (404), `page_link_expired` (410).

    Whether its entity was erased since is looked up with whatever else is read.
    """
    link = own_page_of(token, link_secret=link_secret)
    if link is None:
        raise refused(LinkRefusal.UNKNOWN)
    if link.expires_at <= now:
        raise refused(LinkRefusal.EXPIRED)
    return link


def refused(refusal: LinkRefusal) -> CallerError:
    return CallerError(refusal.value, "The link opens nothing.", status=STATUS[refusal])


class OwnPages:
    """Reads pages; `link_secret` names the marks of erased entities."""

    def __init__(self, stores: Stores, *, link_secret: Secret) -> None:
        self._stores = stores
        self._link_secret = link_secret

    def page(
        self, link: OwnPageLink, *, calendar_id: str | None, cursor: str | None, now: datetime
    ) -> OwnPage:
        """The calendar asked for, else the one that needs its person most.

        CallerError `page_link_revoked` (410), `calendar_not_found` (404), `cursor_invalid`.
        """
        calendars = self._calendars(link)
        calendar = _chosen(calendars, calendar_id)
        if calendar is None:
            self._settings(link)
            return OwnPage(calendars=calendars, calendar=None)
        page = self._meetings(calendar, cursor=cursor, now=now)
        together = self._settings(link, rows=page.items)
        meetings = _explained(page.items, calendar, together=together, now=now)
        return OwnPage(
            calendars=calendars,
            calendar=calendar,
            meetings=tuple(each for each in meetings if _worth_showing(each, now=now)),
            at_risk=_at_risk(page.items, calendar, together=together, now=now),
            next_cursor=page.next_cursor,
        )

    def calendar(self, link: OwnPageLink, calendar_id: str) -> Calendar:
        """One calendar of the entity's, for changing something about it; errors as of `page`."""
        self._settings(link)
        calendar = self._stores.calendars.get(calendar_id)
        if calendar is None or not calendar.belongs_to(link.tenant_id, link.entity_id):
            raise not_found()
        return calendar

    def rules(self, link: OwnPageLink) -> OwnRules:
        """CallerError `page_link_revoked` (410)."""
        scope = Scope(link.tenant_id, link.entity_id)
        together = self._settings(link)
        default, tenant, entity = (
            together.rules.get(name, {}) for name in scopes_of(link.tenant_id, link.entity_id)
        )
        return OwnRules(
            scope=scope,
            documents=Documents(default=default, tenant=tenant, entity=entity),
            version=together.versions.get(scope.name, 0),
        )

    def _calendars(self, link: OwnPageLink) -> tuple[Calendar, ...]:
        page = self._stores.calendars.find(
            tenant_id=link.tenant_id, entity_id=link.entity_id, limit=CALENDARS_MAX
        )
        return tuple(sorted(page.items, key=_urgency))

    def _meetings(self, calendar: Calendar, *, cursor: str | None, now: datetime) -> Page[Meeting]:
        return self._stores.meetings.of_calendar(
            calendar.calendar_id,
            start=now - LOOK_BACK,
            end=now + LOOK_AHEAD,
            cursor=cursor,
            limit=MEETINGS_A_PAGE,
        )

    def _settings(self, link: OwnPageLink, *, rows: tuple[Meeting, ...] = ()) -> Together:
        """Rules, words on series, and whether the link still opens anything: one request."""
        mark = mark_name(link.tenant_id, link.entity_id, key=self._link_secret)
        together = self._stores.settings.together(
            scopes=scopes_of(link.tenant_id, link.entity_id),
            series={each for row in rows if (each := series_of(row.event)) is not None},
            marks=(mark,),
        )
        erased_at = together.marks.get(mark)
        if erased_at is not None and link.issued_at <= whole_seconds(erased_at):
            raise refused(LinkRefusal.REVOKED)
        return together


def _urgency(calendar: Calendar) -> tuple[bool, datetime, str]:
    return (
        calendar.status is not CalendarStatus.DISCONNECTED,
        calendar.created_at,
        calendar.calendar_id,
    )


def _chosen(calendars: tuple[Calendar, ...], calendar_id: str | None) -> Calendar | None:
    if calendar_id is None:
        return next(iter(calendars), None)
    found = next((each for each in calendars if each.calendar_id == calendar_id), None)
    if found is None:
        raise not_found()
    return found


def _explained(
    rows: tuple[Meeting, ...], calendar: Calendar, *, together: Together, now: datetime
) -> tuple[OwnMeeting, ...]:
    """By the functions that decide; the outcome of the last vote stands, as in the API's lists."""
    rules = rules_from(together.rules, scopes_of(calendar.tenant_id, calendar.entity_id))
    around = Surroundings(calendar=calendar, rules=rules, copies=None, now=now)
    return tuple(_meeting(row, around, together=together) for row in rows)


def _meeting(row: Meeting, around: Surroundings, *, together: Together) -> OwnMeeting:
    series = series_of(row.event)
    words = together.series.get(series, UNSAID) if series else UNSAID
    around = replace(around, series=words)
    meeting = explained(row, around)
    said = words.override.choice if words.override else Choice.AUTO
    return OwnMeeting(
        meeting=meeting,
        choice=choice_of(row, around),
        series_choice=said if series else None,
        reach=reach_of(meeting, now=around.now),
    )


def _worth_showing(shown: OwnMeeting, *, now: datetime) -> bool:
    event = shown.meeting.event
    return event.end > now and not (event.deleted or event.all_day)


def _at_risk(
    rows: tuple[Meeting, ...], calendar: Calendar, *, together: Together, now: datetime
) -> int | None:
    """What would be joined if the calendar were connected."""
    if calendar.status is not CalendarStatus.DISCONNECTED:
        return None
    connected = replace(calendar, status=CalendarStatus.CONNECTED)
    shown = _explained(rows, connected, together=together, now=now)
    return sum(each.meeting.outcome.join for each in shown if _worth_showing(each, now=now))
