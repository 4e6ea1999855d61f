"""The script of `helm test`: submit a task and exit with 0 if it succeeds in time. Uses only the standard library."""

import json
import sys
import time
import urllib.request


def request_json(url: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-Taskcore-User": "helm-test"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as response:
        return json.load(response)


address, seconds = sys.argv[1], float(sys.argv[2])
ends_at = time.monotonic() + seconds
task = request_json(f"{address}/api/v1/tasks", {"name": "helm test", "type": "noop", "priority": 10})
print(f"submitted task {task['id']}", flush=True)
while task["status"] not in ("succeeded", "failed", "cancelled"):
    left = ends_at - time.monotonic()
    if left <= 0:
        sys.exit(
            f"task {task['id']} is still {task['status']} after {seconds:g} s: are workers and coordinators ready?"
        )
    task = request_json(f"{address}/api/v1/tasks/{task['id']}/wait?timeout={min(left, 10):.1f}")
print(f"task {task['id']} {task['status']}", task.get("error") or "")
sys.exit(task["status"] != "succeeded")
