"""What every test starts from: AWS settings that reach no real account, unhurried Hypothesis."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Before any import that reads them; moto and botocore are content with these.
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_SESSION_TOKEN="testing",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    POWERTOOLS_METRICS_NAMESPACE="Rollcall",
    POWERTOOLS_METRICS_DISABLED="false",
)
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

# A busy machine is slow, not wrong; the same examples every time keep a red test red.
settings.register_profile(
    "rollcall", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rollcall")

pytest_plugins = ("tests.tables",)
