"""A whole stack without sockets: moto for AWS, emulated Recall, virtual time, real handlers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto import mock_aws

from functions.scheduler import app as scheduler
from functions.webhooks import app as webhooks
from infra.local.emulators.clock import VirtualClock
from infra.local.emulators.http import WorldAdapter
from infra.local.emulators.recall.switches import Switches
from infra.local.emulators.recall.webhooks import Delivery
from infra.local.emulators.recall.world import RecallWorld
from shared.domain.calendar import Calendar, CalendarStatus, Platform
from shared.domain.message import Tick, encode
from shared.queue import Queue
from shared.recall import new_session
from shared.secrets import SecretStore
from shared.storage.tables import SCHEMAS
from tests.tables import create_tables

START = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
RECALL = "https://us-east-1.recall.ai"
WEBHOOK_SECRET = "whsec_ZXhhbXBsZS1zaWduaW5nLWtleS0wMTIzNDU2Nzg5YWI="
GOOGLE = "google_calendar"
OUTLOOK = "microsoft_outlook"
