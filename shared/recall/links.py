"""Meeting links in a provider's own payload: what an event holds where Recall found no link.

Recall reads none that a mail system wrapped in a redirect. Nothing here asks the network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final
from urllib.parse import unquote

from shared.domain.room import PLATFORMS, platform_of
from shared.recall.reading import Fields, mapping, mappings

# Whoever invites writes the body, so reading it has an end.
TEXT_CHARACTERS_MAX: Final = 100_000
LINKS_MAX: Final = 200
LINK_CHARACTERS_MAX: Final = 4_000
ENTRIES_MAX: Final = 20
WRAPPED_MAX: Final = 3

_LINK = re.compile(r"https?://[^\s\"'<>]+", re.IGNORECASE)
_START = re.compile(r"https?://", re.IGNORECASE)


def candidate_links(raw: Fields) -> tuple[str, ...]:
    """Links of supported platforms: the conference's own first, then by PLATFORMS.

    Links that a redirect wraps stand as they are, wrapping included.
    """
    own = [link for link in _conference(raw) if _platform(link)]
    written = [(link, _platform(link)) for link in islice(_written(raw), LINKS_MAX)]
    ranked = sorted(
        (PLATFORMS.index(platform), place, link)
        for place, (link, platform) in enumerate(written)
        if platform
    )
    return tuple(dict.fromkeys([*own, *(link for _, _, link in ranked)]))


def _conference(raw: Fields) -> list[str]:
    """Google's video entries and its own link, Microsoft's online meeting."""
    entries = mappings(mapping(raw.get("conferenceData")).get("entryPoints"))[:ENTRIES_MAX]
    found = [
        *(entry.get("uri") for entry in entries if entry.get("entryPointType") == "video"),
        raw.get("hangoutLink"),
        mapping(raw.get("onlineMeeting")).get("joinUrl"),
        raw.get("onlineMeetingUrl"),
    ]
    return [link[:LINK_CHARACTERS_MAX] for link in found if isinstance(link, str)]


def _written(raw: Fields) -> Iterator[str]:
    for text in _texts(raw):
        for found in _LINK.finditer(text[:TEXT_CHARACTERS_MAX]):
            yield html.unescape(found[0][:LINK_CHARACTERS_MAX])


def _texts(raw: Fields) -> Iterator[str]:
    places = [mapping(raw.get("location")), *mappings(raw.get("locations"))[:ENTRIES_MAX]]
    found = [
        raw.get("location"),
        *(place.get(key) for place in places for key in ("displayName", "locationUri")),
        raw.get("description"),
        mapping(raw.get("body")).get("content"),
    ]
    return (text for text in found if isinstance(text, str))


def _platform(link: str) -> str | None:
    """Of the link, or of one that stands in it: many mail systems wrap, each in its own way."""
    known = platform_of(link)
    if known:
        return known
    decoded = unquote(unquote(link))
    starts = islice(_START.finditer(decoded, 1), WRAPPED_MAX)
    inner = (platform_of(decoded[start.start() :]) for start in starts)
    return next((platform for platform in inner if platform), None)
