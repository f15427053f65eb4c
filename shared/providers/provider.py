"""Google and Microsoft as values: where they are, what we ask for, what we accept."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

TENANT_PLACE = "{tenantid}"
TENANT_PATTERN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

GOOGLE_SCOPE_ROOT = "https://www.googleapis.com/auth/"
GRAPH_SCOPE_ROOT = "https://graph.microsoft.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One OAuth provider. `issuer` is None where nobody told us how it names itself.

    `issuer` may hold `{tenantid}`: Microsoft signs as the tenant of each account.
    """

    platform: str
    authorize_url: str
    token_url: str
    revoke_url: str | None
    userinfo_url: str | None
    issuer: str | None
    scopes: tuple[str, ...]
    calendar_scopes_accepted: frozenset[str]
    optional_scope_root: str = ""
    authorize_extra: tuple[tuple[str, str], ...] = ()
    authorize_extra_without_hint: tuple[tuple[str, str], ...] = ()


def google(
    *,
    authorize_url: str = "",
    token_url: str = "",
    revoke_url: str = "",
    userinfo_url: str = "",
    issuer: str = "",
) -> Provider:
    """Google with its own addresses, or others where given (empty = Google's own).

    `include_granted_scopes` is not sent: the token Recall holds should open the calendar
    and nothing the account once granted for another purpose.
    """
    real = not (authorize_url or token_url)
    return Provider(
        platform="google_calendar",
        authorize_url=authorize_url or "https://accounts.google.com/o/oauth2/v2/auth",
        token_url=token_url or "https://oauth2.googleapis.com/token",
        revoke_url=_given_or(revoke_url, "https://oauth2.googleapis.com/revoke", real=real),
        userinfo_url=_given_or(
            userinfo_url, "https://www.googleapis.com/oauth2/v3/userinfo", real=real
        ),
        issuer=_given_or(issuer, "https://accounts.google.com", real=real),
        scopes=(
            "openid",
            GOOGLE_SCOPE_ROOT + "userinfo.email",
            GOOGLE_SCOPE_ROOT + "calendar.events.readonly",
        ),
        calendar_scopes_accepted=frozenset(
            GOOGLE_SCOPE_ROOT + name
            for name in (
                "calendar.events.readonly",
                "calendar.readonly",
                "calendar.events",
                "calendar",
            )
        ),
        # Without both, a returning user yields no refresh token.
        authorize_extra=(("access_type", "offline"), ("prompt", "consent")),
    )


def microsoft(
    *, authorize_url: str = "", token_url: str = "", userinfo_url: str = "", issuer: str = ""
) -> Provider:
    """Microsoft with its own addresses, or others where given (empty = Microsoft's own).

    No `prompt=consent`: where an administrator must approve, it keeps people in the approval
    screen after the approval. It has no revocation address for a single grant.
    """
    real = not (authorize_url or token_url)
    login = "https://login.microsoftonline.com/"
    return Provider(
        platform="microsoft_outlook",
        authorize_url=authorize_url or login + "common/oauth2/v2.0/authorize",
        token_url=token_url or login + "common/oauth2/v2.0/token",
        revoke_url=None,
        userinfo_url=_given_or(
            userinfo_url, "https://graph.microsoft.com/oidc/userinfo", real=real
        ),
        issuer=_given_or(issuer, f"{login}{TENANT_PLACE}/v2.0", real=real),
        scopes=("offline_access", "openid", "email", GRAPH_SCOPE_ROOT + "Calendars.Read"),
        optional_scope_root=GRAPH_SCOPE_ROOT,
        calendar_scopes_accepted=frozenset(
            {
                "calendars.read",
                "calendars.readwrite",
                "calendars.read.shared",
                "calendars.readwrite.shared",
            }
        ),
        # Else a browser signed in with one account could never connect another.
        authorize_extra_without_hint=(("prompt", "select_account"),),
    )


def _given_or(given: str, default: str, *, real: bool) -> str | None:
    # Tokens of a stand-in must not reach the real provider by an address left empty.
    return given or (default if real else None)


def authorize_location(
    provider: Provider,
    *,
    client_id: str,
    redirect_uri: str,
    state: str,
    code_challenge: str,
    login_hint: str | None = None,
) -> str:
    """The address that starts the code flow in the browser; `login_hint` is an e-mail."""
    hint = (("login_hint", login_hint),) if login_hint else provider.authorize_extra_without_hint
    query = (
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("scope", " ".join(provider.scopes)),
        ("state", state),
        ("code_challenge", code_challenge),
        ("code_challenge_method", "S256"),
        *provider.authorize_extra,
        *hint,
    )
    joint = "&" if "?" in provider.authorize_url else "?"
    return provider.authorize_url + joint + urlencode(query, quote_via=quote)


def code_challenge(verifier: str) -> str:
    """S256 of RFC 7636 section 4.2."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def granted_calendar(provider: Provider, scope: str) -> bool:
    """Whether a granted `scope` (space separated) lets Recall read the calendar.

    Recall accepts any one of Google's four; Microsoft answers with or without its prefix,
    in any case.
    """
    root = provider.optional_scope_root.casefold()
    granted = {word.removeprefix(root) for word in scope.casefold().split()}
    return not provider.calendar_scopes_accepted.isdisjoint(granted)


def answer_from(provider: Provider, issuer: str) -> bool:
    """Whether `iss` of a redirect (RFC 9207) is this provider.

    One that nobody named may call itself by its own address or as the one it stands in for.
    """
    if provider.issuer is not None:
        return issuer_matches(provider, issuer)
    real = REAL_PROVIDERS[provider.platform]()
    origins = {_origin(provider.authorize_url), _origin(provider.token_url)}
    return _origin(issuer) in origins or issuer_matches(real, issuer)


def _origin(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc)


def issuer_matches(provider: Provider, issuer: str) -> bool:
    """Whether `issuer` (RFC 9207 `iss`, or that of an id_token) is this provider."""
    if provider.issuer is None:
        return True
    pattern = re.escape(provider.issuer).replace(re.escape(TENANT_PLACE), TENANT_PATTERN)
    return re.fullmatch(pattern, issuer) is not None


REAL_PROVIDERS = {"google_calendar": google, "microsoft_outlook": microsoft}
