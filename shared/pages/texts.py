"""Every text of every page, in English, by key: the one file to translate.

Placeholders are those of `str.format`. Templates ask with `t("key", name=value)`.
"""

from __future__ import annotations

from typing import Final


def text(key: str, **values: object) -> str:
    """The text of a key; a key that does not exist is a KeyError, so that a test finds it."""
    found = TEXTS[key]
    return found.format(**values) if values else found


SHARED: Final = {
    "product": "Rollcall",
    "skip": "Skip to content",
    "pages": "Pages",
    "next_page": "Next page",
    "will_join": "Will join",
    "wont_join": "Won't join",
    "because": "because",
    "on": "On",
    "auto": "Auto",
    "off": "Off",
    "cancel": "Cancel",
    "copy": "Copy",
    "copied": "Copied",
    "untitled": "Untitled meeting",
    "span.seconds": "{count} s",
    "span.minutes": "{count} min",
    "span.hours": "{count} h",
    "span.days": "{count} days",
    "platform.google_calendar": "Google Calendar",
    "platform.microsoft_outlook": "Outlook Calendar",
    "error.title": "This did not work",
    "error.unknown.title": "There is no such page",
    "error.unknown": "The address may be mistyped, or what it showed is gone.",
    "error.later.title": "Not just now",
    "error.later": "A part of the service is busy. Nothing was changed; try again in a moment.",
    "error.operator": "The service needs its operator. The log tells what is wrong.",
    "error.bug": "This is our mistake, and it was written to the log.",
    "error.cross_site": (
        "The form was sent from another site, so nothing was changed. Open the page again and "
        "use its own form."
    ),
}

# "Will join, because ..." / "Won't join, because ...": one per code of shared.domain.decision.
REASONS: Final = {
    "reason.ineligible.deleted": "the event was deleted",
    "reason.ineligible.cancelled": "the meeting was cancelled",
    "reason.ineligible.all_day": "it is an all-day event",
    "reason.ineligible.ended": "the meeting is over",
    "reason.ineligible.horizon": "it is further ahead than bots are scheduled",
    "reason.ineligible.no_link": "the event has no meeting link",
    "reason.ineligible.link_in_body": "its link is written in a form that cannot be read",
    "reason.ineligible.unsupported_link": "bots cannot join meetings of this platform",
    "reason.ineligible.calendar_disconnected": "the calendar is disconnected",
    "reason.ineligible.paused": "recording is paused",
    "reason.denied.person": "somebody is invited who must not be recorded",
    "reason.denied.domain": "a company is invited that must not be recorded",
    "reason.denied.keyword": "meetings with this title must not be recorded",
    "reason.denied.organizer_domain": "the organizer's company must not be recorded",
    "reason.denied.platform": "meetings of this platform must not be recorded",
    "reason.denied.private": "the meeting is private",
    "reason.denied.opt_out": "somebody invited has opted out",
    "reason.override.on": "somebody switched it on",
    "reason.override.off": "somebody switched it off",
    "reason.rsvp": "the invitation is not answered as the rules ask",
    "reason.excluded.keyword": "its title is on the list to leave out",
    "reason.excluded.person": "somebody invited is on the list to leave out",
    "reason.excluded.domain": "a company invited is on the list to leave out",
    "reason.included.keyword": "its title is on the list to join",
    "reason.included.person": "somebody invited is on the list to join",
    "reason.included.domain": "a company invited is on the list to join",
    "reason.audience_unknown": "its guest list is hidden, and the rules depend on it",
    "reason.base.off": "only meetings chosen by a rule or a person are joined",
    "reason.base.all": "all meetings are joined",
    "reason.base.external": "of whether people from outside are invited",
    "reason.base.internal": "of whether everybody invited is from inside",
    "reason.base.organizer": "of who organizes it",
    "reason.bounds.min_others": "too few other people are invited",
    "reason.bounds.attendees": "too few or too many people are invited",
    "reason.bounds.duration": "it is too short or too long",
    "reason.bounds.hours": "it starts outside the hours",
    "reason.bounds.recurrence": "of whether it repeats",
    "reason.vote.organizer_first": "the organizer's copy of the meeting wants no bot",
    "reason.vote.all_agree": "not every copy of the meeting wants a bot",
    "reason.vote.denied": "somebody else's copy of the meeting must not be recorded",
    "reason.vote.veto": "somebody else in the meeting switched it off",
    "reason.budget": "the Recall workspace has no credit left",
}

CONSOLE: Final = {
    "console.nav": "Console",
    "console.nav.overview": "Overview",
    "console.nav.calendars": "Calendars",
    "console.nav.rules": "Rules",
    "console.nav.repair": "Repair",
    "console.nav.account": "Keys",
    "console.sign_in": "Sign in",
    "console.sign_in.key": "API key",
    "console.sign_in.help": "A key with the scope “read” shows; “write” and “admin” change.",
    "console.sign_in.lead": "The console shows what every calendar's bot will do, and why.",
    "console.sign_out": "Sign out",
    "console.key_refused": "This API key is unknown or was revoked.",
    "console.key_unreadable": "This API key lacks the scope “read”, so it shows nothing here.",
    "console.session_over": "The session is over. Sign in again.",
    "console.form_stale": (
        "The form belongs to another session, so nothing was changed. Open the page again."
    ),
    "console.scope_missing": "Your API key lacks the scope “{scope}”. Nothing was changed.",
    "overview.title": "Overview",
    "overview.well": "All is well",
}

TEXTS: Final = {**SHARED, **REASONS, **CONSOLE}
