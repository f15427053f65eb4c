"""EventBridge wakes it: the pre-flight, the states of calendars, the audit, waiting consents."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import boto3

from shared.config import AWS_LIMITS, require
from shared.events import EventBus
from shared.flows.calendars import refresh
from shared.flows.connect import finish_waiting
from shared.flows.observe import Observer
from shared.flows.reconcile import Reconciler, ReconcileTools
