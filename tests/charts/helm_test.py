"""Runs the script of the chart's Helm test against a test server."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.charts.rendering import render, set_value
from tests.charts.samples import PRODUCTION


def run_helm_test(address: str, *, seconds: int) -> subprocess.CompletedProcess[str]:
    """Run what `helm test` runs, with the API at `address`."""
    (pod,) = render(PRODUCTION, set_value("test.timeoutSeconds", seconds)).of_kind("Pod")
    python, dash_c, script, _, limit = pod["spec"]["containers"][0]["command"]
    assert (python, dash_c) == ("python", "-c")
    command = [sys.executable, "-I", "-c", script, address, limit]
    env = {"PATH": os.environ["PATH"], "NO_PROXY": "*"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
