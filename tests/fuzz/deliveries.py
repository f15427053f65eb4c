"""Deliveries for the verifier, each from a number and a seed alone: sound, odd and forged."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.deliveries import PAYLOADS

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
BODY_BYTES_MAX = 256 * 1024
KEYS = {
    "one": b"example-signing-key-0123456789ab",
    "two": b"another-signing-key-0123456789ab",
    "short": b"k",
    "binary": bytes(range(64)),
}
FOREIGN = b"a-key-that-nobody-configured-012"


def secret_text(key: bytes, *, padded: bool = True, prefix: str = "whsec_") -> str:
    encoded = base64.b64encode(key).decode()
    return prefix + (encoded if padded else encoded.rstrip("="))


# What an operator may have stored; the last one holds nothing usable.
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "one": (secret_text(KEYS["one"]),),
    "two, one of them broken": (
        "whsec_a",
        secret_text(KEYS["one"]),
        secret_text(KEYS["two"]),
    ),
    "bare and unpadded": (
        secret_text(KEYS["binary"], padded=False),
        secret_text(KEYS["short"], prefix=""),
        secret_text(KEYS["one"]),
    ),
    "unusable": ("whsec_", "whsec_a", "ключ"),
}
SIGNERS = {
    "one": ("one",),
    "two, one of them broken": ("one", "two"),
    "bare and unpadded": ("binary", "short", "one"),
    "unusable": ("one",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the gateway hands over. `body` is None where its base64 cannot be read."""

    number: int
    configuration: str
    now: datetime
    headers: dict[str, str] | None
    body: bytes | None
    text: str | None = field(repr=False)
    is_base64: bool
    refusal: str | None
    story: tuple[str, ...]

    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "POST /webhooks/recall",
            "rawPath": "/webhooks/recall",
            "isBase64Encoded": self.is_base64,
        }
        if self.headers is not None:
            event["headers"] = self.headers
        if self.text is not None:
            event["body"] = self.text
        return event


SAMPLES = tuple(path.read_bytes() for path in sorted(PAYLOADS.glob("*.json")))
DOCUMENTS = tuple(json.loads(sample) for sample in SAMPLES)
ODD_TEXTS = (
    "", " ", "0", "None", "null", "é", "ü" * 200, "\x00", "a\x00b", "\ud800", "\udfff\ud800", "💣",
    "\u202e", "\r\n", "../..", "m" * 128, "m" * 129, "m" * 3_000, "msg 1", "msg.1",
    "msg.1803891600", "msg_" + "9" * 40, "{}", "'\"<>", "%00", "\u0661\u0662", "\ufeffmsg",
    "a,b", "v1,a", "\x7f",
    "\t", "~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}", "ﬀ", "İ", "a\u0301",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, float("nan"), float("inf"), 10**40, [], {}, [[]], [None],
    {"id": None}, {"id": "b"}, {"code": 7}, {"code": "done"}, *ODD_TEXTS,
)  # fmt: skip
EVENTS = (
    "calendar.sync_events", "calendar.update", "calendar.delete", "bot.status_change", "bot.done",
    "bot.fatal", "bot.log", "bot.", "bot", "BOT.DONE", "bot.done ", "bot.invented",
    "recording.done", "recording.failed", "recording.", "recording.invented", "transcript.done",
    "", "\ud800",
)  # fmt: skip
MOMENTS = (
    "2027-03-03T09:00:33.290771+00:00", "2027-03-03T09:00:33Z", "2027-03-03",
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-12:00",
    "2027-02-30T00:00:00Z", "now",
    "2027-03-03T09:00:33", "-1", "20270303T090033Z", "2027-W09-3T00:00:00Z", "",
    "2027-03-03T09:00:33.1234567891Z", "٢٠٢٧-03-03T09:00:33Z", "2027-03-03T24:00:00Z",
)  # fmt: skip
TIMESTAMPS = (
    "", "0", "-0", "-1", "1e9", "nan", "NaN", "inf", "-inf", "infinity", "0x10", "١٨٠٣٨٩١٦٠٠",
    "\uff11\uff18\uff10\uff13\uff18\uff19\uff11\uff16\uff10\uff10",
    "9" * 11, "9" * 12, "9" * 19, "9" * 400, "1" * 5_000, "now", "\x00",
    "1803891600\x00", "1803891600\n", " 1803891600", "1803891600 ", "+1803891600", "1_803_891_600",
    "1803891600.0", "1803891600.999", "1803891600e0", "01803891600", "001803891600", "1,803891600",
    "True", "-1803891600", "1803891600.", ".1803891600e10", "253402300800", "62135596801",
)  # fmt: skip


def delivery(number: int, *, seed: int) -> Delivery:
    """The delivery of this number."""
    return _Maker(number, random.Random(f"{seed}/{number}")).delivery()


class _Maker:
    """One delivery in the making: a sound one, then what chance does to it."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        self.chance = chance
        self.story: list[str] = []
        self.configuration = chance.choices(tuple(CONFIGURATIONS), (40, 30, 27, 3))[0]
        self.now = NOW + timedelta(microseconds=chance.choice((0, 0, 1, 499_999, 999_999)))
        self.family = chance.choice(("svix", "webhook"))
        self.key = KEYS[chance.choice(SIGNERS[self.configuration])]
        self.delivery_id = f"msg_{chance.getrandbits(128):032x}"
        self.timestamp = str(int(NOW.timestamp()) + chance.randint(-290, 290))
        self.body = b""

    def told(self, word: str) -> None:
        self.story.append(word)

    def some(self, share: float) -> bool:
        return self.chance.random() < share

    def delivery(self) -> Delivery:
        self._body()
        if self.some(0.15):
            self._odd_id()
        if self.some(0.2):
            self._odd_timestamp()
        signatures = self._signatures()
        headers: dict[str, str] | None = self._headers(signatures)
        if self.some(0.25):
            headers = self._tampered(headers)
        if self.some(0.01):
            self.told("no headers at all")
            headers = None
        text, is_base64, carried = self._carried()
        return Delivery(
            number=self.number,
            configuration=self.configuration,
            now=self.now,
            headers=headers,
            body=carried,
            text=text,
            is_base64=is_base64,
            refusal=self._refusal(),
            story=tuple(self.story),
        )

    # Bodies.

    def _body(self) -> None:
        kinds = (self._sample, self._bent, self._built, self._damaged, self._strange, self._large)
        kind = self.chance.choices(kinds, (25, 25, 20, 15, 14, 1))[0]
        self.told(f"body {kind.__name__.strip('_')}")
        self.body = kind()

    def _sample(self) -> bytes:
        return self.chance.choice(SAMPLES)

    def _bent(self) -> bytes:
        """A real document with one to three places replaced, dropped or renamed."""
        document = json.loads(self.chance.choice(SAMPLES))
        for _ in range(self.chance.randint(1, 3)):
            self._bend(document)
        return self._written(document)

    def _bend(self, document: Any) -> None:
        place: Any = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                return
            key = self.chance.choice(keys)
            inner = place[key]
            if isinstance(inner, dict | list) and inner and self.some(0.7):
                place = inner
                continue
            break
        match self.chance.randrange(4):
            case 0 if isinstance(place, dict):
                del place[key]
            case 1 if isinstance(place, dict):
                place[self.chance.choice(ODD_TEXTS)] = place.pop(key)
            case 2:
                place[key] = self.chance.choice(MOMENTS)
            case _:
                place[key] = self._odd_value()

    def _odd_value(self) -> Any:
        # A copy: what is bent next must not bend the values of later deliveries.
        return copy.deepcopy(self.chance.choice(ODD_VALUES))

    def _built(self) -> bytes:
        chance = self.chance
        status = {
            "code": chance.choice(("done", "fatal", *ODD_VALUES)),
            "sub_code": chance.choice((None, "meeting_not_found", *ODD_VALUES)),
            "updated_at": chance.choice((*MOMENTS, *ODD_VALUES)),
            "created_at": chance.choice(MOMENTS),
            "error": chance.choice(ODD_VALUES),
        }
        data = {
            "calendar_id": chance.choice(("c1", *ODD_VALUES)),
            "bot_id": chance.choice(("b1", *ODD_VALUES)),
            "bot": {"id": chance.choice(("b1", *ODD_TEXTS)), "metadata": self._metadata()},
            "recording": {"id": chance.choice(("r1", *ODD_VALUES))},
            "data": status,
            "status": status,
        }
        for name in list(data):
            if self.some(0.05):
                data[name] = chance.choice(ODD_VALUES)
        document = {"event": chance.choice(EVENTS), "data": data}
        if self.some(0.05):
            document[chance.choice(("event", "data"))] = chance.choice(ODD_VALUES)
        return self._written(document)

    def _metadata(self) -> Any:
        if self.some(0.2):
            return self.chance.choice(ODD_VALUES)
        return {
            self.chance.choice(ODD_TEXTS): self.chance.choice(ODD_VALUES)
            for _ in range(self.chance.randrange(4))
        }

    def _written(self, document: Any) -> bytes:
        ascii_only = self.some(0.5)
        text = json.dumps(document, ensure_ascii=ascii_only, indent=self.chance.choice((None, 2)))
        if self.some(0.05):
            # Of keys that stand twice the last one counts.
            twice = json.dumps(self.chance.choice(("event", "data", "id")))
            text = "{" + twice + ":" + json.dumps(self.chance.choice(EVENTS)) + "," + text[1:]
        return text.encode(errors="surrogatepass")

    def _damaged(self) -> bytes:
        """A real document with bytes flipped, cut, doubled or put in."""
        body = bytearray(self.chance.choice(SAMPLES))
        for _ in range(self.chance.randint(1, 3)):
            at = self.chance.randrange(len(body) or 1)
            match self.chance.randrange(4):
                case 0 if body:
                    body[at] ^= 1 << self.chance.randrange(8)
                case 1:
                    del body[at:]
                case 2:
                    body[at:at] = bytes([self.chance.randrange(256)])
                case _:
                    body += body[:at]
        return bytes(body)

    def _strange(self) -> bytes:
        chance = self.chance
        deep = chance.choice((5, 500, 3_000))
        sample = chance.choice(SAMPLES)
        return chance.choice(
            (
                b"", b" ", b"\x00", b"null", b"true", b"7", b'"text"', b"[]", b"{}", b"NaN", b"-",
                b"[" * deep, b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep,
                b'{"event":"bot.done","data":' + b"[" * deep + b"]" * deep + b"}",
                b'{"event":"bot.done","data":{"bot":{"id":"b","metadata":' + b'{"a":' * deep + b"1"
                + b"}" * deep + b'},"data":{"code":"done"}}}',
                b"1" * 5_000, b'{"event":' + b"1" * 5_000 + b"}", b"\xff\xfe",
                b"\xef\xbb\xbf" + sample,                 b"\xed\xa0\x80", b"\xc0\x80",
                sample.decode().encode("utf-16"),
                sample.decode().encode("utf-16-le"), sample.decode().encode("utf-32-be"),
                sample.decode().encode("utf-7"), sample + b"\x00", b"\r\n" + sample + b"\r\n",
                sample + sample, chance.randbytes(chance.randrange(64)),
            )
        )  # fmt: skip

    def _large(self) -> bytes:
        """Around the largest body that is taken, and far above."""
        empty = {"event": "bot.done", "data": {"bot": {"id": "b", "metadata": {"t": ""}},
                                               "data": {"code": "done"}}}  # fmt: skip
        if self.some(0.3):
            empty["event"] = "transcript.done"
        size = self.chance.choice(
            (200_000, BODY_BYTES_MAX - 1, BODY_BYTES_MAX, BODY_BYTES_MAX + 1, 1_000_000)
        )
        letter = self.chance.choice(("x", "x", "é"))
        bare = len(json.dumps(empty, ensure_ascii=False).encode())
        filling = letter * ((size - bare) // len(letter.encode()))
        empty["data"]["bot"]["metadata"]["t"] = filling
        return json.dumps(empty, ensure_ascii=False).encode().ljust(size)

    # Headers.

    def _odd_id(self) -> None:
        self.told("odd id")
        self.delivery_id = self.chance.choice(ODD_TEXTS)

    def _odd_timestamp(self) -> None:
        if self.some(0.5):
            off = self.chance.choice((299, 300, 301, 302, 3_600, 10**8, 10**10))
            self.timestamp = str(int(NOW.timestamp()) + self.chance.choice((-1, 1)) * off)
            self.told(f"{off} s off")
            return
        self.told("odd timestamp")
        self.timestamp = self.chance.choice(TIMESTAMPS)

    def _signed(self, key: bytes, *, stamp: str | None = None) -> bytes:
        stamp = self.timestamp if stamp is None else stamp
        text = f"{self.delivery_id}.{stamp}.".encode(errors="surrogatepass") + self.body
        return hmac.new(key, text, hashlib.sha256).digest()

    def _signatures(self) -> str:
        """One signature as it should be, or what else may stand there."""
        sound = "v1," + base64.b64encode(self._signed(self.key)).decode()
        if self.some(0.55):
            return sound
        kind = self.chance.choice(
            (
                self._near_miss, self._foreign, self._variant, self._variant, self._crowd,
                self._crowd, self._other_stamp, self._of_something_else, self._nonsense,
            )
        )  # fmt: skip
        self.told(f"signature {kind.__name__.strip('_')}")
        return kind(sound)

    def _near_miss(self, sound: str) -> str:
        """One bit of the digest, or one letter of its writing."""
        del sound
        digest = bytearray(self._signed(self.key))
        digest[self.chance.randrange(len(digest))] ^= 1 << self.chance.randrange(8)
        return "v1," + base64.b64encode(digest).decode()

    def _foreign(self, sound: str) -> str:
        del sound
        others = [key for key in (*KEYS.values(), FOREIGN) if key != self.key]
        return "v1," + base64.b64encode(self._signed(self.chance.choice(others))).decode()

    def _variant(self, sound: str) -> str:
        """The right digest, written otherwise."""
        digest = self._signed(self.key)
        plain = sound[3:]
        return self.chance.choice(
            (
                "v1," + base64.urlsafe_b64encode(digest).decode(),
                "v1," + plain.rstrip("="),
                "v1," + plain + "=" * self.chance.randint(1, 3),
                "v1," + plain + self.chance.choice(("\n", "\x00", "!", "é", "A", "=A")),
                "v1," + plain[:10] + self.chance.choice(("\n", "*", "-", "\t", "%")) + plain[10:],
                "v1," + digest.hex(),
                "v1," + plain.swapcase(),
                "v1," + base64.b32encode(digest).decode(),
                "v1," + plain[:-2] + chr(ord(plain[-2]) ^ 1) + "=",
                "V1," + plain, "v1a," + plain, "v2," + plain, "v1;" + plain, "v1=" + plain,
                plain, "," + plain, "v1," + plain + ",", "v1,," + plain, " " + sound, sound + " ",
                "v1 ," + plain, "v1, " + plain, "\ufeff" + sound, "v\uff11," + plain,
            )
        )  # fmt: skip

    def _crowd(self, sound: str) -> str:
        """Several in one header, the right one among them or not."""
        pool = [
            "v1,AAAA", "v1a,AAAA", "v1,", "v2,BBBB", self._near_miss(sound), self._foreign(sound),
            "v1a," + sound[3:], "v1,é", "v1,A", "v1", "v1,a,b", "v1,====",
        ]  # fmt: skip
        sound_share = 0.7
        crowd = [self.chance.choice(pool) for _ in range(self.chance.randint(1, 5))]
        if self.some(sound_share):
            crowd.insert(self.chance.randrange(len(crowd) + 1), sound)
        if self.some(0.02):
            crowd = ["v1,AAAA"] * 2_000 + crowd
        return self.chance.choice((" ", " ", " ", " ", ",", "  ", "\t", ";")).join(crowd)

    def _other_stamp(self, sound: str) -> str:
        """As a library would sign that read the timestamp as a number."""
        try:
            stamp = str(int(float(self.timestamp)))
        except (ValueError, OverflowError):
            return sound
        return "v1," + base64.b64encode(self._signed(self.key, stamp=stamp)).decode()

    def _of_something_else(self, sound: str) -> str:
        del sound
        maker = self.chance.choice((b"", self.body + b" ", self.body[:-1], b"{}"))
        body, self.body = self.body, maker
        digest = self._signed(self.key)
        self.body = body
        return "v1," + base64.b64encode(digest).decode()

    def _nonsense(self, sound: str) -> str:
        del sound
        return self.chance.choice((*ODD_TEXTS, "v1", "v1,", ",", ",,", "v1,\ud800", "v1,a v1,b"))

    def _headers(self, signatures: str) -> dict[str, str]:
        values = {"id": self.delivery_id, "timestamp": self.timestamp, "signature": signatures}
        sent = {"content-type": "application/json", "user-agent": "Svix-Webhooks/1.2"}
        return sent | {f"{self.family}-{name}": value for name, value in values.items()}

    def _tampered(self, headers: dict[str, str]) -> dict[str, str]:
        kind = self.chance.choice(
            (
                self._dropped, self._both_families, self._mixed_families, self._case, self._case,
                self._swapped, self._doubled,
            )
        )  # fmt: skip
        self.told(f"headers {kind.__name__.strip('_')}")
        return kind(headers)

    def _part(self) -> str:
        return self.chance.choice(("id", "timestamp", "signature"))

    def _dropped(self, headers: dict[str, str]) -> dict[str, str]:
        gone = f"{self.family}-{self._part()}"
        if self.some(0.3):
            return headers | {gone: ""}
        return {name: value for name, value in headers.items() if name != gone}

    def _both_families(self, headers: dict[str, str]) -> dict[str, str]:
        """The other family beside it: the same, or empty, or forged."""
        other = "svix" if self.family == "webhook" else "webhook"
        more = {
            name.replace(self.family, other, 1): value
            for name, value in headers.items()
            if name.startswith(self.family)
        }
        if self.some(0.6):
            more[f"{other}-{self._part()}"] = self.chance.choice(ODD_TEXTS)
        return headers | more if self.some(0.5) else more | headers

    def _mixed_families(self, headers: dict[str, str]) -> dict[str, str]:
        other = "svix" if self.family == "webhook" else "webhook"
        moved = f"{self.family}-{self._part()}"
        return {
            (name.replace(self.family, other, 1) if name == moved else name): value
            for name, value in headers.items()
        }

    def _case(self, headers: dict[str, str]) -> dict[str, str]:
        write = self.chance.choice((str.title, str.upper, str.swapcase, str.capitalize))
        return {write(name) if self.some(0.7) else name: value for name, value in headers.items()}

    def _swapped(self, headers: dict[str, str]) -> dict[str, str]:
        one, two = (f"{self.family}-{self._part()}" for _ in range(2))
        return headers | {one: headers[two], two: headers[one]}

    def _doubled(self, headers: dict[str, str]) -> dict[str, str]:
        """Headers that stand twice: the gateway joins their values with commas."""
        twice = f"{self.family}-{self._part()}"
        if self.some(0.5):
            return headers | {twice: f"{headers[twice]},{headers[twice]}"}
        other = self.chance.choice(("msg_9", "v1,AAAA", self.timestamp))
        spelled = self.chance.choice((twice.title(), twice.upper()))
        pair = {spelled: other} if self.some(0.5) else {spelled: headers[twice], twice: other}
        return headers | pair

    # The way through the gateway and on to the queue.

    def _carried(self) -> tuple[str | None, bool, bytes | None]:
        """The event's body, its base64 flag, and the bytes that they stand for."""
        encoded = base64.b64encode(self.body).decode()
        if self.body and self.some(0.02):
            self.told("broken base64")
            return (
                self.chance.choice(("%" + encoded, encoded + "é", encoded[:-1] + "\ud800")),
                True,
                None,
            )
        if not self.body and self.some(0.5):
            return None, self.some(0.5), b""
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return encoded, True, self.body
        if self.some(0.3):
            return encoded, True, self.body
        if self.some(0.01):
            self.told("half a surrogate in the text")
            return text + "\ud800", False, (text + "\ud800").encode(errors="surrogatepass")
        return text, False, self.body

    def _refusal(self) -> str | None:
        """What SQS says; mostly nothing."""
        kinds = (None, "ThrottlingException", "AWS.SimpleQueueService.NonExistentQueue",
        "no answer",
                 "taken, no answer")  # fmt: skip
        return self.chance.choices(kinds, (94, 2, 1, 2, 1))[0]
