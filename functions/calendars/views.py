"""Values as the JSON of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.calendar import Calendar, Platform
from shared.domain.coverage import DAY, WEEK, Coverage, coverage_between
from shared.domain.feed import Feed
from shared.domain.meeting import Assignment, Meeting
from shared.domain.moment import moment_text
from shared.domain.redecision import Redecision
from shared.domain.rotation import Walk
from shared.flows.dead_letters import ShownLetter
from shared.flows.meetings import ShownMeeting
from shared.flows.preview import Preview
from shared.storage import RulesVersion

Json = dict[str, object]


def calendar_view(calendar: Calendar) -> Json:
    return {
        "calendar_id": calendar.calendar_id,
        "tenant_id": calendar.tenant_id,
        "entity_id": calendar.entity_id,
        "platform": calendar.platform.value,
        "email": calendar.email,
        "status": calendar.status.value,
        "status_reason": calendar.status_reason,
        "metadata": dict(calendar.metadata),
        "created_at": moment_text(calendar.created_at),
        "updated_at": moment_text(calendar.updated_at),
    }


def meeting_view(shown: ShownMeeting) -> Json:
    """`platform` is the calendar's, as everywhere in the API."""
    event = shown.meeting.event
    decision = shown.meeting.outcome
    return {
        "calendar_id": event.calendar_id,
        "event_id": event.event_id,
        "title": event.title,
        "start_time": moment_text(event.start),
        "end_time": moment_text(event.end),
        "meeting_url": event.meeting_url,
        "platform": event.platform.value,
        "series_id": event.series_id,
        "decision": {"join": decision.join, "reason": decision.reason, "rule": decision.rule},
        "override": shown.override.value,
        "bot": _bot_view(shown.meeting.assignment),
    }


def set_aside_view(meeting: Meeting) -> Json:
    """Without title or people: whoever may know those asks for the meeting."""
    event = meeting.event
    return {
        "calendar_id": event.calendar_id,
        "event_id": event.event_id,
        "start_time": moment_text(event.start),
        "reason": meeting.problem,
        "detail": meeting.problem_detail,
        "attempts": meeting.attempts,
        "set_aside_at": None if meeting.problem_at is None else moment_text(meeting.problem_at),
    }


def letter_view(letter: ShownLetter, *, now: datetime) -> Json:
    return {
        "message_id": letter.message_id,
        "type": letter.type,
        "group": letter.group,
        "reason": letter.reason,
        "receives": letter.receives,
        "redriven": letter.redriven,
        "sent_at": moment_text(letter.sent_at),
        "age_seconds": _seconds(now - letter.sent_at),
    }


def coverage_view(document: Mapping[str, Any] | None, *, now: datetime) -> Json:
    """By UTC days: today so far, the last whole day, and the last seven whole days."""
    today = now.astimezone(UTC).date()
    yesterday, week_ago = today - DAY, today - WEEK * DAY
    return {
        "counted_at": document["counted_at"] if document else None,
        "today": _figures(coverage_between(document, first=today, last=today)),
        "last_day": _figures(coverage_between(document, first=yesterday, last=yesterday)),
        "last_7_days": _figures(coverage_between(document, first=week_ago, last=yesterday)),
    }


def _figures(coverage: Coverage) -> Json:
    return {
        "should_have_joined": coverage.should_have_joined,
        "joined": coverage.joined,
        "missed": coverage.missed,
        "ratio": coverage.ratio,
    }


def feed_view(feed: Feed, *, now: datetime) -> Json:
    """How old the cursor is, in seconds, and when the last sweep began."""
    return {
        "cursor_age_seconds": None if feed.cursor is None else _seconds(now - feed.cursor),
        "last_sweep_at": None if feed.swept_at is None else moment_text(feed.swept_at),
    }


def rules_version_view(version: RulesVersion) -> Json:
    return {
        "version": version.version,
        "rules": version.document,
        "set_by": version.set_by,
        "set_at": None if version.set_at is None else moment_text(version.set_at),
    }


def preview_view(preview: Preview) -> Json:
    return {
        "added": [meeting_view(shown) for shown in preview.added],
        "removed": [meeting_view(shown) for shown in preview.removed],
        "changed": [meeting_view(shown) for shown in preview.changed],
        "unchanged": [meeting_view(shown) for shown in preview.unchanged],
    }


def redecision_view(job: Redecision | None) -> Json | None:
    """How far the last change of rules has reached; None when rules were never put."""
    if job is None:
        return None
    return {
        "scope": job.scope,
        "version": job.version,
        "started_at": moment_text(job.started_at),
        "meetings_seen": job.meetings_seen,
        "meetings_changed": job.meetings_changed,
        "finished_at": None if job.finished_at is None else moment_text(job.finished_at),
    }


def rotation_view(platform: Platform, walk: Walk) -> Json:
    """How far a client secret's rotation has come; nothing of the secret."""
    return {
        "platform": platform.value,
        "step": walk.step.value,
        "calendars": walk.total,
        "given": walk.given,
        "connected": walk.connected,
        "failed": dict(walk.failed),
        "lost": dict(walk.lost),
        "started_at": moment_text(walk.started_at),
        "moved_at": _moment_text(walk.moved_at),
        "stale_until": _moment_text(walk.stale_until),
        "finished_at": _moment_text(walk.finished_at),
    }


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment_text(moment)


def _bot_view(assignment: Assignment | None) -> Json | None:
    if assignment is None:
        return None
    return {
        "bot_id": assignment.bot_id,
        "state": assignment.state,
        "deduplication_key": assignment.deduplication_key,
        "join_at": moment_text(assignment.join_at),
    }


def _seconds(age: timedelta) -> int:
    return max(0, int(age.total_seconds()))
