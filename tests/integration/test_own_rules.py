"""One's own rules on one's own page: shown, previewed, saved, and held to the tenant's locks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from moto import mock_aws

from shared.domain.own_rules import Documents, own_document, shown_settings
from tests.people import Person, console_beside, page_link
from tests.stack import GOOGLE, START, Stack
from tests.stack_api import StackApi

SCOPE = "entity:default:u1"
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


class Scene:
    def __init__(self) -> None:
        self.stack = Stack()
        account = self.stack.recall.account(GOOGLE, "owner@acme.example")
        for hour, title in enumerate(("Standup", "Customer call", "Interview")):
            account.add_event(
                title,
                start=START + timedelta(hours=3 + hour),
                link=f"https://zoom.us/j/8991234567{hour}",
                attendees=["guest@globex.example"],
            )
        self.stack.connect("owner@acme.example")
        self.stack.run(10)
        self.person = Person(console_beside(self.stack))
        self.page = page_link(StackApi(self.stack)) + "/rules"

    def put(self, scope: str, document: dict[str, Any]) -> None:
        self.stack.stores.settings.put_rules(scope, document, by="test", at=START)

    def stored(self) -> dict[str, Any] | None:
        return self.stack.stores.settings.rules(SCOPE)

    def send(self, **form: str) -> Any:
        return self.person.submit(self.page, self.page, _named(form))

    def save(self, **form: str) -> Any:
        """By the button of the preview, with what the preview carries."""
        preview = self.send(**form)
        carried = {name: unescape(value) for name, value in HIDDEN.findall(preview.body)}
        return self.person.send(self.page, {**carried, "save": "1"})

    def bots(self) -> set[str]:
        self.stack.run(30, ticks=True)
        calendars = self.stack.stores.calendars.find(tenant_id="default").items
        rows = self.stack.stores.meetings.of_calendar(calendars[0].calendar_id).items
        return {row.event.title for row in rows if row.bots}


@pytest.fixture
def scene() -> Iterator[Scene]:
    with mock_aws():
        yield Scene()


def _named(form: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", "."): value for name, value in form.items()}


def test_the_form_shows_what_is_in_force(scene: Scene) -> None:
    scene.put("tenant:default", {"min_others": 4, "exclude": {"keywords": ["secret <b>"]}})
    body = scene.person.get(scene.page).body

    assert 'value="all" checked' in body
    assert re.search(r'name="min_others"[^>]* value="4"', body)
    assert "secret &lt;b&gt;" in body


def test_the_difference_is_shown_before_anything_is_saved(scene: Scene) -> None:
    body = _words(scene.send(exclude__keywords="interview").body)

    assert "More bots +0 Fewer bots \u22121 Unchanged 2" in body
    assert "Won't join any more" in body
    assert "Interview" in body
    assert scene.stored() is None


def test_saved_rules_decide(scene: Scene) -> None:
    answer = scene.save(exclude__keywords="interview\n\n standup ")

    assert (303, f"{scene.page}?done=saved") == (answer.status, answer.location)
    assert {"exclude": {"keywords": ["interview", "standup"], "people": [], "domains": []}} == (
        scene.stored()
    )
    assert "page" == scene.stack.stores.settings.rules_version(SCOPE).set_by
    assert {"Customer call"} == scene.bots()
    assert "Your rules are saved" in scene.person.get(answer.location).body


def test_what_has_no_control_stays(scene: Scene) -> None:
    scene.put("tenant:default", {"include": {"domains": ["globex.example"]}})
    scene.put(SCOPE, {"bot": {"bot_name": "Ada's notes"}, "min_others": 2})
    scene.save(include__keywords="call", base="organizer")

    assert scene.stored() == {
        "bot": {"bot_name": "Ada's notes"},
        "min_others": 2,
        "base": "organizer",
        "include": {"keywords": ["call"], "people": [], "domains": ["globex.example"]},
    }


def test_a_setting_like_the_tenant_s_follows_the_tenant_again(scene: Scene) -> None:
    scene.put(SCOPE, {"base": "external"})
    scene.save(base="all")

    assert scene.stored() == {}


def test_a_locked_setting_is_greyed_and_cannot_be_forced(scene: Scene) -> None:
    scene.put("tenant:default", {"base": "off", "locked": ["base", "exclude"]})
    body = scene.person.get(scene.page).body
    answer = scene.save(base="all", exclude__keywords="x", min_others="3")

    assert 3 == body.count("Your organization decides this")
    assert 303 == answer.status
    assert {"min_others": 3} == scene.stored()


def test_rules_that_others_changed_meanwhile_are_not_overwritten(scene: Scene) -> None:
    preview = scene.send(base="organizer")
    carried = {name: unescape(value) for name, value in HIDDEN.findall(preview.body)}
    scene.put(SCOPE, {"min_others": 5})
    answer = scene.person.send(scene.page, {**carried, "save": "1"})

    assert 412 == answer.status
    assert "rules_changed" in answer.body
    assert {"min_others": 5} == scene.stored()


def test_saving_without_a_preview_is_refused(scene: Scene) -> None:
    assert 412 == scene.send(base="off", save="1").status
    assert scene.stored() is None


@pytest.mark.parametrize(
    "form",
    [
        {"base": "everything"},
        {"rsvp": ""},
        {"min_others": "-1"},
        {"min_others": "10001"},
        {"min_others": "many"},
        {"min_others": "²"},
        {"exclude__keywords": "***"},
        {"include__keywords": "a*b"},
        {"exclude__people": "no address"},
        {"exclude__keywords": "x" * 101},
        {"exclude__keywords": "\n".join(f"word{n}" for n in range(201))},
    ],
)
def test_what_cannot_be_saved_is_said_beside_its_field(scene: Scene, form: dict[str, str]) -> None:
    answer = scene.send(**form)

    assert 400 == answer.status
    assert 1 <= answer.body.count('class="problem"')
    assert 'aria-invalid="true"' in answer.body or "base" in form
    assert scene.stored() is None


def test_going_back_keeps_what_was_typed(scene: Scene) -> None:
    body = scene.send(exclude__keywords="<b>interview</b>", edit="1").body

    assert "&lt;b&gt;interview&lt;/b&gt;" in body


def test_nothing_changed_says_so(scene: Scene) -> None:
    assert "Nothing was changed" in scene.send(base="all", min_others="1").body


def test_settings_of_a_key_share_its_lock() -> None:
    documents = Documents(default={}, tenant={"locked": ["exclude"]}, entity={"base": "off"})
    shown = {each.setting.name: (each.locked, each.own) for each in shown_settings(documents)}

    assert (True, False) == shown["exclude.people"] == shown["exclude.keywords"]
    assert (False, True) == shown["base"]
    assert {"base": "off"} == own_document(documents, {})


def _words(body: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
