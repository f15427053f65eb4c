"""Addresses and domains in the form in which they are compared."""

from __future__ import annotations

import pytest

from shared.domain.address import (
    canonical,
    canonical_domain,
    domain_of,
    domains_from,
    is_free_mail,
    people_from,
)


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (" Ada@Acme.Example ", "ada@acme.example"),
        ("ada@googlemail.com", "ada@gmail.com"),
        # No alias that nobody declared.
        ("a.d.a@gmail.com", "a.d.a@gmail.com"),
        ("ada+notes@gmail.com", "ada+notes@gmail.com"),
        ("ada@notgooglemail.com", "ada@notgooglemail.com"),
        ("", ""),
    ],
)
def test_the_form_of_an_address(address, form):
    assert form == canonical(address)


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ada@acme.example", "acme.example"),
        ('"a@b"@Acme.Example', "acme.example"),
        ("ada@googlemail.com", "gmail.com"),
        ("ada@bücher.example", "xn--bcher-kva.example"),
        ("ada@acme.example.", "acme.example"),
        ("ada", ""),
        ("", ""),
        ("ada@\ud800.example", "\ud800.example"),
    ],
)
def test_the_domain_of_an_address(address, domain):
    assert domain == domain_of(address)
    assert domain == canonical_domain(domain)


@pytest.mark.parametrize(
    ("domain", "free"),
    [
        ("gmail.com", True),
        ("gmx.de", True),
        ("qq.com", True),
        ("yahoo.com", True),
        ("yahoo.co.uk", True),
        ("hotmail.com.br", True),
        ("outlook.de", True),
        ("live.nl", True),
        ("acme.example", False),
        ("live.acme.com", False),
        ("outlook.acme.co.uk", False),
        ("yahoo-inc.com", False),
        ("mail.gmail.com", False),
        ("", False),
    ],
)
def test_domains_that_strangers_share(domain, free):
    assert free is is_free_mail(domain)


PATTERNS = ("acme.example", "*.acme.example", " *.Example ", "Bücher.example", "acme.example")


@pytest.mark.parametrize(
    ("domains", "place"),
    [
        ({"acme.example"}, 0),
        ({"eu.acme.example"}, 1),
        ({"a.b.acme.example"}, 1),
        ({"notacme.example"}, 2),
        ({"xn--bcher-kva.example"}, 2),
        ({"eu.acme.example", "acme.example"}, 0),
        ({"example"}, None),
        ({"acme.example.com"}, None),
        ({""}, None),
        (set(), None),
    ],
)
def test_the_first_pattern_of_the_list_counts(domains, place):
    assert place == domains_from(PATTERNS).first(domains)


@pytest.mark.parametrize(
    ("domain", "covered"),
    [("acme.example", True), ("eu.acme.example", False), ("eu.globex.example", True)],
)
def test_sub_domains_are_covered_only_where_a_pattern_says_so(domain, covered):
    assert covered is domains_from(("acme.example", "*.globex.example")).cover(domain)
    assert not domains_from(("*.globex.example",)).cover("globex.example")


def test_people_are_found_by_any_form_of_their_address():
    assert {"ada@gmail.com": 0, "bob@b.example": 1} == people_from(
        ("Ada@googlemail.com", "bob@B.example", "ada@gmail.com")
    )
