"""Where emulated Google and Microsoft differ: words, scopes, errors, looks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.emulators.http import Response

GOOGLE_SCOPE_ROOT = "https://www.googleapis.com/auth/"
GRAPH_SCOPE_ROOT = "https://graph.microsoft.com/"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """`scope_labels` holds every scope the provider knows, in lower case."""

    brand: str
    scope_labels: Mapping[str, str]
    sign_in_scopes: frozenset[str]
    boxes: bool  # Google lets people untick; Microsoft is all or nothing
    rotates_refresh_tokens: bool
    revocation: bool
    answers_issuer: bool  # RFC 9207 `iss` on the redirect
    heading: str
    question: str
    colour: str
    logo: str

    def knows(self, scope: str) -> bool:
        return scope.casefold() in self.scope_labels

    def label(self, scope: str) -> str:
        return self.scope_labels[scope.casefold()]

    def is_sign_in(self, scope: str) -> bool:
        return scope.casefold() in self.sign_in_scopes


GOOGLE = Traits(
    brand="Google",
    scope_labels={
        "openid": "Associate you with your personal info",
        "email": "See your primary e-mail address",
        "profile": "See your personal info",
        GOOGLE_SCOPE_ROOT + "userinfo.email": "See your primary e-mail address",
        GOOGLE_SCOPE_ROOT + "userinfo.profile": "See your personal info",
        GOOGLE_SCOPE_ROOT + "calendar.events.readonly": "View events on all your calendars",
        GOOGLE_SCOPE_ROOT + "calendar.events": "View and edit events on all your calendars",
        GOOGLE_SCOPE_ROOT + "calendar.readonly": "See and download any calendar you can access",
        GOOGLE_SCOPE_ROOT + "calendar": "See, edit, share and delete all your calendars",
    },
    sign_in_scopes=frozenset(
        {
            "openid",
            "email",
            "profile",
            GOOGLE_SCOPE_ROOT + "userinfo.email",
            GOOGLE_SCOPE_ROOT + "userinfo.profile",
        }
    ),
    boxes=True,
    rotates_refresh_tokens=False,
    revocation=True,
    answers_issuer=True,
    heading="Sign in with emulated Google",
    question="wants access to your Google Account",
    colour="#0b57d0",
    logo="".join(
        f'<span style="background:{colour}"></span>'
        for colour in ("#4285f4", "#ea4335", "#fbbc04", "#34a853")
    ),
)

_GRAPH_LABELS = {
    "calendars.read": "Read your calendars",
    "calendars.readwrite": "Have full access to your calendars",
    "calendars.read.shared": "Read your calendars and those shared with you",
    "calendars.readwrite.shared": "Have full access to your calendars and shared ones",
    "user.read": "Sign you in and read your profile",
}

MICROSOFT = Traits(
    brand="Microsoft",
    scope_labels={
        "offline_access": "Maintain access to data you have given it access to",
        "openid": "Sign you in",
        "email": "View your e-mail address",
        "profile": "View your basic profile",
        **_GRAPH_LABELS,
        **{GRAPH_SCOPE_ROOT + name: label for name, label in _GRAPH_LABELS.items()},
    },
    sign_in_scopes=frozenset({"openid", "email", "profile", "offline_access"}),
    boxes=False,
    rotates_refresh_tokens=True,
    revocation=False,
    answers_issuer=False,
    heading="Sign in with emulated Microsoft",
    question="asks for access to your Microsoft account",
    colour="#0067b8",
    logo="".join(
        f'<span style="background:{colour}"></span>'
        for colour in ("#f25022", "#7fba00", "#00a4ef", "#ffb900")
    ),
)

TRAITS = {"google_calendar": GOOGLE, "microsoft_outlook": MICROSOFT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal of the token endpoint in both dialects."""

    google: tuple[int, str, str]
    microsoft: tuple[int, str, int, str]


REFUSALS = {
    "client_unknown": Refusal(
        google=(401, "invalid_client", "The OAuth client was not found."),
        microsoft=(400, "unauthorized_client", 700016, "Application was not found."),
    ),
    "client_secret": Refusal(
        google=(401, "invalid_client", "Unauthorized"),
        microsoft=(401, "invalid_client", 7000215, "Invalid client secret provided."),
    ),
    "redirect_uri": Refusal(
        google=(400, "redirect_uri_mismatch", "Bad Request"),
        microsoft=(400, "invalid_client", 500112, "The reply address does not match."),
    ),
    "code_unknown": Refusal(
        google=(400, "invalid_grant", "Malformed auth code."),
        microsoft=(400, "invalid_grant", 70000, "The provided value for 'code' is not valid."),
    ),
    "code_spent": Refusal(
        google=(400, "invalid_grant", "Bad Request"),
        microsoft=(400, "invalid_grant", 54005, "Authorization code was already redeemed."),
    ),
    "code_expired": Refusal(
        google=(400, "invalid_grant", "Bad Request"),
        microsoft=(400, "invalid_grant", 70008, "The authorization code has expired."),
    ),
    "verifier": Refusal(
        google=(400, "invalid_grant", "Invalid code verifier."),
        microsoft=(400, "invalid_grant", 501481, "The Code_Verifier does not match."),
    ),
    "refresh_token": Refusal(
        google=(400, "invalid_grant", "Bad Request"),
        microsoft=(400, "invalid_grant", 9002313, "Invalid request. Request is malformed."),
    ),
    "permission_revoked": Refusal(
        google=(400, "invalid_grant", "Token has been expired or revoked."),
        microsoft=(400, "invalid_grant", 65001, "The user has not consented to use the app."),
    ),
    "permission_expired": Refusal(
        google=(400, "invalid_grant", "Token has been expired or revoked."),
        microsoft=(400, "invalid_grant", 700082, "The refresh token has expired."),
    ),
    "permission_replayed": Refusal(
        google=(400, "invalid_grant", "Token has been expired or revoked."),
        microsoft=(400, "invalid_grant", 50173, "The provided grant has been revoked."),
    ),
    "grant_type": Refusal(
        google=(400, "unsupported_grant_type", "Invalid grant_type."),
        microsoft=(400, "unsupported_grant_type", 70003, "The grant type is not supported."),
    ),
    "request": Refusal(
        google=(400, "invalid_request", "Missing or repeated parameter."),
        microsoft=(400, "invalid_request", 900144, "The request body lacks a parameter."),
    ),
}


def refused(traits: Traits, reason: str) -> Response:
    refusal = REFUSALS[reason]
    if traits is GOOGLE:
        status, error, description = refusal.google
        return as_json(status, {"error": error, "error_description": description})
    status, error, number, text = refusal.microsoft
    trace = "00000000-0000-0000-0000-000000000000"
    return as_json(
        status,
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text} Trace ID: {trace}",
            "error_codes": [number],
            "trace_id": trace,
            "correlation_id": trace,
        },
    )


def words(traits: Traits, reason: str) -> str:
    """A refusal as one line, as Recall reports it in `status_changes`."""
    refusal = REFUSALS[reason]
    if traits is GOOGLE:
        _, error, description = refusal.google
        return f"{error}: {description}"
    _, _, number, text = refusal.microsoft
    return f"AADSTS{number}: {text}"


def as_json(status: int, fields: Mapping[str, object]) -> Response:
    return Response(
        status=status,
        headers={"content-type": "application/json; charset=utf-8", **NO_STORE},
        body=json.dumps(fields).encode(),
    )
