"""The only OAuth exchange: codes and refresh tokens in, grants out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NoReturn

import requests
from urllib3.exceptions import NewConnectionError

from shared.domain.secret import Secret
from shared.errors import CallerError, TransientError
from shared.providers.identity import email_in_id_token, email_of_claims
from shared.providers.provider import Provider
from shared.providers.refusal import Answer, is_token, raise_refusal

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a provider granted. `scopes` is space separated; `email` None: not told."""

    refresh_token: Secret | None
    access_token: Secret
    scopes: str
    email: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OAuthDoor:
    """One OAuth client at one provider.

    Errors: CallerError `grant_invalid` (the person must consent again), PermanentError
    `oauth_client_refused` or `oauth_request_refused` (an operator must mend the client),
    TransientError for the rest.
    """

    session: requests.Session
    provider: Provider
    client_id: str
    client_secret: Secret

    def exchange(self, code: Secret, *, redirect_uri: str, verifier: Secret) -> Grant:
        """Redeem a code, which works once.

        After `oauth_unreachable` the code is still good; after `oauth_answer_lost` it may
        be spent.
        """
        answer = self._token(
            {
                "grant_type": "authorization_code",
                "code": _sendable(code),
                "redirect_uri": redirect_uri,
                "code_verifier": verifier.reveal(),
            }
        )
        # RFC 6749 section 5.1: no `scope` in the answer means all that was asked for.
        return self._grant(answer, scopes_unsaid=" ".join(self.provider.scopes))

    def account_of(self, refresh_token: Secret) -> Grant:
        """Ask whose a refresh token is; Microsoft may answer with its successor."""
        answer = self._token(
            {"grant_type": "refresh_token", "refresh_token": _sendable(refresh_token)}
        )
        return self._grant(answer, scopes_unsaid="")

    def revoke(self, token: Secret) -> bool:
        """End the grant behind an access or refresh token; False: no way to at this provider.

        Google ends all that this account granted to this client, so every calendar of the
        account goes, whoever connected it. It wants the token alone, not the client as
        RFC 7009 does. A token already dead counts as revoked.
        """
        url = self.provider.revoke_url
        if url is None:
            return False
        answer = self._ask("POST", url, form={"token": _sendable(token)})
        if answer.status != requests.codes.ok and answer.error != "invalid_token":
            raise_refusal(answer)
        return True

    def _token(self, form: dict[str, str]) -> Answer:
        client = {"client_id": self.client_id, "client_secret": self.client_secret.reveal()}
        answer = self._ask("POST", self.provider.token_url, form=form | client)
        if answer.status != requests.codes.ok:
            raise_refusal(answer)
        return answer

    def _grant(self, answer: Answer, *, scopes_unsaid: str) -> Grant:
        access_token = answer.text("access_token")
        refresh_token = answer.text("refresh_token")
        if access_token is None or not is_token(access_token):
            _malformed()
        if refresh_token is not None and not is_token(refresh_token):
            _malformed()
        return Grant(
            refresh_token=Secret(refresh_token) if refresh_token else None,
            access_token=Secret(access_token),
            scopes=answer.text("scope") or scopes_unsaid,
            email=self._email(answer.text("id_token"), access_token),
        )

    def _email(self, id_token: str | None, access_token: str) -> str | None:
        told = id_token and email_in_id_token(
            id_token, provider=self.provider, client_id=self.client_id
        )
        return told or self._email_from_userinfo(access_token)

    def _email_from_userinfo(self, access_token: str) -> str | None:
        if self.provider.userinfo_url is None:
            return None
        try:
            answer = self._ask("GET", self.provider.userinfo_url, bearer=access_token)
        except TransientError:
            return None  # the grant is good; the first sync tells the address as well
        return email_of_claims(answer.fields) if answer.status == requests.codes.ok else None

    def _ask(
        self, method: str, url: str, *, form: dict[str, str] | None = None, bearer: str = ""
    ) -> Answer:
        headers = {"Accept": "application/json"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        # `from None`: the request in a requests exception carries the secrets of its body.
        try:
            with self.session.request(
                method,
                url,
                data=form,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                return _answer(response, _bounded_body(response))
        except requests.RequestException as error:
            code = "oauth_unreachable" if _never_sent(error) else "oauth_answer_lost"
            raise TransientError(code, "The provider did not answer.") from None


def _sendable(token: Secret) -> str:
    text = token.reveal()
    if not is_token(text):
        raise CallerError("grant_invalid", "This is not a token or code of any provider.")
    return text


def _bounded_body(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_content(ANSWER_BYTES_MAX):
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            _malformed()
    return bytes(body)


def _answer(response: requests.Response, body: bytes) -> Answer:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    return Answer(
        status=response.status_code,
        fields=fields if isinstance(fields, dict) else {},
        retry_after=response.headers.get("Retry-After", ""),
    )


def _never_sent(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(cause, "reason", None), NewConnectionError
    )


def _malformed() -> NoReturn:
    raise TransientError("oauth_answer_malformed", "The provider's answer cannot be read.")
