"""Connecting a calendar: a one-use link, the provider's consent, and the host's completion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.calendar import Calendar, Platform
from shared.domain.connect import (
    CODE_LIFE,
    LINK_LIFE,
    REDEEMING_LIFE,
    STATE_LIFE,
    WAITING_LIFE,
    WRONG_CODES_MAX,
    ConnectSession,
    ConnectStatus,
    return_url_refusal,
)
from shared.domain.link import (
    CHANCE_BYTES,
    SESSION_ID,
    SESSION_ID_BYTES,
    SESSION_PREFIX,
    code_verifier,
    hashed,
    link_token,
    matches,
    new_state,
    session_of_link,
    session_of_state,
    with_query,
)
from shared.domain.refusal import SENTENCES, Refusal
from shared.domain.secret import Secret
from shared.errors import CallerError, PermanentError, RollcallError, TransientError
from shared.flows.calendars import existing
from shared.flows.doors import CalendarDoors
from shared.flows.landing import Arrival, Landed, land
from shared.observability import Log
from shared.providers import (
    answer_from,
    authorize_location,
    code_challenge,
    granted_calendar,
)
from shared.providers.clients import OAuthClients
from shared.providers.door import Grant
from shared.recall.errors import Refused
from shared.secrets import Seal, SecretStore
from shared.storage import Conflict, SessionStore

CODE_LENGTH_MAX = 8192
BUSY_SECONDS = 2.0
_CODE = re.compile(r"[\x20-\x7e]+")
REFUSED_SESSION_STATUS = 409
WRONG_CODE_STATUS = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserDoors:
    """What the browser's half needs; `chance` gives url-safe text of so many random bytes."""

    sessions: SessionStore
    clients: OAuthClients
    secrets: SecretStore
    seal: Seal
    public_url: str
    chance: Callable[[int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectDoors:
    """The whole of it; `allow_unconfirmed`: a session may finish without `complete`."""

    browser: BrowserDoors
    calendar: CalendarDoors
    log: Log
    return_urls: tuple[str, ...] = ()
    allow_unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """Body of POST /v1/connect-sessions; `calendar_id` makes it a link to reconnect."""

    tenant_id: str
    entity_id: str
    platform: Platform
    return_url: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    confirm: bool = True
    calendar_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Where the browser goes next, and the cookie it takes along."""

    location: str = field(repr=False)
    cookie: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPage:
    """A plain page, where no return address can be trusted."""

    refusal: Refusal
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """The query of a callback; `scope` is Google's hint of what was ticked."""

    state: str = field(repr=False)
    code: str = field(repr=False)
    error: str | None
    issuer: str | None
    scope: str | None


# The host's side: start and complete.


def start(doors: ConnectDoors, request: ConnectRequest, *, now: datetime) -> ConnectSession:
    """A session with a link of one hour; nothing that opens it is stored.

    Errors: CallerError `return_url_invalid`, `return_url_not_allowed`, `confirm_required`,
    `platform_not_offered`, `calendar_not_found`, `platform_mismatch`.
    """
    refusal = return_url_refusal(request.return_url, allowed=doors.return_urls)
    if refusal is not None:
        message = "Use an absolute https address (or http on loopback) from the stack's list."
        raise CallerError(refusal, message, field="return_url")
    if not (request.confirm or doors.allow_unconfirmed):
        message = "This stack finishes a connect only through its completion code."
        raise CallerError("confirm_required", message, field="confirm")
    doors.browser.clients.ours(request.platform)
    session = ConnectSession(
        session_id=SESSION_PREFIX + doors.browser.chance(SESSION_ID_BYTES),
        tenant_id=request.tenant_id,
        entity_id=request.entity_id,
        platform=request.platform,
        return_url=request.return_url,
        metadata=dict(request.metadata),
        confirm=request.confirm,
        reconnects=request.calendar_id,
        email=_account_wanted(doors, request),
        created_at=now,
        expires_at=now + LINK_LIFE,
    )
    return doors.browser.sessions.add(session)


def connect_url(doors: BrowserDoors, session_id: str) -> str:
    """The link of a session: whoever opens it first may consent."""
    token = link_token(session_id, link_secret=doors.secrets.get().link_secret)
    return f"{doors.public_url}/connect/{token.reveal()}"


def complete(doors: ConnectDoors, session_id: str, *, code: Secret, now: datetime) -> Landed:
    """Redeem the consent in the host's own session with the code from the return address.

    A repeated call goes on where the last one stopped and answers the same calendar.
    Errors: CallerError `session_not_found` (404), `session_expired` (410), `consent_pending`
    (409), `completion_code_invalid` (403), the session's failure (409); TransientError while
    the provider or Recall is down: the consent waits sealed.
    """
    known = SESSION_ID.fullmatch(session_id)
    session = doors.browser.sessions.get(session_id) if known else None
    if session is None:
        raise CallerError("session_not_found", "There is no such session.", status=404)
    _admit(doors, session, code=code, now=now)
    return _finish(doors, session, now=now)


def finish_waiting(doors: ConnectDoors, *, limit: int, now: datetime) -> int:
    """Land consents that Recall could not take at their time; how many landed."""
    landed = 0
    for session in doors.browser.sessions.waiting(limit=limit):
        if session.expires_at <= now:
            continue
        try:
            _land(doors, session, now=now)
            landed += 1
        except TransientError as error:
            doors.log.warning("consent still waits", session_id=session.session_id, code=error.code)
        except (CallerError, PermanentError) as error:
            doors.log.crash("consent stuck", error, session_id=session.session_id)
            doors.log.count("ConsentStuck")
    return landed


# The browser's side: the link and the provider's answer.


def open_link(
    doors: BrowserDoors, token: str, *, cookie: Secret | None, now: datetime
) -> Redirect | PlainPage:
    """Bind the session to this browser and send it to the provider.

    The link opens once; the browser that opened it may come back (reload, back button).
    """
    session = session_behind(doors, token, now=now)
    if isinstance(session, PlainPage):
        return session
    if not _may_open(session, cookie):
        return PlainPage(refusal=Refusal.LINK_USED, status=410)
    return _to_provider(doors, session, cookie=cookie, now=now)


def session_behind(doors: BrowserDoors, token: str, *, now: datetime) -> ConnectSession | PlainPage:
    """The session that a link opens, looked at without opening it."""
    session_id = session_of_link(token, link_secret=doors.secrets.get().link_secret)
    if session_id is None:
        return PlainPage(refusal=Refusal.LINK_UNKNOWN, status=404)
    session = doors.sessions.get(session_id)
    if session is None or session.created_at + LINK_LIFE <= now:
        return PlainPage(refusal=Refusal.LINK_EXPIRED, status=410)
    return session


def take_answer(
    doors: ConnectDoors,
    platform: Platform,
    *,
    answer: ProviderAnswer,
    cookie: Secret | None,
    now: datetime,
) -> Redirect | PlainPage:
    """The provider sent the browser back: keep the code sealed, send the browser home.

    Without a session of ours behind the state no return address can be trusted.
    """
    session = _session_of(doors.browser, answer.state)
    if session is None:
        return PlainPage(refusal=Refusal.STATE_UNKNOWN, status=400)
    expires_at = session.state_expires_at
    if expires_at is None:
        return _home(session, Refusal.STATE_REPLAYED)
    refusal = _answer_refusal(
        doors.browser,
        session,
        answer=answer,
        platform=platform,
        cookie=cookie,
        expired=expires_at <= now,
    )
    try:
        if refusal is not None:
            _use_state(doors.browser, session, status=ConnectStatus.FAILED, failure=refusal)
            return _home(session, refusal)
        return _consented(doors, session, code=Secret(answer.code), now=now)
    except Conflict:
        return _home(session, Refusal.STATE_REPLAYED)


def _may_open(session: ConnectSession, cookie: Secret | None) -> bool:
    match session.status:
        case ConnectStatus.CREATED:
            return True
        case ConnectStatus.OPENED | ConnectStatus.FAILED:
            return matches(cookie, session.cookie_hash)
        case ConnectStatus.CONSENTED | ConnectStatus.WAITING | ConnectStatus.DONE:
            return False


def _to_provider(
    doors: BrowserDoors, session: ConnectSession, *, cookie: Secret | None, now: datetime
) -> Redirect | PlainPage:
    # A browser keeps its cookie, or the second of two links in it would break the first.
    browser = cookie or Secret(doors.chance(CHANCE_BYTES))
    state = new_state(session.session_id, chance=doors.chance(CHANCE_BYTES))
    client = doors.clients.ours(session.platform)
    verifier = code_verifier(hashed(state), link_secret=doors.secrets.get().link_secret)
    try:
        doors.sessions.save(
            replace(
                session,
                status=ConnectStatus.OPENED,
                cookie_hash=hashed(browser),
                state_hash=hashed(state),
                state_expires_at=now + STATE_LIFE,
                expires_at=max(session.expires_at, now + STATE_LIFE),
                failure=None,
            )
        )
    except Conflict:
        return PlainPage(refusal=Refusal.LINK_USED, status=410)
    location = authorize_location(
        client.provider,
        client_id=client.client_id,
        redirect_uri=_redirect_uri(doors, session.platform),
        state=state.reveal(),
        code_challenge=code_challenge(verifier.reveal()),
        login_hint=session.email,
    )
    return Redirect(location=location, cookie=browser)


def _session_of(doors: BrowserDoors, state: str) -> ConnectSession | None:
    session_id = session_of_state(state)
    session = doors.sessions.get(session_id) if session_id else None
    if session is None or not matches(Secret(state), session.state_hash):
        return None
    return session


def _answer_refusal(
    doors: BrowserDoors,
    session: ConnectSession,
    *,
    answer: ProviderAnswer,
    platform: Platform,
    cookie: Secret | None,
    expired: bool,
) -> Refusal | None:
    """Why this answer is not taken: first what speaks against who brings it, then what it says."""
    provider = doors.clients.ours(session.platform).provider
    checks = (
        (Refusal.PLATFORM_MISMATCH, platform is not session.platform),
        (Refusal.STATE_EXPIRED, expired),
        (Refusal.WRONG_BROWSER, not matches(cookie, session.cookie_hash)),
        (
            Refusal.ISSUER_MISMATCH,
            answer.issuer is not None and not answer_from(provider, answer.issuer),
        ),
        (Refusal.CONSENT_REFUSED, answer.error == "access_denied"),
        (Refusal.PROVIDER_ERROR, bool(answer.error) or not _plausible(answer.code)),
        (
            Refusal.SCOPE_MISSING,
            answer.scope is not None and not granted_calendar(provider, answer.scope),
        ),
    )
    return next((refusal for refusal, applies in checks if applies), None)


def _plausible(code: str) -> bool:
    """RFC 6749, A.11: visible ASCII; half a surrogate pair could not even be sealed."""
    return len(code) <= CODE_LENGTH_MAX and _CODE.fullmatch(code) is not None


def _use_state(
    doors: BrowserDoors, session: ConnectSession, *, status: ConnectStatus, failure: Refusal
) -> None:
    doors.sessions.save(
        replace(session, status=status, failure=failure.value, state_expires_at=None)
    )


def _consented(
    doors: ConnectDoors, session: ConnectSession, *, code: Secret, now: datetime
) -> Redirect:
    """The state is used up by the same conditional write that keeps the code."""
    completion = Secret(doors.browser.chance(CHANCE_BYTES))
    kept = doors.browser.sessions.save(
        replace(
            session,
            status=ConnectStatus.CONSENTED,
            state_expires_at=None,
            expires_at=now + CODE_LIFE,
            completion_hash=hashed(completion) if session.confirm else None,
            sealed_code=doors.browser.seal.seal(code, context=_context(session, "code")),
        )
    )
    if session.confirm:
        answers = {"completion_code": completion.reveal()}
        return Redirect(location=_home_with(session, answers))
    return _finished_unconfirmed(doors, kept, now=now)


def _finished_unconfirmed(
    doors: ConnectDoors, session: ConnectSession, *, now: datetime
) -> Redirect:
    """Without a code to wait for. A consent that Recall cannot take yet is no failure."""
    try:
        _finish(doors, session, now=now)
    except RollcallError as error:
        if error.code in set(Refusal):
            return _home(session, Refusal(error.code))
        doors.log.warning("consent not finished", session_id=session.session_id, code=error.code)
        kept = doors.browser.sessions.get(session.session_id)
        if kept is None or kept.status is not ConnectStatus.WAITING:
            return _home(session, Refusal.PROVIDER_ERROR)
    return Redirect(location=_home_with(session, {}))


def _home(session: ConnectSession, refusal: Refusal) -> Redirect:
    answers = {"error": refusal.value, "error_description": SENTENCES[refusal]}
    return Redirect(location=_home_with(session, answers))


def _home_with(session: ConnectSession, answers: dict[str, str]) -> str:
    return with_query(session.return_url, {"session_id": session.session_id, **answers})


# From a consent to a calendar.


def _admit(doors: ConnectDoors, session: ConnectSession, *, code: Secret, now: datetime) -> None:
    """Only the code that the return address carried, for five minutes."""
    if session.status is ConnectStatus.FAILED:
        raise _failed(Refusal(session.failure or Refusal.PROVIDER_ERROR))
    if session.expires_at <= now:
        raise CallerError("session_expired", "The session is over.", status=410)
    if session.completion_hash is None:
        raise CallerError("consent_pending", "Nobody has consented yet.", status=409)
    if not matches(code, session.completion_hash):
        _count_wrong_code(doors.browser.sessions, session)
        raise CallerError(
            Refusal.COMPLETION_CODE_INVALID.value,
            SENTENCES[Refusal.COMPLETION_CODE_INVALID],
            status=WRONG_CODE_STATUS,
            field="completion_code",
        )


def _count_wrong_code(sessions: SessionStore, session: ConnectSession) -> None:
    """Guesses end a session that waits for its code, not one whose code was right before.

    A write during the exchange would keep its token from being stored.
    """
    if session.status is not ConnectStatus.CONSENTED or session.redeeming_until is not None:
        return
    counted = replace(session, wrong_codes=session.wrong_codes + 1)
    if counted.wrong_codes >= WRONG_CODES_MAX:
        _fail(sessions, counted, refusal=Refusal.COMPLETION_CODE_INVALID)
        return
    sessions.save(counted)


def _finish(doors: ConnectDoors, session: ConnectSession, *, now: datetime) -> Landed:
    match session.status:
        case ConnectStatus.CONSENTED:
            return _land(doors, _redeemed(doors, session, now=now), now=now)
        case ConnectStatus.WAITING:
            return _land(doors, session, now=now)
        case ConnectStatus.DONE:
            return _landed_before(doors, session)
        case ConnectStatus.CREATED | ConnectStatus.OPENED | ConnectStatus.FAILED:
            raise CallerError("consent_pending", "Nobody has consented yet.", status=409)


def _redeemed(doors: ConnectDoors, session: ConnectSession, *, now: datetime) -> ConnectSession:
    """Exchange the code and seal the token before anything else, because a code works once."""
    if session.redeeming_until is not None and now < session.redeeming_until:
        raise TransientError("session_busy", "It is being completed.", retry_after=BUSY_SECONDS)
    session = doors.browser.sessions.save(replace(session, redeeming_until=now + REDEEMING_LIFE))
    try:
        grant = _exchange(doors.browser, session)
    except RollcallError as error:
        if error.code == Refusal.GRANT_INVALID:
            raise _fail(doors.browser.sessions, session, refusal=Refusal.GRANT_INVALID) from None
        doors.browser.sessions.save(replace(session, redeeming_until=None))
        raise
    refusal = _grant_refusal(doors.browser, session, grant=grant)
    if refusal is not None or grant.refresh_token is None:
        refusal = refusal or Refusal.REFRESH_TOKEN_MISSING
        raise _fail(doors.browser.sessions, session, refusal=refusal)
    context = _context(session, "token")
    return doors.browser.sessions.save(
        replace(
            session,
            status=ConnectStatus.WAITING,
            sealed_code=None,
            sealed_token=doors.browser.seal.seal(grant.refresh_token, context=context),
            email=grant.email,
            expires_at=now + WAITING_LIFE,
        )
    )


def _exchange(doors: BrowserDoors, session: ConnectSession) -> Grant:
    link_secret = doors.secrets.get().link_secret
    code = doors.seal.open(session.sealed_code or b"", context=_context(session, "code"))
    return doors.clients.ours(session.platform).door.exchange(
        code,
        redirect_uri=_redirect_uri(doors, session.platform),
        verifier=code_verifier(session.state_hash or "", link_secret=link_secret),
    )


def _grant_refusal(doors: BrowserDoors, session: ConnectSession, *, grant: Grant) -> Refusal | None:
    provider = doors.clients.ours(session.platform).provider
    if not granted_calendar(provider, grant.scopes):
        return Refusal.SCOPE_MISSING
    known, told = session.email, grant.email
    if known is not None and told is not None and known.casefold() != told.casefold():
        return Refusal.ACCOUNT_MISMATCH
    return None


def _land(doors: ConnectDoors, session: ConnectSession, *, now: datetime) -> Landed:
    """Hand the token to Recall; the session keeps it sealed until Recall has it."""
    client = doors.browser.clients.ours(session.platform)
    token = doors.browser.seal.open(session.sealed_token or b"", context=_context(session, "token"))
    arrival = Arrival(
        tenant_id=session.tenant_id,
        entity_id=session.entity_id,
        platform=session.platform,
        email=session.email,
        client_id=client.client_id,
        client_secret=client.client_secret,
        refresh_token=token,
        claim_id=session.session_id,
        metadata=session.metadata or None,
        reconnects=session.reconnects,
    )
    try:
        landed = land(doors.calendar, arrival, now=now)
    except Refused:
        _fail(doors.browser.sessions, session, refusal=Refusal.RECALL_REFUSED)
        raise
    return _landed(doors, session, landed=landed, now=now)


def _landed(
    doors: ConnectDoors, session: ConnectSession, *, landed: Landed, now: datetime
) -> Landed:
    done = replace(
        session,
        status=ConnectStatus.DONE,
        sealed_token=None,
        calendar_id=landed.calendar.calendar_id,
        expires_at=now + LINK_LIFE,
    )
    try:
        doors.browser.sessions.save(done)
    except Conflict:
        # Another call landed the same token: the same claim, so the same calendar.
        return replace(landed, created=False)
    return landed


def _landed_before(doors: ConnectDoors, session: ConnectSession) -> Landed:
    calendar = existing(doors.calendar.calendars, session.calendar_id or "")
    return Landed(calendar=calendar, created=False)


def _fail(sessions: SessionStore, session: ConnectSession, *, refusal: Refusal) -> CallerError:
    sessions.save(
        replace(
            session,
            status=ConnectStatus.FAILED,
            failure=refusal.value,
            sealed_code=None,
            sealed_token=None,
            redeeming_until=None,
        )
    )
    return _failed(refusal)


def _failed(refusal: Refusal) -> CallerError:
    return CallerError(refusal.value, SENTENCES[refusal], status=REFUSED_SESSION_STATUS)


def _account_wanted(doors: ConnectDoors, request: ConnectRequest) -> str | None:
    """The address that a link to reconnect insists on, as far as it is known."""
    if request.calendar_id is None:
        return None
    calendar: Calendar = existing(doors.calendar.calendars, request.calendar_id)
    if not calendar.belongs_to(request.tenant_id, request.entity_id):
        raise CallerError(
            "calendar_not_found", "There is no such calendar.", status=404, field="calendar_id"
        )
    if calendar.platform is not request.platform:
        message = "The calendar is the other provider's."
        raise CallerError("platform_mismatch", message, field="platform")
    return calendar.email


def _redirect_uri(doors: BrowserDoors, platform: Platform) -> str:
    """Distinct per provider, so that one cannot answer for the other."""
    return f"{doors.public_url}/oauth/{platform.value}/callback"


def _context(session: ConnectSession, purpose: str) -> dict[str, str]:
    return {"session_id": session.session_id, "purpose": purpose}
