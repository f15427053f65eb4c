"""The stack's secrets: one Secrets Manager secret, and KMS for what must rest sealed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.secret import Secret
from shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

CACHED_SECONDS: Final = 300
KMS_BYTES_MAX: Final = 4096
REQUIRED: Final = ("recall_api_key", "link_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSecrets:
    """What an operator enters; a blank provider client means that provider is not offered."""

    recall_api_key: Secret
    webhook_secrets: tuple[Secret, ...]
    google_client_id: str
    google_client_secret: Secret
    microsoft_client_id: str
    microsoft_client_secret: Secret
    link_secret: Secret


class SecretStore:
    """The stack's secret, kept for five minutes.

    `required`: JSON keys that must be there and not blank, so that a function only depends on
    what it uses. `get` raises PermanentError `secrets_missing` (naming them all) or
    `secrets_malformed`, TransientError `secrets_unavailable`.
    """

    def __init__(
        self,
        client: SecretsManagerClient,
        secret_id: str,
        *,
        required: Collection[str] = REQUIRED,
    ) -> None:
        self._provider = SecretsProvider(boto3_client=client)
        self._secret_id = secret_id
        self._required = tuple(required)

    def get(self) -> StackSecrets:
        return _read(self._text(), required=self._required)

    def _text(self) -> str:
        try:
            return str(self._provider.get(self._secret_id, max_age=CACHED_SECONDS))
        except GetParameterError as error:
            # The cause stays out of sight: it may quote the secret's text.
            message = f"Secrets Manager did not give the secret ({type(error).__name__})."
            raise TransientError("secrets_unavailable", message) from None


@lru_cache(maxsize=1)
def _read(text: str, *, required: tuple[str, ...]) -> StackSecrets:
    values = _values(text)
    missing = [name for name in required if not values.get(name)]
    if missing:
        message = f"The stack's secret lacks: {', '.join(missing)}."
        raise PermanentError("secrets_missing", message)
    return StackSecrets(
        recall_api_key=Secret(values.get("recall_api_key", "")),
        webhook_secrets=_webhook_secrets(values.get("recall_webhook_secret", "")),
        google_client_id=values.get("google_client_id", ""),
        google_client_secret=Secret(values.get("google_client_secret", "")),
        microsoft_client_id=values.get("microsoft_client_id", ""),
        microsoft_client_secret=Secret(values.get("microsoft_client_secret", "")),
        link_secret=Secret(values.get("link_secret", "")),
    )


def _webhook_secrets(text: str) -> tuple[Secret, ...]:
    """One or several, comma separated."""
    parts = (part.strip() for part in text.split(","))
    return tuple(Secret(part) for part in parts if part)


def _values(text: str) -> dict[str, str]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise PermanentError("secrets_malformed", "The stack's secret is not a JSON object.")
    return {name: value.strip() for name, value in values.items() if isinstance(value, str)}


class Seal:
    """Encrypts short-lived codes and tokens with a KMS key, bound to a context.

    KMS takes 4096 bytes a call; longer ones are sealed in parts that cannot be reordered or
    dropped. TransientError `seal_unavailable`; PermanentError `seal_broken` when the bytes or
    their context are not what was sealed.
    """

    def __init__(self, client: KMSClient, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def seal(self, secret: Secret, *, context: Mapping[str, str]) -> bytes:
        parts = _parts(secret.reveal().encode())
        sealed = b""
        for number, part in enumerate(parts):
            with _kms_refusals():
                answer = self._client.encrypt(
                    KeyId=self._key_id,
                    Plaintext=part,
                    EncryptionContext=_part_context(context, number=number, of=len(parts)),
                )
            blob = answer["CiphertextBlob"]
            sealed += len(blob).to_bytes(2, "big") + blob
        return sealed

    def open(self, sealed: bytes, *, context: Mapping[str, str]) -> Secret:
        blobs = _blobs(sealed)
        opened = b""
        for number, blob in enumerate(blobs):
            with _kms_refusals():
                answer = self._client.decrypt(
                    KeyId=self._key_id,
                    CiphertextBlob=blob,
                    EncryptionContext=_part_context(context, number=number, of=len(blobs)),
                )
            opened += answer["Plaintext"]
        return Secret(opened.decode())


def _parts(plain: bytes) -> list[bytes]:
    return [plain[at : at + KMS_BYTES_MAX] for at in range(0, len(plain), KMS_BYTES_MAX)]


def _part_context(context: Mapping[str, str], *, number: int, of: int) -> dict[str, str]:
    return {**context, "part": f"{number + 1}/{of}"}


def _blobs(sealed: bytes) -> list[bytes]:
    blobs = []
    at = 0
    while at < len(sealed):
        size = int.from_bytes(sealed[at : at + 2], "big")
        blobs.append(sealed[at + 2 : at + 2 + size])
        at += 2 + size
    if at != len(sealed) or not all(blobs):
        raise PermanentError("seal_broken", "The sealed bytes are damaged.")
    return blobs


_BROKEN = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


@contextmanager
def _kms_refusals() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _BROKEN:
            message = "The sealed bytes do not belong to this key or context."
            raise PermanentError("seal_broken", message) from error
        raise TransientError("seal_unavailable", "KMS refused the call.") from error
    except BotoCoreError as error:
        raise TransientError("seal_unavailable", "KMS did not answer.") from error
