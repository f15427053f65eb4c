"""A web address taken apart for comparing, out of the redirects that mail systems wrap it in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

WRAPPINGS_MAX: Final = 3

# Domain, path, and the part of the query that holds the address behind the redirect.
_WRAPPERS = (
    ("safelinks.protection.outlook.com", "", "url"),
    ("google.com", "/url", "q"),
    ("google.com", "/url", "url"),
    ("meet.google.com", "/linkredirect", "dest"),
)
# What a store refuses, what ends a part of a key, and what an address would read otherwise.
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0%|?#]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`host` in lower case without port; `path` decoded once; names of the query in lower case."""

    host: str
    path: str
    query: Mapping[str, str]
    fragment: str

    def at(self, *domains: str) -> bool:
        """Whether the host is one of the domains or below one."""
        return f".{self.host}".endswith(tuple(f".{domain}" for domain in domains))


def address_of(link: str) -> Address | None:
    """The address a link leads to, redirects that name their target left out; None if unreadable.

    Nothing is asked of the network.
    """
    address = _parsed(link)
    for _ in range(WRAPPINGS_MAX):
        target = _target(address) if address else None
        if target is None:
            break
        address = _parsed(target)
    return address


def escaped(text: str) -> str:
    """Readable text without blanks, controls and what separates parts of addresses and keys."""
    return _UNSAFE.sub(lambda found: quote(found[0]), text)


def _parsed(link: str) -> Address | None:
    try:
        url = _split(link.strip())
        host = url.hostname or ""
    except ValueError:
        return None
    return Address(
        # An address in brackets holds colons, which also end the name of a platform.
        host=f"[{host}]" if ":" in host else escaped(host.rstrip(".")),
        path=unquote(url.path),
        query={name.lower(): value for name, value in reversed(parse_qsl(url.query))},
        fragment=unquote(url.fragment),
    )


def _split(link: str) -> SplitResult:
    """People leave the scheme out."""
    url = urlsplit(link)
    return url if url.netloc else urlsplit(f"//{link}")


def _target(address: Address) -> str | None:
    for domain, path, name in _WRAPPERS:
        if address.at(domain) and address.path.startswith(path) and address.query.get(name):
            return address.query[name]
    return None
