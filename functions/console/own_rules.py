"""The rules of one's own: a few settings, what they would change, and saving them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from functions.console.link import Holder, changed_by, own_page, seen_by
from functions.console.service import Service
from shared.domain.own_rules import (
    SETTINGS,
    Control,
    Documents,
    Setting,
    Shown,
    Value,
    own_document,
    shown_settings,
)
from shared.entrypoints.rules_body import RulesBody
from shared.errors import CallerError
from shared.flows.meetings import ShownMeeting
from shared.flows.own_page import OwnRules
from shared.flows.preview import Preview
from shared.flows.rules import RulesPut, put_rules
from shared.pages.texts import text
from shared.pages.web import Answer, Routes, see_other

BY: Final = "page"
LISTED_MAX: Final = 12
NUMBER_DIGITS_MAX: Final = 5

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A setting as the form shows it; `problem` says what is wrong with what was typed."""

    shown: Shown
    typed: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What new rules would change: counts, a few meetings of each kind, and the first moment."""

    added: int
    removed: int
    changed: int
    unchanged: int
    comes: tuple[ShownMeeting, ...]
    goes: tuple[ShownMeeting, ...]
    first: datetime | None


def add_own_rules(routes: Routes, service: Service) -> None:
    routes.get("/my/{token}/rules")(
        seen_by(service, lambda request, holder: _show(service, holder, done=request.asked("done")))
    )
    routes.post("/my/{token}/rules")(
        changed_by(service, lambda _, holder, form: _answer(service, holder, form=form))
    )


def _show(service: Service, holder: Holder, *, done: str | None) -> Answer:
    rules = service.own_pages().rules(holder.link)
    return _form_page(service, holder, rules=rules, done=text("own.rules.saved") if done else None)


def _answer(service: Service, holder: Holder, *, form: dict[str, str]) -> Answer:
    """First what would change; with `save` it is done, if nobody was faster."""
    rules = service.own_pages().rules(holder.link)
    wanted, problems = _read(form, rules.documents)
    document = own_document(rules.documents, wanted)
    problems = problems or _problems(document)
    if problems or "edit" in form:
        status = 400 if problems else 200
        return _form_page(service, holder, rules=rules, form=form, problems=problems, status=status)
    if "save" in form:
        return _save(service, holder, rules=rules, document=document, form=form)
    return _preview(service, holder, rules=rules, document=document, form=form)


def _form_page(
    service: Service,
    holder: Holder,
    *,
    rules: OwnRules,
    form: Form | None = None,
    problems: Mapping[str, str] | None = None,
    done: str | None = None,
    status: int = 200,
) -> Answer:
    fields = [
        Field(
            shown=each,
            typed=_typed(each) if form is None else form.get(each.setting.name, _typed(each)),
            problem=(problems or {}).get(each.setting.name),
        )
        for each in shown_settings(rules.documents)
    ]
    return own_page(
        service,
        holder,
        template="own_rules.html",
        status=status,
        fields=fields,
        done=done,
        problem=text("own.rules.wrong") if problems else None,
    )


def _preview(
    service: Service,
    holder: Holder,
    *,
    rules: OwnRules,
    document: dict[str, Any],
    form: Form,
) -> Answer:
    now = service.clock()
    try:
        found = service.previewer().preview(rules.scope, document, now=now)
    except CallerError as error:
        if error.code != "preview_too_large":
            raise
        difference = None
    else:
        difference = _difference(found)
    names = {each.name for each in SETTINGS} & form.keys()
    return own_page(
        service,
        holder,
        template="own_preview.html",
        difference=difference,
        typed={name: form[name] for name in sorted(names)},
        version=rules.version,
        same=document == rules.documents.entity,
    )


def _difference(preview: Preview) -> Difference:
    both = sorted((*preview.added, *preview.removed, *preview.changed), key=_start)
    return Difference(
        added=len(preview.added),
        removed=len(preview.removed),
        changed=len(preview.changed),
        unchanged=len(preview.unchanged),
        comes=tuple(sorted(preview.added, key=_start)[:LISTED_MAX]),
        goes=tuple(sorted(preview.removed, key=_start)[:LISTED_MAX]),
        first=both[0].meeting.event.start if both else None,
    )


def _start(shown: ShownMeeting) -> datetime:
    return shown.meeting.event.start


def _save(
    service: Service,
    holder: Holder,
    *,
    rules: OwnRules,
    document: dict[str, Any],
    form: Form,
) -> Answer:
    """On top of the version that the difference was shown for."""
    seen = form.get("version", "")
    expected = frozenset({int(seen)}) if _is_number(seen) else frozenset()
    wanted = RulesPut(scope=rules.scope, document=document, by=BY, expected=expected)
    at = service.moment()
    put_rules(service.rules_doors(), wanted, now=at.now, unique=at.unique)
    return see_other(f"{holder.path}/rules", done="saved")


def _read(form: Form, documents: Documents) -> tuple[dict[str, Value], dict[str, str]]:
    """The settings that the form holds and nobody locked, and what is wrong with them, by name."""
    wanted: dict[str, Value] = {}
    problems: dict[str, str] = {}
    for setting in SETTINGS:
        if setting.key in documents.locked or setting.name not in form:
            continue
        value = _value(setting, form[setting.name])
        if value is None:
            problems[setting.name] = text(f"own.rules.problem.{setting.control.value}")
        else:
            wanted[setting.name] = value
    return wanted, problems


def _value(setting: Setting, typed: str) -> Value | None:
    match setting.control:
        case Control.CHOICE:
            return typed if typed in setting.options else None
        case Control.NUMBER:
            return int(typed) if _is_number(typed.strip()) else None
        case Control.LIST:
            lines = (line.strip() for line in typed.splitlines())
            return tuple(dict.fromkeys(line for line in lines if line))


def _is_number(typed: str) -> bool:
    return typed.isascii() and typed.isdigit() and len(typed) <= NUMBER_DIGITS_MAX


def _problems(document: dict[str, Any]) -> dict[str, str]:
    """By name; the document is held to the same as that of the API."""
    try:
        RulesBody.model_validate_json(json.dumps(document))
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        by_place = {".".join(str(part) for part in each["loc"][:2]): each["msg"] for each in found}
        known = {each.name: each for each in SETTINGS}
        return {
            name: text(f"own.rules.problem.{name}")
            for name in known
            if any(place == name or place == known[name].key for place in by_place)
        } or {SETTINGS[0].name: text("own.rules.wrong")}
    return {}


def _typed(shown: Shown) -> str:
    value = shown.value
    return "\n".join(value) if isinstance(value, tuple) else str(value)
