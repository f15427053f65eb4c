"""A stage for connects: moto for AWS, emulated Recall and providers, the real handlers."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from moto import mock_aws

from functions.calendars import app as calendars_app
from functions.oauth import app as oauth_app
from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import WorldAdapter
from infra.local.emulators.providers import ProviderWorld, answer_consent
from infra.local.emulators.recall import AccessToken, GrantFailure, GrantResult, RecallWorld
from shared.flows.calendars import refresh
from shared.recall import new_session
from shared.storage.tables import SCHEMAS
from tests.tables import REGION, client, create_tables

START = datetime(2027, 3, 1, 9, tzinfo=UTC)
PUBLIC = "https://rollcall.example"
RECALL = "https://us-west-2.recall.ai"
RETURN = "https://host.example/done?tab=calendars"
GOOGLE = "google_calendar"
OUTLOOK = "microsoft_outlook"
ADA = "ada@acme.example"
BOB = "bob@acme.example"
KEY_PREFIX = "rk_0123"


def url_safe(size: int) -> str:
    """As `token_urlsafe`, but for who does not say how much."""
    return secrets.token_urlsafe(int(size))


class Context:
    """What Lambda hands to a handler, as far as anybody looks."""

    function_name = "rollcall"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:rollcall"
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


class Answer:
    """A handler's answer, read."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.status: int = raw["statusCode"]
        self.headers = {name.lower(): value for name, value in raw.get("headers", {}).items()}
        self.cookies: list[str] = raw.get("cookies", [])
        self.body: str = raw.get("body") or ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}


class Browser:
    """Keeps its cookie and follows nothing by itself."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.cookie: str | None = None

    def get(self, url: str, **headers: str) -> Answer:
        parts = urlsplit(url)
        path = parts.path.strip("/").split("/")
        route, given = {
            "connect": ("GET /connect/{token}", {"token": path[-1]}),
            "oauth": (
                "GET /oauth/{platform}/callback",
                {"platform": path[1:2][0] if path[1:] else ""},
            ),
        }[path[0]]
        query = {k: ",".join(v) for k, v in parse_qs(parts.query).items()}
        event = gateway_event(route, path=parts.path, query=query, headers=headers)
        event["pathParameters"] = given
        event["cookies"] = ["other=1", *([self.cookie] if self.cookie else [])]
        answer = Answer(oauth_app.answer(event, self._stage.oauth))
        for cookie in answer.cookies:
            self.cookie = cookie.partition(";")[0]
        return answer


class Stage:
    """One deployment and its surroundings."""

    def __init__(self, **environment: str) -> None:
        self.clock = VirtualClock(START)
        self.tables = create_tables()
        self.worlds = {name: self._provider(name) for name in (GOOGLE, OUTLOOK)}
        self.recall = RecallWorld(
            self.clock,
            base_url=RECALL,
            api_key="recall-key",
            resolve_account=self._resolve,
            mint_access_token=self._mint,
        )
        self.session = new_session(1)
        self.recall_adapter = WorldAdapter(self.recall.handle)
        self.session.mount(RECALL, self.recall_adapter)
        self.provider_adapters = {}
        for name, world in self.worlds.items():
            self.provider_adapters[name] = WorldAdapter(world.handle)
            self.session.mount(world.base_url, self.provider_adapters[name])
        self.environment = {**self._aws(), **self._addresses(), **environment}
        parts: dict[str, Any] = {
            "client": self._client,
            "session": self.session,
            "clock": self.clock.now,
            "chance": url_safe,
        }
        self.oauth = oauth_app.compose(self.environment, **parts)
        self.calendars = calendars_app.compose(self.environment, **parts)
        self.api: APIGatewayHttpResolver = calendars_app.application(self.calendars)
        self.stores = self.calendars.stores

    # Acts.

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        event = gateway_event(f"{method} {path}", path=path, query=query, headers=headers)
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        return Answer(self.api.resolve(event, Context()))

    def start(self, **changes: object) -> Answer:
        wanted = {"entity_id": "u_1", "platform": GOOGLE, "return_url": RETURN}
        return self.call("POST", "/v1/connect-sessions", wanted | changes)

    def consent(self, location: str, *, email: str = ADA, **answer: Any) -> str:
        """What the person does at the provider; where the browser is sent next."""
        world = next(w for w in self.worlds.values() if location.startswith(w.base_url))
        return answer_consent(world.handle, location, email=email, **answer)

    def come_home(self, *, email: str = ADA, **changes: object) -> tuple[str, Answer]:
        """A whole consent; the session and the redirect to the host."""
        session = self.start(**changes).json
        browser = Browser(self)
        at_provider = browser.get(session["connect_url"])
        home = browser.get(self.consent(at_provider.location, email=email))
        return session["session_id"], home

    def complete(self, session_id: str, code: str) -> Answer:
        path = f"/v1/connect-sessions/{session_id}/complete"
        return self.call("POST", path, {"completion_code": code})

    def connect(self, **changes: Any) -> Answer:
        session_id, home = self.come_home(**changes)
        return self.complete(session_id, home.query["completion_code"])

    def add(self, account: str = ADA, **changes: object) -> Answer:
        platform = str(changes.get("platform", GOOGLE))
        token = self.token(account, platform if platform in self.worlds else GOOGLE)
        wanted = {"entity_id": "u_1", "platform": platform, "oauth_refresh_token": token}
        return self.call("POST", "/v1/calendars", wanted | changes)

    def token(self, email: str = ADA, platform: str = GOOGLE) -> str:
        world = self.worlds[platform]
        return world.issue_refresh_token(email, world.traits_scopes)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.recall.run_due()

    def refresh(self, calendar_id: str) -> Any:
        return refresh(self.calendars.calendar_doors(), calendar_id, now=self.clock.now())

    def settle(self, calendar_id: str) -> Any:
        """Recall's first sync, and our look at it."""
        self.pass_time(2)
        return self.refresh(calendar_id)

    def answer_updates(self) -> None:
        """What the scheduler does with the calendar updates on the queue; doorbells are lost."""
        for bell in self.bells():
            if bell["type"] == "calendar.update":
                self.refresh(bell["calendar_id"])

    def drain(self, name: str) -> list[dict[str, Any]]:
        """Takes all messages of a queue, oldest first."""
        sqs = client("sqs")
        bodies = []
        while messages := sqs.receive_message(QueueUrl=self.urls[name], MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.urls[name], ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def notices(self) -> list[tuple[str, dict[str, Any]]]:
        return [(event["detail-type"], event["detail"]) for event in self.drain("notices")]

    def bells(self) -> list[dict[str, Any]]:
        return self.drain("bells")

    # Scenery.

    def _client(self, name: str) -> Any:
        return client(name)

    def _provider(self, platform: str) -> ProviderWorld:
        base_url = f"https://{platform.replace('_', '-')}.example/sign-in"
        world = ProviderWorld(
            self.clock,
            base_url=base_url,
            platform=platform,
            client_id="client-1",
            client_secret="client-secret-1",
            redirect_uris={f"{PUBLIC}/oauth/{platform}/callback"},
        )
        for email in (ADA, BOB):
            world.add_account(email, email.partition("@")[0].title())
        world.traits_scopes = {
            GOOGLE: ("https://www.googleapis.com/auth/calendar.events.readonly", "openid", "email"),
            OUTLOOK: ("https://graph.microsoft.com/Calendars.Read", "openid", "email"),
        }[platform]
        return world

    def _resolve(self, *, platform, client_id, client_secret, refresh_token):
        client = {"client_id": client_id, "client_secret": client_secret}
        found = self.worlds[platform].resolve(refresh_token, **client)
        if found is None:
            return GrantFailure(reason="invalid_grant")
        return GrantResult(email=found[0], scopes=tuple(found[1].split()))

    def _mint(self, calendar):
        found = self.worlds[calendar.platform].access_token_for(calendar.live_token)
        if found is None:
            return GrantFailure(reason="invalid_grant")
        return AccessToken(token=found[0], expires_at=found[1])

    def _addresses(self) -> dict[str, str]:
        google, microsoft = self.worlds[GOOGLE], self.worlds[OUTLOOK]
        return {
            "PUBLIC_URL": PUBLIC,
            "RECALL_BASE_URL": RECALL,
            "GOOGLE_AUTHORIZE_URL": google.authorize_url,
            "GOOGLE_TOKEN_URL": google.token_url,
            "GOOGLE_REVOKE_URL": google.revoke_url,
            "GOOGLE_USERINFO_URL": google.userinfo_url,
            "GOOGLE_ISSUER": google.base_url,
            "MICROSOFT_AUTHORIZE_URL": microsoft.authorize_url,
            "MICROSOFT_TOKEN_URL": microsoft.token_url,
            "MICROSOFT_USERINFO_URL": microsoft.userinfo_url,
            "MICROSOFT_ISSUER": microsoft.base_url,
        }

    def _aws(self) -> dict[str, str]:
        sqs = client("sqs")
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        self.urls = {
            "bells": sqs.create_queue(QueueName="bells.fifo", Attributes=fifo)["QueueUrl"],
            "dead": sqs.create_queue(QueueName="dead.fifo", Attributes=fifo)["QueueUrl"],
            "notices": sqs.create_queue(QueueName="notices")["QueueUrl"],
        }
        names = {
            schema.variable: getattr(self.tables, field) for field, schema in _schemas().items()
        }
        return {
            "AWS_REGION": REGION,
            **names,
            "IDEMPOTENCY_TABLE": self._idempotency(),
            "QUEUE_URL": self.urls["bells"],
            "DEAD_LETTER_QUEUE_URL": self.urls["dead"],
            "BUS_NAME": self._bus(),
            "SECRET_ID": self._secret(),
            "SEAL_KEY_ID": client("kms").create_key()["KeyMetadata"]["KeyId"],
        }

    def _idempotency(self) -> str:
        client("dynamodb").create_table(
            TableName="idempotency",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        return "idempotency"

    def _bus(self) -> str:
        events = client("events")
        events.create_event_bus(Name="rollcall")
        events.put_rule(
            Name="all", EventBusName="rollcall", EventPattern=json.dumps({"source": ["rollcall"]})
        )
        arn = f"arn:aws:sqs:{REGION}:123456789012:notices"
        events.put_targets(
            Rule="all", EventBusName="rollcall", Targets=[{"Id": "notices", "Arn": arn}]
        )
        return "rollcall"

    def _secret(self) -> str:
        values = {
            "recall_api_key": "recall-key",
            "recall_webhook_secret": "",
            "google_client_id": "client-1",
            "google_client_secret": "client-secret-1",
            "microsoft_client_id": "client-1",
            "microsoft_client_secret": "client-secret-1",
            "link_secret": base64.b64encode(b"l" * 32).decode(),
        }
        client("secretsmanager").create_secret(Name="rollcall", SecretString=json.dumps(values))
        return "rollcall"


def _schemas() -> dict[str, Any]:
    from tests.tables import STORED

    assert len(SCHEMAS) >= len(STORED)
    return STORED


def gateway_event(
    route: str,
    *,
    path: str,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """An HTTP API event, payload format 2.0, as API Gateway sends it."""
    given = {name.replace("_", "-").lower(): value for name, value in (headers or {}).items()}
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "rollcall.example", "content-type": "application/json", **given},
        **({"queryStringParameters": query} if query else {}),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "authorizer": {
                "lambda": {"key_prefix": KEY_PREFIX, "scopes": "calendars:write"},
            },
            "domainName": "rollcall.example",
            "domainPrefix": "rollcall",
            "http": {
                "method": route.partition(" ")[0],
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": route,
            "stage": "$default",
            "time": "01/Mar/2027:09:00:00 +0000",
            "timeEpoch": 1803891600000,
        },
        "isBase64Encoded": False,
    }


@contextmanager
def open_stage(**environment: str) -> Iterator[Stage]:
    with mock_aws():
        yield Stage(**environment)
