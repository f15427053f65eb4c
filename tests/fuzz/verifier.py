"""What the webhooks function must answer to a delivery, and whether it does.

Believed is what svix's own verifier takes. It reads timestamps as floating numbers; only whole
seconds as Svix writes them count here. Beside it stands the check from the Standard Webhooks text:
whatever is taken must be signed by a configured key over exactly these bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from functions.webhooks import app
from shared.observability import Log
from shared.queue import Queue
from shared.secrets import SecretStore
from tests.deliveries import library_clock
from tests.fuzz.deliveries import CONFIGURATIONS, Delivery, delivery

SQS_BYTES_MAX = 256 * 1024
SQS_ID = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
SQS_TEXT = re.compile(
    "[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*"
)  # what SQS takes in a body
REPORTS = frozenset(
    {
        *(f"bot.{code}" for code in ("joining_call", "in_waiting_room", "in_call_not_recording")),
        *(f"bot.recording_permission_{verdict}" for verdict in ("allowed", "denied")),
        *(f"bot.{code}" for code in ("in_call_recording", "call_ended", "done", "fatal")),
        *(f"bot.breakout_room_{act}" for act in ("entered", "left", "opened", "closed")),
        *(f"recording.{code}" for code in ("processing", "paused", "done", "failed", "deleted")),
    }
)
PROBLEMS = {401: "signature_invalid", 413: "body_too_large", 500: "delivery_unverifiable",
            503: "delivery_not_taken"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An answer's status, the metric with it, and what must lie on the queue."""

    status: int
    count: str | None
    sent: dict[str, Any] | None = None


class RecordedQueue:
    """SQS as far as one message goes: takes what the service takes, and may refuse it."""

    def __init__(self) -> None:
        self.refusal: str | None = None
        self.taken: list[dict[str, Any]] = []
        self.asked = 0

    def send_message(self, **call: Any) -> dict[str, Any]:
        self.asked += 1
        body = call["MessageBody"]
        for name in ("MessageGroupId", "MessageDeduplicationId"):
            if not SQS_ID.fullmatch(call[name]):
                raise AssertionError(f"SQS does not take this {name}")
        if not SQS_TEXT.fullmatch(body) or not 0 < len(body.encode()) <= SQS_BYTES_MAX:
            raise AssertionError("SQS does not take this body")
        match self.refusal:
            case None:
                self.taken.append(call)
                return {"MessageId": "1"}
            case "no answer":
                raise ReadTimeoutError(endpoint_url="https://sqs.example")
            case "taken, no answer":
                self.taken.append(call)
                raise ReadTimeoutError(endpoint_url="https://sqs.example")
            case code:
                raise ClientError({"Error": {"Code": code}}, "SendMessage")


class CountedLog(Log):
    """The function's log; what it counts can be read, what it writes too."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        super().__init__("fuzzed webhooks", stream=self.written)
        self.counted: Counter[str] = Counter()

    def count(self, name: Any, value: float = 1) -> None:
        self.counted[name] += int(value)


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self, **_: Any) -> dict[str, str]:
        return {"SecretString": self._text}


class Bench:
    """The function over one configuration of secrets."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self.secrets = secrets
        self.queue = RecordedQueue()
        self.log = CountedLog()
        self.now = datetime(2027, 3, 1, tzinfo=UTC)
        text = json.dumps({"recall_webhook_secret": " , ".join(secrets)})
        self.service = app.Service(
            queue=Queue(self.queue, "https://sqs.example/doorbell.fifo"),
            secrets=SecretStore(Secrets(text), "stack", required=["recall_webhook_secret"]),
            log=self.log,
            clock=lambda: self.now,
        )
        self.answered = 0
        self.verifiers = _usable(secrets)
        self.keys = [_key(text) for text in secrets] if self.verifiers else []

    def differences(self, given: Delivery) -> list[str]:
        """What the function did otherwise than it must; empty when all is well."""
        self.now = given.now
        self.queue.refusal, self.queue.asked = given.refusal, 0
        self.queue.taken.clear()
        self.log.counted.clear()
        expected = self._expected(given)
        try:
            answer = app.receive(given.event(), self.service)
        except Exception as error:  # noqa: BLE001 - an uncaught error is what is looked for
            self.answered = 0
            return [f"uncaught {type(error).__name__}"]
        self.answered = answer["statusCode"]
        return [*self._answer_differences(answer, expected), *self._queue_differences(expected)]

    # What must be.

    def _expected(self, given: Delivery) -> Expected:
        if not self.verifiers:
            return Expected(status=500, count="DeliveryUnverifiable")
        delivery_id = self._believed(given)
        if delivery_id is None or given.body is None:
            return Expected(status=401, count="DeliveryRefused")
        if len(given.body) > SQS_BYTES_MAX:
            return Expected(status=413, count="DeliveryTooLarge")
        try:
            meant = meaning(given.body, now=given.now)
        except Unreadable:
            return Expected(status=204, count="DeliveryUnreadable")
        if meant is None:
            return Expected(status=204, count="DeliveryIgnored")
        if len(json.dumps(meant, separators=(",", ":"))) > SQS_BYTES_MAX:
            return Expected(status=413, count="DeliveryTooLarge")
        sent = {
            "QueueUrl": "https://sqs.example/doorbell.fifo",
            "MessageBody": meant,
            "MessageGroupId": sqs_id(group_of(meant)),
            "MessageDeduplicationId": sqs_id(delivery_id),
        }
        if given.refusal is None:
            return Expected(status=204, count=None, sent=sent)
        kept = sent if given.refusal == "taken, no answer" else None
        return Expected(status=503, count="DeliveryNotTaken", sent=kept)

    def _believed(self, given: Delivery) -> str | None:
        """The id of a delivery that the library believes, with a timestamp as Svix writes it."""
        if given.body is None or given.headers is None:
            return None
        # A name that stands twice counts as it stood last, as the library reads it.
        lowered = {name.lower(): value for name, value in given.headers.items()}
        delivery_id, stamp, signatures = (
            lowered.get(f"svix-{name}", lowered.get(f"webhook-{name}", ""))
            for name in ("id", "timestamp", "signature")
        )
        if not re.fullmatch(r"0|[1-9][0-9]*", stamp, flags=re.ASCII):
            return None
        if not any(_accepts(each, given) for each in self.verifiers):
            return None
        if abs(int(stamp) - given.now.timestamp()) > 300:
            raise AssertionError("the library believed a time more than five minutes off")
        if not self._signed(delivery_id, stamp, signatures, body=given.body):
            raise AssertionError("the library believed what no configured key has signed")
        return delivery_id

    def _signed(self, delivery_id: str, stamp: str, signatures: str, *, body: bytes) -> bool:
        text = f"{delivery_id}.{stamp}.".encode() + body
        digests = [hmac.new(key, text, hashlib.sha256).digest() for key in self.keys if key]
        sent = [_decoded(entry[3:]) for entry in signatures.split(" ") if entry.startswith("v1,")]
        return any(digest in sent for digest in digests)

    # What is.

    def _answer_differences(self, answer: dict[str, Any], expected: Expected) -> list[str]:
        found = []
        if answer["statusCode"] != expected.status:
            found.append(f"answered {answer['statusCode']} instead of {expected.status}")
        code = PROBLEMS.get(answer["statusCode"])
        if code is None and (answer["body"], answer["headers"]) != ("", {}):
            found.append("says more than its status")
        if code is not None and (
            json.loads(answer["body"])["code"] != code
            or answer["headers"] != {"content-type": "application/problem+json"}
        ):
            found.append("is no problem document of its status")
        counted = Counter([expected.count] if expected.count else [])
        if self.log.counted != counted:
            found.append(f"counted {dict(self.log.counted)} instead of {dict(counted)}")
        return found

    def _queue_differences(self, expected: Expected) -> list[str]:
        wanted = [] if expected.sent is None else [expected.sent]
        taken = [
            {**call, "MessageBody": json.loads(call["MessageBody"])} for call in self.queue.taken
        ]
        asked = 1 if expected.sent is not None or expected.status == 503 else 0
        found = [] if taken == wanted else ["queued something else than it must"]
        return found if self.queue.asked == asked else [*found, "asked the queue oddly often"]


class Unreadable(Exception):
    """The delivery is no JSON, or lacks what its event must have."""


def meaning(body: bytes, *, now: datetime) -> dict[str, Any] | None:
    """The message that a believed body stands for; None when it means nothing to us."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable from None
    event, data = (_at(content, name) for name in ("event", "data"))
    if not isinstance(event, str) or not isinstance(data, dict):
        raise Unreadable
    received = now.isoformat().replace("+00:00", "Z")
    match event:
        case "calendar.sync_events":
            return {
                "type": "feed.changed",
                "received_at": received,
                "calendar_id": _word(data, "calendar_id"),
            }
        case "calendar.update":
            return {
                "type": "calendar.update",
                "calendar_id": _word(data, "calendar_id"),
                "received_at": received,
            }
        case "bot.status_change":
            return _old_report(data, now=now)
        case _ if event in REPORTS:
            return _report(event, data, now=now)
        case _ if event.split(".", 1)[0] in {"bot", "recording"} and "." in event:
            try:
                return _report(event, data, now=now)
            except Unreadable:
                return None
        case _:
            return None


def _old_report(data: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    status = data.get("status")
    code = _word(status, "code")
    return {
        "type": "bot.event",
        "event": f"bot.{code}",
        "bot_id": _word(data, "bot_id"),
        "code": code,
        "sub_code": _word(status, "sub_code") if status.get("sub_code") else None,
        "updated_at": _moment(status.get("created_at"), now=now),
        "metadata": None,
        "recording_id": None,
    }


def _report(event: str, data: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    bot, status = data.get("bot"), data.get("data")
    sub_code = _word(status, "sub_code") if _at(status, "sub_code") else None
    error = _at(_at(status, "error"), "code")
    if sub_code is None and isinstance(error, str) and error:
        sub_code = error
    metadata = _at(bot, "metadata")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    recording = event.startswith("recording.")
    return {
        "type": "bot.event",
        "event": event,
        "bot_id": _word(bot, "id"),
        "code": _word(status, "code"),
        "sub_code": sub_code,
        "updated_at": _moment(_at(status, "updated_at"), now=now),
        "metadata": {key: text for key, text in texts if isinstance(text, str)},
        "recording_id": _word(data.get("recording"), "id") if recording else None,
    }


_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)


def _moment(value: object, *, now: datetime) -> str:
    """In UTC to the microsecond; when it was received, where it says nothing."""
    found = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    moment = now
    if found:
        day, time, fraction, zone = found.groups()
        micros = (fraction or ".")[1:].ljust(6, "0")[:6]
        zone = "+00:00" if zone in {"Z", "z"} else zone
        try:
            moment = datetime.fromisoformat(f"{day}T{time}.{micros}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            moment = now
    return moment.isoformat().replace("+00:00", "Z")


def _at(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _word(value: object, name: str) -> str:
    found = _at(value, name)
    if not isinstance(found, str) or not found:
        raise Unreadable
    return found


def group_of(message: dict[str, Any]) -> str:
    match message["type"]:
        case "feed.changed":
            return "feed"
        case "calendar.update":
            return f"calendar:{message['calendar_id']}"
        case _:
            return f"bot:{message['bot_id']}"


def sqs_id(text: str) -> str:
    """Itself where SQS takes it, else its digest."""
    if SQS_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _usable(secrets: tuple[str, ...]) -> list[Any]:
    import svix.webhooks

    verifiers = []
    for text in secrets:
        try:
            verifiers.append(svix.webhooks.Webhook(text))
        except Exception:  # noqa: BLE001 - the library names no error of its own
            continue
    return verifiers


def _accepts(verifier: Any, given: Delivery) -> bool:
    try:
        verifier.verify(given.body, given.headers)
    except Exception:  # noqa: BLE001 - whatever it raises is a no
        return False
    return True


def _key(text: str) -> bytes:
    return _decoded(text.removeprefix("whsec_") + "==")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


@cache
def bench(configuration: str) -> Bench:
    return Bench(CONFIGURATIONS[configuration])


@dataclass(slots=True)
class Findings:
    """What a stretch of deliveries brought; `differences` by number."""

    statuses: Counter[int]
    differences: dict[int, list[str]]

    @property
    def errors(self) -> int:
        """Uncaught ones."""
        return sum(
            any(each.startswith("uncaught") for each in found)
            for found in self.differences.values()
        )


def play(numbers: range, *, seed: int) -> Findings:
    """Deliver these numbers; the library's clock is that of each delivery."""
    findings = Findings(Counter(), {})
    now = datetime(2027, 3, 1, tzinfo=UTC)
    with library_clock(lambda: now):
        for number in numbers:
            given = delivery(number, seed=seed)
            now = given.now
            stand = bench(given.configuration)
            found = stand.differences(given)
            findings.statuses[stand.answered] += 1
            if found:
                findings.differences[number] = found
    return findings


def play_stretch(work: tuple[range, int]) -> tuple[int, Findings]:
    """As `play`, for a pool of processes; also how many were played."""
    numbers, seed = work
    return len(numbers), play(numbers, seed=seed)
