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

# An entity's own page, and the opt-out of somebody invited.
PEOPLE: Final = {
    "own.title": "My meetings",
    "own.lead": "Which of your meetings get a bot, and why.",
    "own.nav": "My pages",
    "own.nav.meetings": "Meetings",
    "own.nav.rules": "My rules",
    "own.back": "Back to my meetings",
    "own.calendars": "Calendars",
    "own.calendar.unnamed": "Calendar",
    "own.status.connected": "Connected",
    "own.status.connecting": "Connecting…",
    "own.status.disconnected": "Disconnected",
    "own.shown": "Shown below",
    "own.show": "Show",
    "own.disconnect": "Disconnect",
    "own.reconnect": "Reconnect",
    "own.cut_off.title": "{name} is disconnected.",
    "own.cut_off.none": "Its meetings get no bot until it is connected again.",
    "own.cut_off.one": "1 meeting is at risk: it gets no bot until you connect again.",
    "own.cut_off.some": "{count} meetings are at risk: they get no bot until you connect again.",
    "own.cut_off.more": (
        "{count} or more meetings are at risk: they get no bot until you connect again."
    ),
    "own.cut_off.elsewhere": (
        "The account of this calendar is not known, so it is connected again where you first "
        "connected it."
    ),
    "own.connecting": (
        "This calendar is being read for the first time. Its meetings appear here in a moment."
    ),
    "own.none.title": "No calendar is connected",
    "own.none": "Connect one in the product that sent you here; then your meetings appear.",
    "own.empty.title": "No meetings in the next four weeks",
    "own.empty": "When something is put into this calendar, it appears here.",
    "own.empty_page.title": "Nothing more to decide on this page",
    "own.zone": "Times in {zone}.",
    "own.zone.own": "Times in your own time zone.",
    "own.choice": "Bot for {title}",
    "own.choice.series": "Bot for the whole series of {title}",
    "own.series": "Whole series",
    "own.series.hint": "For every meeting of this series that has no choice of its own.",
    "own.by_series.on": "Switched on for the whole series.",
    "own.by_series.off": "Switched off for the whole series.",
    "own.late": "The bot has set off already. Off asks it to leave.",
    "own.in_call": "The bot is in the call. Off asks it to leave.",
    "own.leaving": "Asking the bot to leave. It can take a minute.",
    "own.left": "The bot has left the call.",
    "own.fixed": "This cannot be changed here.",
    "own.covered": "Already covered: one bot serves everybody in this meeting.",
    "own.others": "Somebody else in this meeting may still bring a bot.",
    "own.now": "Now",
    "own.until": "This link works until",
    "own.form_stale": "The form does not belong to this page, so nothing was changed.",
    "own.not_reconnectable": "This calendar is connected.",
    "own.done.occurrence.on": "Switched on for this meeting.",
    "own.done.occurrence.off": "Switched off for this meeting.",
    "own.done.occurrence.auto": "Your rules decide about this meeting again.",
    "own.done.series.on": "Switched on for the whole series.",
    "own.done.series.off": "Switched off for the whole series.",
    "own.done.series.auto": "Your rules decide about this series again.",
    "own.done.not_granted": (
        "Your choice is kept, but no bot will join: the reason stands beside the meeting."
    ),
    "own.done.disconnected": "The calendar is disconnected, and its bots are cancelled.",
    "own.done.reconnected": "The calendar is connected again. It is being read now.",
    "own.disconnect.title": "Disconnect {name}?",
    "own.disconnect.lead": "This is what happens:",
    "own.disconnect.reading": "We stop reading this calendar at once.",
    "own.disconnect.bots": "Bots scheduled for its meetings are cancelled.",
    "own.disconnect.rows": "What we stored of its meetings is deleted.",
    "own.disconnect.google_calendar": "Our access to your Google account is taken back.",
    "own.disconnect.microsoft_outlook": (
        "Microsoft keeps the permission on your list of apps; you can remove it there as well."
    ),
    "own.disconnect.recordings": "Recordings made before stay where they are.",
    "own.disconnect.keep": "Keep it connected",
    "own.rules.title": "My rules",
    "own.rules.lead": "They decide wherever you made no choice for a meeting or a series.",
    "own.rules.saved": "Your rules are saved. Your meetings are being decided anew.",
    "own.rules.wrong": "Something cannot be saved as it is.",
    "own.rules.locked": "Your organization decides this, so it cannot be changed here.",
    "own.rules.own": "Your own setting",
    "own.rules.preview": "See what changes",
    "own.rules.base": "Which meetings should get a bot?",
    "own.rules.base.all": "All meetings",
    "own.rules.base.external": "Meetings with people from outside",
    "own.rules.base.internal": "Meetings among our own people",
    "own.rules.base.organizer": "Meetings that I organize",
    "own.rules.base.off": "None, unless I switch it on",
    "own.rules.rsvp": "Depending on my answer to the invitation",
    "own.rules.rsvp.any": "Whatever I answered, even when I declined",
    "own.rules.rsvp.not_declined": "Unless I declined",
    "own.rules.rsvp.tentative_or_accepted": "Only when I accepted, or maybe",
    "own.rules.rsvp.accepted": "Only when I accepted",
    "own.rules.recurrence": "Meetings that repeat",
    "own.rules.recurrence.any": "Repeating and single meetings",
    "own.rules.recurrence.recurring": "Only meetings that repeat",
    "own.rules.recurrence.one_off": "Only single meetings",
    "own.rules.min_others": "People besides me, at least",
    "own.rules.min_others.help": "1 leaves out time that you blocked for yourself.",
    "own.rules.include.keywords": "Always, when the title says",
    "own.rules.include.keywords.help": (
        "One word or phrase a line. A * at the end stands for any ending: demo*."
    ),
    "own.rules.exclude.keywords": "Never, when the title says",
    "own.rules.exclude.keywords.help": "One word or phrase a line, such as 1:1 or interview.",
    "own.rules.exclude.people": "Never, when these people are invited",
    "own.rules.exclude.people.help": "One e-mail address a line.",
    "own.rules.problem.choice": "Choose one of these.",
    "own.rules.problem.number": "A whole number from 0 to 10000.",
    "own.rules.problem.base": "Choose one of these.",
    "own.rules.problem.rsvp": "Choose one of these.",
    "own.rules.problem.recurrence": "Choose one of these.",
    "own.rules.problem.min_others": "A whole number from 0 to 10000.",
    "own.rules.problem.include.keywords": (
        "At most 200 lines with at most 100 characters; each needs a letter or a digit, and a * "
        "may only stand at the end."
    ),
    "own.rules.problem.exclude.keywords": (
        "At most 200 lines with at most 100 characters; each needs a letter or a digit, and a * "
        "may only stand at the end."
    ),
    "own.rules.problem.exclude.people": "At most 500 lines, each with one e-mail address.",
    "own.preview.title": "What these rules change",
    "own.preview.same": "Nothing was changed in the form.",
    "own.preview.nothing": "No meeting of the next four weeks is decided differently.",
    "own.preview.large": (
        "There are too many meetings to show the difference here. The rules can be saved."
    ),
    "own.preview.added": "More bots",
    "own.preview.removed": "Fewer bots",
    "own.preview.changed": "Bots that change",
    "own.preview.unchanged": "Unchanged",
    "own.preview.next": "First change",
    "own.preview.comes": "Will join from now on",
    "own.preview.goes": "Won't join any more",
    "own.preview.others": "and {count} more",
    "own.preview.save": "Save these rules",
    "own.preview.edit": "Change them again",
    "opt_out.title": "Keep the bot out of this meeting",
    "opt_out.title.series": "Keep the bot out of these meetings",
    "opt_out.title.out": "No bot will join",
    "opt_out.reach.occurrence": "This meeting only",
    "opt_out.reach.series": "Every meeting of this series",
    "opt_out.lead": (
        "You are invited, and somebody's bot may join to record or take notes. If you opt out:"
    ),
    "opt_out.what.occurrence": "No bot joins this meeting, whatever its organizer has set.",
    "opt_out.what.series": (
        "No bot joins any meeting of this series, whatever its organizer has set."
    ),
    "opt_out.what.leave": "A bot that is in the call already is asked to leave.",
    "opt_out.what.told": (
        "Others see that somebody invited has opted out. Your name is not shown or kept."
    ),
    "opt_out.what.limits": (
        "It covers the bots of this service alone, not recordings that people make themselves."
    ),
    "opt_out.what.back": "With this same link you can take it back.",
    "opt_out.button": "Opt out",
    "opt_out.button.back": "Take it back",
    "opt_out.is_out": (
        "You have opted out. No bot will join, and one in the call is asked to leave."
    ),
    "opt_out.is_out.series": (
        "You have opted out of every meeting of this series. No bot will join them."
    ),
    "opt_out.is_back": "Taken back. Whether a bot joins is up to the meeting's owner again.",
    "opt_out.over": "This meeting is over, so there is nothing left to decide.",
}

# The page before a provider's consent.
CONNECT: Final = {
    "connect.title": "Connect your {provider}",
    "connect.title.again": "Connect your {provider} again",
    "connect.account": "It has to be this account:",
    "connect.lead": (
        "So that a bot can join your meetings, we need to see when they take place. Next, "
        "{company} asks you for permission."
    ),
    "connect.read.title": "What we read",
    "connect.read.events": "Your events: titles, times, descriptions and meeting links",
    "connect.read.people": "Who is invited, and who accepted",
    "connect.read.account": "The e-mail address of the account",
    "connect.not.title": "What we do not",
    "connect.not.change": "We never change, add or delete anything in your calendar",
    "connect.not.mail": "We see no e-mail, no files and no contacts",
    "connect.not.password": "We never see your password",
    "connect.stop.title": "How to stop",
    "connect.stop": (
        "Disconnect at any time where you connected: reading ends at once and scheduled bots are "
        "cancelled. You can also withdraw the permission in the settings of your {company} "
        "account."
    ),
    "connect.go": "Continue to {company}",
    "connect.once": "The link works once and for an hour; only this browser can finish.",
    "company.google_calendar": "Google",
    "company.microsoft_outlook": "Microsoft",
    "connect.failed.title": "The calendar was not connected",
    "connect.later": "This did not work just now. Nothing is lost.",
    "connect.later.next": "Please reload the page in a moment.",
    "connect.operator": "This service needs its operator.",
    "connect.operator.next": (
        "Trying again will not help now. Please tell whoever sent you here, with the code below."
    ),
}

# Why something did not work: a heading, what happened, and what to do next.
_AGAIN: Final = "Go back to where you started and press “Connect” once more."
_ASK: Final = "Ask whoever sent it to you for a new one."
REFUSED: Final = {
    "refused.link_unknown.title": "This link is not one of ours",
    "refused.link_unknown": "Perhaps it was cut off when it was copied.",
    "refused.link_unknown.next": "Open it again from where you got it, or ask for a new one.",
    "refused.link_used.title": "This link was already used",
    "refused.link_used": "A link to connect a calendar works once, and in one browser.",
    "refused.link_used.next": (
        "If your calendar is connected, there is nothing left to do. If not: " + _AGAIN
    ),
    "refused.link_expired.title": "This link has expired",
    "refused.link_expired": "A link to connect a calendar works for one hour.",
    "refused.link_expired.next": _AGAIN,
    "refused.state_unknown.title": "We do not know this connection",
    "refused.state_unknown": "Your provider's answer belongs to no connection that was begun here.",
    "refused.state_unknown.next": _AGAIN,
    "refused.state_expired.title": "That took too long",
    "refused.state_expired": "The permission came more than ten minutes after it was asked for.",
    "refused.state_expired.next": _AGAIN,
    "refused.state_replayed.title": "This answer was already used",
    "refused.state_replayed": "The page was probably loaded twice, or opened from the history.",
    "refused.state_replayed.next": (
        "If your calendar is connected, there is nothing left to do. If not: " + _AGAIN
    ),
    "refused.wrong_browser.title": "Another browser began this",
    "refused.wrong_browser": (
        "For your protection a connection ends in the browser that began it, with its cookies on."
    ),
    "refused.wrong_browser.next": "Go back to where you started, and stay in that browser.",
    "refused.platform_mismatch.title": "The wrong provider answered",
    "refused.platform_mismatch": "The answer came from another provider than the one asked.",
    "refused.platform_mismatch.next": _AGAIN,
    "refused.issuer_mismatch.title": "The wrong provider answered",
    "refused.issuer_mismatch": "The answer names another provider than the one asked.",
    "refused.issuer_mismatch.next": _AGAIN,
    "refused.consent_refused.title": "You did not give permission",
    "refused.consent_refused": "So nothing was connected, and nothing was read.",
    "refused.consent_refused.next": (
        "If that was a mistake, connect once more and choose “Allow”. Some companies require "
        "that an administrator allows it first."
    ),
    "refused.provider_error.title": "Your provider could not finish",
    "refused.provider_error": "It reported a problem instead of the permission.",
    "refused.provider_error.next": "Wait a minute. " + _AGAIN,
    "refused.scope_missing.title": "The box for the calendar was not ticked",
    "refused.scope_missing": "Without permission to see the calendar no meeting can be found.",
    "refused.scope_missing.next": "Connect once more, and leave the box for the calendar ticked.",
    "refused.refresh_token_missing.title": "The permission does not last",
    "refused.refresh_token_missing": "Your provider gave access for a moment only.",
    "refused.refresh_token_missing.next": _AGAIN,
    "refused.account_mismatch.title": "That was another account",
    "refused.account_mismatch": "A calendar is connected again with the account that it had.",
    "refused.account_mismatch.next": "Connect once more, and choose the account it names.",
    "refused.grant_invalid.title": "The permission is no longer valid",
    "refused.grant_invalid": "It was withdrawn or has run out before it could be used.",
    "refused.grant_invalid.next": _AGAIN,
    "refused.recall_refused.title": "The recording service said no",
    "refused.recall_refused": "It did not accept this calendar.",
    "refused.recall_refused.next": "Please tell whoever sent you here, with the code below.",
    "refused.completion_code_invalid.title": "The connection could not be finished",
    "refused.completion_code_invalid": "The code in the address is not the one we gave out.",
    "refused.completion_code_invalid.next": _AGAIN,
    "refused.session_not_found.title": "We do not know this connection",
    "refused.session_not_found": "It was begun too long ago, or not here.",
    "refused.session_not_found.next": _AGAIN,
    "refused.session_expired.title": "That took too long",
    "refused.session_expired": "The permission was not used within five minutes.",
    "refused.session_expired.next": _AGAIN,
    "refused.consent_pending.title": "There is no permission yet",
    "refused.consent_pending": "Your provider's page was left before it was finished.",
    "refused.consent_pending.next": _AGAIN,
    "refused.page_link_unknown.title": "This link is not one of ours",
    "refused.page_link_unknown": "Perhaps it was cut off when it was copied.",
    "refused.page_link_unknown.next": "Open it again from where you got it, or ask for a new one.",
    "refused.page_link_expired.title": "This link has expired",
    "refused.page_link_expired": "Links to these pages work for a limited time.",
    "refused.page_link_expired.next": _ASK,
    "refused.page_link_revoked.title": "This link shows nothing any more",
    "refused.page_link_revoked": "What it led to was erased on request.",
    "refused.page_link_revoked.next": "There is nothing left to do.",
    "refused.calendar_not_found.title": "This calendar is gone",
    "refused.calendar_not_found": "It was disconnected, or it belongs to somebody else.",
    "refused.calendar_not_found.next": "Nothing was changed.",
    "refused.meeting_not_found.title": "This meeting is gone",
    "refused.meeting_not_found": "It was deleted, is long over, or its calendar was disconnected.",
    "refused.meeting_not_found.next": "Nothing was changed, and there is nothing left to do.",
    "refused.not_reconnectable.title": "This calendar needs no new connection",
    "refused.not_reconnectable": "It is connected, or was when we looked last.",
    "refused.not_reconnectable.next": "Nothing was changed.",
    "refused.series_missing.title": "This meeting does not repeat any more",
    "refused.series_missing": "So there is no series to decide about.",
    "refused.series_missing.next": "Nothing was changed. Decide about the meeting itself.",
    "refused.rules_changed.title": "Your rules were changed meanwhile",
    "refused.rules_changed": "Somebody saved others after you looked.",
    "refused.rules_changed.next": "Nothing was saved. Look at the rules again and change them.",
    "refused.rules_locked.title": "Your organization decides this now",
    "refused.rules_locked": "A setting was locked after you looked.",
    "refused.rules_locked.next": "Nothing was saved. Look at the rules again and change them.",
    "refused.form_stale.title": "The form does not belong to this page",
    "refused.form_stale": "It was sent from elsewhere, or the page is of another link.",
    "refused.form_stale.next": "Nothing was changed. Open the page again and use its own form.",
    "refused.cursor_invalid.title": "This part of the list is gone",
    "refused.cursor_invalid": "The list has changed since the page was opened.",
    "refused.cursor_invalid.next": "Start again from the top.",
}

TEXTS: Final = {**SHARED, **REASONS, **CONSOLE, **PEOPLE, **CONNECT, **REFUSED}
