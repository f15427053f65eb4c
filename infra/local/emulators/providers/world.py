"""One emulated provider as a world: people act on it, requests are answered by its state."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import datetime
from urllib.parse import urlsplit

from infra.local.emulators.clock import Clock
from infra.local.emulators.http import Request, Response
from infra.local.emulators.providers.authorize import AuthorizeEndpoint
from infra.local.emulators.providers.forms import RepeatedParameterError, bearer, form, once
from infra.local.emulators.providers.ledger import Account, Ledger, Permission
from infra.local.emulators.providers.token_endpoint import TokenEndpoint, identity
from infra.local.emulators.providers.traits import PERSONAL_TENANT, TRAITS, as_json, words

ENDPOINTS = ("authorize", "token", "userinfo", "revoke")


def _unguessable() -> str:
    return secrets.token_urlsafe(32)


class ProviderWorld:
    """Google or Microsoft with one OAuth client, below `base_url`.

    `platform` is Recall's word. `issuer` may hold `{tenantid}`; empty: `base_url` itself.
    Requests go to `handle`; the other methods are what people and administrators do.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        base_url: str,
        platform: str,
        client_id: str,
        client_secret: str,
        redirect_uris: AbstractSet[str],
        issuer: str = "",
        new_text: Callable[[], str] = _unguessable,
    ) -> None:
        self.traits = TRAITS[platform]
        self.platform = platform
        self.base_url = base_url.rstrip("/")
        self.issuer = (issuer or self.base_url).replace("{tenantid}", PERSONAL_TENANT)
        self.withhold_refresh_tokens = False
        self._refused_scopes: set[str] = set()
        self._ledger = Ledger(clock=clock, new_text=new_text)
        self._authorize = AuthorizeEndpoint(
            ledger=self._ledger,
            traits=self.traits,
            url=self.authorize_url,
            client_id=client_id,
            redirect_uris=frozenset(redirect_uris),
            issuer=self.issuer,
            refused_scopes=self._refused_scopes,
        )
        self._token = TokenEndpoint(
            ledger=self._ledger,
            traits=self.traits,
            client_id=client_id,
            client_secret=client_secret,
            issuer=self.issuer,
        )

    @property
    def authorize_url(self) -> str:
        return f"{self.base_url}/authorize"

    @property
    def token_url(self) -> str:
        return f"{self.base_url}/token"

    @property
    def userinfo_url(self) -> str:
        return f"{self.base_url}/userinfo"

    @property
    def revoke_url(self) -> str:
        """Empty at Microsoft, which cannot revoke a single grant."""
        return f"{self.base_url}/revoke" if self.traits.revocation else ""

    def handle(self, request: Request) -> Response:
        """Answer one request; faults on the way are the adapter's or the host's."""
        path = urlsplit(request.url).path.removeprefix(urlsplit(self.base_url).path)
        endpoint = path.strip("/")
        match request.method, endpoint:
            case "GET", "authorize":
                return self._authorize.ask(request)
            case "POST", "authorize":
                return self._authorize.answer(request)
            case "POST", "token":
                return self._token.redeem(
                    request, withhold_refresh_token=self.withhold_refresh_tokens
                )
            case "GET" | "POST", "userinfo":
                return self._userinfo(request)
            case "POST", "revoke" if self.traits.revocation:
                return self._revoke(request)
            case _:
                return as_json(405 if endpoint in ENDPOINTS else 404, {"error": "not_found"})

    def add_account(self, email: str, name: str, *, email_claim: bool = True) -> Account:
        """Make an account to choose; without `email_claim` only user-info tells its address."""
        account = Account(email=email, name=name, email_claim=email_claim)
        self._ledger.accounts[email.casefold()] = account
        return account

    def revoke(self, email: str) -> None:
        """The person removes the app from their account."""
        self._ledger.end("revoked", account=self._ledger.account(email))

    def expire_all(self) -> None:
        """Every grant runs out, as Google's do after 7 days while a client is in testing."""
        self._ledger.end("expired")

    def refuse_scopes(self, *scopes: str) -> None:
        """From now on never grant these; without any: grant all again."""
        self._refused_scopes.clear()
        self._refused_scopes.update(scopes)

    def issue_refresh_token(self, email: str, scopes: tuple[str, ...]) -> str:
        """A token in hand, as a host has that ran the consent itself."""
        account = self._ledger.account(email)
        permission = self._ledger.grant(account, scopes=scopes, refreshable=True)
        return self._ledger.new_refresh_token(permission)

    def issued(self) -> list[str]:
        """Every code and token handed out so far, dead ones included."""
        ledger = self._ledger
        return [*ledger.codes, *ledger.refresh_tokens, *ledger.access_tokens]

    def resolve(
        self, refresh_token: str, *, client_id: str, client_secret: str
    ) -> tuple[str, str] | None:
        """E-mail and scopes (space separated) of a live token; None: refused."""
        permission = self._live(refresh_token)
        if permission is None or self._token.client_problem(client_id, client_secret):
            return None
        return permission.account.email, " ".join(permission.scopes)

    def refusal_of(self, refresh_token: str, *, client_id: str, client_secret: str) -> str | None:
        """Why `resolve` answers None, in the provider's words; None where it does not."""
        problem = self._token.client_problem(client_id, client_secret)
        problem = problem or self._token.refresh_problem(refresh_token)
        return words(self.traits, problem) if problem else None

    def access_token_for(self, refresh_token: str) -> tuple[str, datetime] | None:
        """A fresh access token and when it expires, as Recall hands it out; None: refused."""
        permission = self._live(refresh_token)
        if permission is None:
            return None
        token = self._ledger.new_access_token(permission)
        return token.text, token.expires_at

    def _live(self, refresh_token: str) -> Permission | None:
        permission = self._ledger.refresh_tokens.get(refresh_token)
        return None if permission is None or permission.ended else permission

    def _userinfo(self, request: Request) -> Response:
        token = self._ledger.live_access_token(bearer(request))
        if token is None:
            return as_json(401, {"error": "invalid_token", "error_description": "Unauthorized"})
        return as_json(200, identity(token.permission, self.traits))

    def _revoke(self, request: Request) -> Response:
        try:
            sent = once(urlsplit(request.url).query) | form(request)
        except RepeatedParameterError:
            return as_json(400, {"error": "invalid_request"})
        text = sent.get("token", "")
        access = self._ledger.live_access_token(text)
        permission = access.permission if access else self._live(text)
        if permission is None:
            return as_json(400, {"error": "invalid_token", "error_description": "Token expired."})
        # Google ends all that the account granted to this client, not one token.
        self._ledger.end("revoked", account=permission.account)
        return as_json(200, {})
