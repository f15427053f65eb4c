"""The token endpoint: codes and refresh tokens to access tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from infra.local.emulators.http import Request, Response
from infra.local.emulators.providers.forms import RepeatedParameterError, basic_client, form
from infra.local.emulators.providers.ledger import ACCESS_TOKEN_LIFE, Code, Ledger, Permission
from infra.local.emulators.providers.traits import (
    PERSONAL_TENANT,
    Traits,
    as_json,
    refused,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    ledger: Ledger
    traits: Traits
    client_id: str
    client_secret: str
    issuer: str

    def redeem(self, request: Request, *, withhold_refresh_token: bool) -> Response:
        try:
            sent = form(request)
        except RepeatedParameterError:
            return refused(self.traits, "request")
        if problem := self.client_problem(*self._client(request, sent)):
            return refused(self.traits, problem)
        match sent.get("grant_type"):
            case "authorization_code":
                return self._by_code(sent, withhold_refresh_token=withhold_refresh_token)
            case "refresh_token":
                return self._by_refresh_token(sent.get("refresh_token", ""))
            case None:
                return refused(self.traits, "request")
            case _:
                return refused(self.traits, "grant_type")

    def client_problem(self, client_id: str, client_secret: str) -> str | None:
        if client_id != self.client_id:
            return "client_unknown"
        matches = hmac.compare_digest(client_secret.encode(), self.client_secret.encode())
        return None if matches else "client_secret"

    def _client(self, request: Request, sent: dict[str, str]) -> tuple[str, str]:
        in_body = (sent.get("client_id", ""), sent.get("client_secret", ""))
        return basic_client(request) or in_body

    def _by_code(self, sent: dict[str, str], *, withhold_refresh_token: bool) -> Response:
        code = self.ledger.codes.get(sent.get("code", ""))
        if code is None:
            return refused(self.traits, "code_unknown")
        if problem := self._code_problem(code, sent):
            return refused(self.traits, problem)
        code.spent = True
        permission = code.permission
        extra: dict[str, object] = {}
        if permission.refreshable and not withhold_refresh_token:
            extra["refresh_token"] = self.ledger.new_refresh_token(permission)
        return self._tokens(permission, extra)

    def _code_problem(self, code: Code, sent: dict[str, str]) -> str | None:
        if code.spent:
            # RFC 6749 section 4.1.2: a code seen twice was stolen, so its tokens go too.
            code.permission.ended = code.permission.ended or "replayed"
            return "code_spent"
        if code.permission.ended:
            return f"permission_{code.permission.ended}"
        if code.expires_at <= self.ledger.clock.now():
            return "code_expired"
        if sent.get("redirect_uri") != code.redirect_uri:
            return "redirect_uri"
        challenge = _s256(sent.get("code_verifier", ""))
        return None if hmac.compare_digest(challenge, code.code_challenge) else "verifier"

    def refresh_problem(self, refresh_token: str) -> str | None:
        permission = self.ledger.refresh_tokens.get(refresh_token)
        if permission is None:
            return "refresh_token"
        return f"permission_{permission.ended}" if permission.ended else None

    def _by_refresh_token(self, text: str) -> Response:
        if problem := self.refresh_problem(text):
            return refused(self.traits, problem)
        permission = self.ledger.refresh_tokens[text]
        extra: dict[str, object] = {}
        if self.traits.rotates_refresh_tokens:
            # The older ones stay good, as Microsoft's do.
            extra["refresh_token"] = self.ledger.new_refresh_token(permission)
        return self._tokens(permission, extra)

    def _tokens(self, permission: Permission, extra: dict[str, object]) -> Response:
        fields: dict[str, object] = {
            "token_type": "Bearer",
            "access_token": self.ledger.new_access_token(permission).text,
            "expires_in": int(ACCESS_TOKEN_LIFE.total_seconds()),
            "scope": " ".join(scope for scope in permission.scopes if scope != "offline_access"),
            **extra,
        }
        if "openid" in permission.scopes:
            fields["id_token"] = self._id_token(permission)
        return as_json(200, fields)

    def _id_token(self, permission: Permission) -> str:
        issued_at = int(self.ledger.clock.now().timestamp())
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": issued_at,
            "exp": issued_at + int(ACCESS_TOKEN_LIFE.total_seconds()),
            **identity(permission, self.traits),
        }
        if not permission.account.email_claim:
            claims.pop("email", None)
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = hmac.digest(self.client_secret.encode(), signed.encode(), "sha256")
        return f"{signed}.{_base64url(signature)}"


def identity(permission: Permission, traits: Traits) -> dict[str, object]:
    """The claims about the account that its scopes open."""
    account = permission.account
    scopes = {scope.casefold().rpartition("userinfo.")[2] for scope in permission.scopes}
    claims: dict[str, object] = {"sub": account.subject}
    if "email" in scopes:
        claims["email"] = account.email
    if "profile" in scopes:
        claims["name"] = account.name
    if traits.revocation:
        return claims | ({"email_verified": True} if "email" in scopes else {})
    profile = {"preferred_username": account.email} if "profile" in scopes else {}
    return claims | {"tid": PERSONAL_TENANT} | profile


def _s256(verifier: str) -> str:
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _part(fields: dict[str, object]) -> str:
    return _base64url(json.dumps(fields, separators=(",", ":")).encode())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
