"""Helm's hooks: the migration before services start, and the test of a release. Their commands are run as rendered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import helm_python
import httpx
import pytest

from harness.postgres import PostgresDatabases
from harness.processes import Service, Services
from harness.reaper import Reaper
from harness.waiting import eventually
from taskcore.db import migrations
from tests.charts.helm_test import run_helm_test
from tests.charts.rendering import Object, Release, render, set_value
from tests.charts.samples import DEVELOPMENT, EVERYTHING, PRODUCTION
from tests.taskapi.conftest import ANYTHING, register_type

HOOK = "helm.sh/hook"


def hooks(rendered: Release, component: str) -> list[Object]:
    """Return the hooks of a component, in Helm's order."""
    found = [one for one in rendered.objects if HOOK in one["metadata"].get("annotations", {})]
    own = [one for one in found if one["metadata"]["labels"]["app.kubernetes.io/component"] == component]
    return sorted(own, key=lambda one: int(one["metadata"]["annotations"].get("helm.sh/hook-weight", "0")))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, reaper: Reaper, postgres_server: PostgresDatabases, template: str
) -> Iterator[Service]:
    """Yield an API without workers."""
    services = Services(tmp_path_factory.mktemp("services"), reaper)
    with postgres_server.fresh_database(template) as url:
        register_type(url, "noop", ANYTHING)
        yield services.start("taskapi", env={"TASKCORE_DATABASE_URL": url})
        services.kill_all()


def test_migration_runs_before_a_new_version_starts() -> None:
    rendered = render(PRODUCTION)

    policy, job = hooks(rendered, "migrate")

    assert (policy["kind"], job["kind"]) == ("NetworkPolicy", "Job")
    for one in (policy, job):
        annotations = one["metadata"]["annotations"]
        assert annotations[HOOK] == "pre-install,pre-upgrade"
        assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (6, 600)
    assert job["spec"]["ttlSecondsAfterFinished"] == 3_600


def test_a_migration_that_the_server_refuses_is_not_tried_again() -> None:
    """`taskcore db upgrade` exits with 2 when no further attempt would help."""
    spec = render(PRODUCTION).get("Job", "migrate")["spec"]

    codes = {"containerName": spec["template"]["spec"]["containers"][0]["name"], "operator": "In", "values": [2]}

    assert spec["podFailurePolicy"] == {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which the policy needs


@pytest.mark.parametrize("values", [PRODUCTION, EVERYTHING], ids=["production", "everything"])
def test_hook_uses_only_existing_objects(values: dict[str, object]) -> None:
    """Before an installation only the given Secret and the namespace's default account exist."""
    *_, job = hooks(render(values), "migrate")
    spec = job["spec"]["template"]["spec"]

    sources = [one["valueFrom"]["secretKeyRef"]["name"] for one in spec["containers"][0]["env"] if "valueFrom" in one]

    assert sources == ["our-postgresql"]
    assert "serviceAccountName" not in spec
    assert [list(volume) for volume in spec["volumes"]] == [["name", "emptyDir"]]


def test_hook_can_mount_files_named_in_the_database_url() -> None:
    volume = {"name": "authorities", "configMap": {"name": "authorities"}}
    mount = {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True}

    rendered = render(PRODUCTION, set_value("migrations", {"extraVolumes": [volume], "extraVolumeMounts": [mount]}))
    spec = rendered.get("Job", "migrate")["spec"]["template"]["spec"]

    assert volume in spec["volumes"]
    assert mount in spec["containers"][0]["volumeMounts"]


def test_with_a_development_database_each_revision_has_its_own_job() -> None:
    """A pre-install hook would wait for a database that starts only after it, so that nothing would start."""
    first, second = render(DEVELOPMENT), render(DEVELOPMENT, revision=2)

    names = [rendered.get("Job", "migrate")["metadata"]["name"] for rendered in (first, second)]

    assert names == ["demo-taskcore-migrate-1", "demo-taskcore-migrate-2"]
    assert hooks(first, "migrate") == hooks(second, "migrate") == []


def test_migrations_can_be_disabled() -> None:
    rendered = render(PRODUCTION, set_value("migrations.enabled", False))

    assert rendered.of_kind("Job") == []
    assert "run `taskcore db upgrade`" in rendered.notes


def test_migration_command_upgrades_a_database(empty_database_url: str) -> None:
    (container,) = render(PRODUCTION).get("Job", "migrate")["spec"]["template"]["spec"]["containers"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    subprocess.run(container["command"], env={"PATH": path, "TASKCORE_DATABASE_URL": empty_database_url}, check=True)

    migrations.check(empty_database_url)


def test_helm_test_calls_the_api_of_its_release() -> None:
    rendered = render(PRODUCTION, name="ours")

    (pod,) = hooks(rendered, "test")
    *_, address, seconds = pod["spec"]["containers"][0]["command"]
    (port,) = rendered.get("Service", "api")["spec"]["ports"]

    assert pod["metadata"]["annotations"][HOOK] == "test"
    assert address == f"http://{rendered.get('Service', 'api')['metadata']['name']}:{port['port']}"
    assert (pod["spec"]["restartPolicy"], float(seconds)) == ("Never", 120)
    assert pod["spec"]["activeDeadlineSeconds"] > float(seconds)


def test_helm_test_fails_when_its_task_fails(server: Service) -> None:
    with httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False, timeout=30) as http:

        def cancel() -> None:
            eventually(lambda: http.get("/tasks", params={"status": "queued"}).json()["items"])
            for queued in http.get("/tasks", params={"status": "queued"}).json()["items"]:
                http.post(f"/tasks/{queued['id']}/cancel").raise_for_status()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        tested = run_helm_test(server.url, seconds=60)
        canceller.join()

    assert tested.returncode == 1
    assert " cancelled" in tested.stdout


def test_helm_test_fails_when_no_worker_runs_its_task(server: Service) -> None:
    tested = run_helm_test(server.url, seconds=1)

    assert tested.returncode == 1
    assert "submitted task " in tested.stdout
    assert "is still queued after 1 s: are workers and coordinators ready?" in tested.stderr


def test_without_an_api_there_is_no_helm_test() -> None:
    assert render(PRODUCTION, set_value("api.enabled", False)).of_kind("Pod") == []


def test_timeout_of_the_helm_test_can_be_changed() -> None:
    (pod,) = render(PRODUCTION, set_value("test.timeoutSeconds", 5)).of_kind("Pod")

    assert pod["spec"]["containers"][0]["command"][-1] == "5"
    with pytest.raises(helm_python.HelmError, match="minimum"):
        render(PRODUCTION, set_value("test.timeoutSeconds", 0))
