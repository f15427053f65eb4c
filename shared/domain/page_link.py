"""Links that open a page without a sign-in: an entity's own page, and an invitee's opt-out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from shared.domain.secret import Secret
from shared.domain.signed import is_seal_of, open_signed, seal_of, sign

OWN_PAGE: Final = "own-page"
OPT_OUT: Final = "opt-out"
FORM: Final = "own-page-form"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YES: Final = "1"


class LinkRefusal(StrEnum):
    """Why a link opens nothing; `page_link_revoked`: its entity was erased after it was made."""

    UNKNOWN = "page_link_unknown"
    EXPIRED = "page_link_expired"
    REVOKED = "page_link_revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPageLink:
    """Opens the page of one entity; `embed`: the page may stand in a frame of the host's.

    `connect`: whoever holds it may connect further accounts for the entity.
    """

    tenant_id: str
    entity_id: str
    issued_at: datetime
    expires_at: datetime
    embed: bool = False
    connect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutLink:
    """Lets somebody invited keep the bot out of one meeting, or of its whole series."""

    calendar_id: str
    event_id: str
    series: bool
    expires_at: datetime


def own_page_token(link: OwnPageLink, *, link_secret: Secret) -> Secret:
    facts = {
        "t": link.tenant_id,
        "e": link.entity_id,
        "i": _text(link.issued_at),
        "x": _text(link.expires_at),
        **({"f": _YES} if link.embed else {}),
        **({"n": _YES} if link.connect else {}),
    }
    return sign(facts, purpose=OWN_PAGE, link_secret=link_secret, expires_at=link.expires_at)


def own_page_of(token: str, *, link_secret: Secret) -> OwnPageLink | None:
    """The link behind a token, expired ones included; None for one that we never gave out."""
    facts = open_signed(token, purpose=OWN_PAGE, link_secret=link_secret, now=_EPOCH)
    if facts is None:
        return None
    return OwnPageLink(
        tenant_id=facts["t"],
        entity_id=facts["e"],
        issued_at=_moment(facts["i"]),
        expires_at=_moment(facts["x"]),
        embed=facts.get("f") == _YES,
        connect=facts.get("n") == _YES,
    )


def opt_out_token(link: OptOutLink, *, link_secret: Secret) -> Secret:
    facts = {
        "c": link.calendar_id,
        "m": link.event_id,
        "x": _text(link.expires_at),
        **({"s": _YES} if link.series else {}),
    }
    return sign(facts, purpose=OPT_OUT, link_secret=link_secret, expires_at=link.expires_at)


def opt_out_of(token: str, *, link_secret: Secret) -> OptOutLink | None:
    """As `own_page_of`."""
    facts = open_signed(token, purpose=OPT_OUT, link_secret=link_secret, now=_EPOCH)
    if facts is None:
        return None
    return OptOutLink(
        calendar_id=facts["c"],
        event_id=facts["m"],
        series=facts.get("s") == _YES,
        expires_at=_moment(facts["x"]),
    )


def form_seal(token: str, *, form: str, link_secret: Secret) -> str:
    """What a form of the page behind `token` carries, so that only the page itself can send it."""
    return seal_of(f"{form}\n{token}", purpose=FORM, link_secret=link_secret)


def is_form_seal(seal: str, token: str, *, form: str, link_secret: Secret) -> bool:
    """Compared in constant time."""
    return is_seal_of(seal, f"{form}\n{token}", purpose=FORM, link_secret=link_secret)


def whole_seconds(moment: datetime) -> datetime:
    """What a token keeps of a moment."""
    return moment.replace(microsecond=0)


def _text(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
