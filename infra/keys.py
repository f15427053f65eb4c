"""API keys of a stack: `python -m infra.keys create|list|revoke --table TABLE`."""

from __future__ import annotations

import argparse
import secrets
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.config import AWS_LIMITS
from shared.domain.api_key import KEY_BYTES, SCOPES, fingerprint, key_text
from shared.domain.moment import moment_text
from shared.domain.secret import Secret
from shared.errors import CallerError, RollcallError
from shared.storage.api_keys import ApiKey
from shared.storage.stores import open_stores
from shared.storage.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.storage.api_keys import ApiKeyStore

LIVE_KEYS_MAX: Final = 2


class Keys:
    """The API keys of one table; a name (a caller) has at most two live ones, for rotation."""

    def __init__(self, store: ApiKeyStore, *, client: DynamoDBClient, table: str) -> None:
        self._store = store
        self._client = client
        self._table = table

    def create(self, name: str, *, scopes: Collection[str], chance: bytes, now: datetime) -> Secret:
        """A new key; its text exists nowhere else. CallerError when two of the name live."""
        live = [key for key in self.every() if key.name == name and key.revoked_at is None]
        if len(live) >= LIVE_KEYS_MAX:
            raise CallerError("api_keys_too_many", _too_many(name, live))
        key = Secret(key_text(chance))
        prefix, digest = fingerprint(key)
        self._store.put(
            ApiKey(
                prefix=prefix, digest=digest, scopes=frozenset(scopes), name=name, created_at=now
            )
        )
        return key

    def every(self) -> list[ApiKey]:
        """All keys, oldest first, the revoked ones included."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, ProjectionExpression="prefix", ConsistentRead=True
        )
        prefixes = [row["prefix"]["S"] for page in pages for row in page["Items"]]
        found = (self._store.get(prefix) for prefix in prefixes)
        return sorted((key for key in found if key is not None), key=lambda key: key.created_at)

    def revoke(self, prefix: str, *, now: datetime) -> ApiKey:
        """Revoke for good; a second time changes nothing. CallerError for an unknown prefix."""
        key = self._store.get(prefix)
        if key is None:
            raise CallerError("api_key_unknown", f"No key has the prefix {prefix}.", status=404)
        if key.revoked_at is not None:
            return key
        revoked = ApiKey(
            prefix=key.prefix,
            digest=key.digest,
            scopes=key.scopes,
            name=key.name,
            created_at=key.created_at,
            revoked_at=now,
        )
        self._store.put(revoked)
        return revoked


def main(arguments: Sequence[str]) -> int:
    """Exit code 0, or 1 with what to do about it."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, keys=_open(options.table), now=datetime.now(UTC))
    except RollcallError as error:
        print(error.message, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS refused: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, *, keys: Keys, now: datetime) -> None:
    match options.command:
        case "create":
            chance = secrets.token_bytes(KEY_BYTES)
            key = keys.create(options.name, scopes=options.scopes, chance=chance, now=now)
            print(f"prefix {fingerprint(key)[0]}; the key is shown only now:", file=sys.stderr)
            print(key.reveal())
        case "revoke":
            print(_line(keys.revoke(options.prefix, now=now)))
        case _:
            for known in keys.every():
                print(_line(known))


def _line(key: ApiKey) -> str:
    state = "live" if key.revoked_at is None else f"revoked {moment_text(key.revoked_at)}"
    scopes = ",".join(sorted(key.scopes))
    return f"{key.prefix}  {key.name}  {scopes}  created {moment_text(key.created_at)}  {state}"


def _too_many(name: str, live: Sequence[ApiKey]) -> str:
    oldest = live[0].prefix
    return (
        f"{name} has {len(live)} live keys already. Revoke the one that is no longer used, the "
        f"oldest is {oldest}: python -m infra.keys revoke --table TABLE --prefix {oldest}"
    )


def _open(table: str) -> Keys:
    client = boto3.client("dynamodb", config=AWS_LIMITS)
    tables = Tables(region=client.meta.region_name, api_keys=table)
    return Keys(open_stores(tables).api_keys, client=client, table=table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it once")
    create.add_argument("--name", required=True, help="who will use it")
    create.add_argument("--scopes", required=True, type=_scopes, help="read,write,admin")
    listing = commands.add_parser("list", help="show all keys, never their text")
    revoke = commands.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("--prefix", required=True, help="as list shows it")
    for command in (create, listing, revoke):
        command.add_argument("--table", required=True, help="output ApiKeysTableName of the stack")
    return parser


def _scopes(text: str) -> frozenset[str]:
    scopes = frozenset(text.split(","))
    if not scopes <= SCOPES:
        raise argparse.ArgumentTypeError(f"scopes are {', '.join(sorted(SCOPES))}")
    return scopes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
