"""Pods: minimal privileges, limits, probes on served ports, and time to shut down."""

from __future__ import annotations

import json

import pytest

from taskcore.probe import DEFAULT_PORT
from taskcore.settings import ApiSettings, WorkerSettings
from taskworker.supervisor.supervisor import SHUTDOWN_MARGIN_S
from tests.charts.rendering import SERVICES, Object, load_chart, render, set_value
from tests.charts.samples import DEVELOPMENT, EVERYTHING, PRODUCTION, VALUE_SETS
from tests.containers.dockerfiles import stages, values

SERVERS = ("postgresql", "rabbitmq")
#: Who is in whose image.
IMAGES = {
    "api": "api",
    "coordinator": "worker",
    "worker": "worker",
    "migrate": "api",
    "test": "api",
    "collector-analytics": "collector-analytics",
    "collector-k8s": "collector-k8s",
}


def container(pod: Object) -> Object:
    (only,) = pod["spec"]["containers"]
    assert "initContainers" not in pod["spec"]
    return dict(only)


@pytest.mark.parametrize("given", VALUE_SETS)
def test_pods_run_unprivileged_with_a_read_only_root(given: str) -> None:
    for component, pod in render(VALUE_SETS[given]).pods():
        security = pod["spec"]["securityContext"]
        user = 999 if component in SERVERS else 10001

        assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert {security[name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {user}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["spec"]["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])


@pytest.mark.parametrize("service", ["api", "worker", "collector-analytics", "collector-k8s"])
def test_user_is_that_of_the_images(service: str) -> None:
    (user,) = values(stages(service)[1], "USER")

    assert user == "10001:10001"


@pytest.mark.parametrize("given", VALUE_SETS)
def test_pods_have_requests_and_a_memory_limit(given: str) -> None:
    for component, pod in render(VALUE_SETS[given]).pods():
        resources = container(pod)["resources"]

        assert set(resources["requests"]) == {"cpu", "memory"}, component
        assert set(resources["limits"]) == {"memory"}, component


def test_limits_and_requests_can_be_removed() -> None:
    """Helm keeps a null in the values of subcharts, and a cluster reads it as 0."""
    none = {"resources": {"limits": {"memory": None}, "requests": {"cpu": None}}}
    rendered = render(DEVELOPMENT, dict.fromkeys((*SERVICES, *SERVERS, "migrations"), none))

    for component, pod in rendered.pods():
        resources = container(pod)["resources"]
        assert component == "test" or (resources["limits"], set(resources["requests"])) == ({}, {"memory"}), component


@pytest.mark.parametrize("given", VALUE_SETS)
def test_mounts_have_volumes_and_tmp_is_limited(given: str) -> None:
    for component, pod in render(VALUE_SETS[given]).pods():
        there = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        mounts = {one["mountPath"]: one["name"] for one in container(pod).get("volumeMounts", [])}

        assert set(mounts.values()) - {"data"} == set(there), component
        assert ("data" in mounts.values()) == (component in SERVERS)
        if component in (*SERVICES, "migrate"):
            assert there[mounts["/tmp"]]["emptyDir"] == {"sizeLimit": "1Gi"}


@pytest.mark.parametrize("service", SERVICES)
def test_probes_use_the_port_of_the_image(service: str) -> None:
    pod = render(PRODUCTION).get("Deployment", service)["spec"]["template"]
    (exposed,) = values(stages(IMAGES[service])[1], "EXPOSE")

    one = container(pod)
    port = one["ports"][-1]

    assert [port["containerPort"] for port in one["ports"]] == [int(port) for port in exposed.split()]
    assert port["containerPort"] == DEFAULT_PORT
    readiness = "/livez" if service == "collector-k8s" else "/readyz"  # helm --wait must not wait for an API server
    assert {name: one[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "startupProbe": {"path": "/livez", "port": port["name"]},
        "livenessProbe": {"path": "/livez", "port": port["name"]},
        "readinessProbe": {"path": readiness, "port": port["name"]},
    }


@pytest.mark.parametrize("component", [*SERVICES, *SERVERS])
def test_the_first_probe_waits_for_the_start(component: str) -> None:
    """A probe that comes too early is a Warning of the cluster."""
    pods = dict(render(DEVELOPMENT).pods())

    assert container(pods[component])["startupProbe"]["initialDelaySeconds"] >= 5


def test_commands_exist_in_the_image() -> None:
    """The image's own entry point forwards signals; the migration uses it with another program."""
    pods = dict(render(PRODUCTION).pods())
    (entrypoint,) = values(stages("worker")[1], "ENTRYPOINT")

    assert {c: container(pods[c]).get("args") for c in SERVICES} == {
        **dict.fromkeys(SERVICES),
        "worker": ["run"],
        "coordinator": ["coordinate"],
    }
    assert [c for c in SERVICES if "command" in container(pods[c])] == []
    migrate = container(pods["migrate"])["command"]
    assert migrate == ["python", "-m", "taskcore.init", "taskcore", "db", "upgrade", "--wait", "120"]
    assert json.loads(entrypoint)[:3] == ["python", "-m", "taskcore.init"]


@pytest.mark.parametrize(
    ("registry", "prefix", "tag", "image"),
    [
        ("", "taskcore-", "", "taskcore-{}:{}"),
        ("registry.example.com/team", "taskcore-", "1.2.3", "registry.example.com/team/taskcore-{}:1.2.3"),
        ("registry.example.com:5000/team/", "", "main", "registry.example.com:5000/team/{}:main"),
    ],
)
def test_images_share_registry_and_version(registry: str, prefix: str, tag: str, image: str) -> None:
    rendered = render(PRODUCTION, set_value("global.image", {"registry": registry, "prefix": prefix, "tag": tag}))

    images = {component: container(pod)["image"] for component, pod in rendered.pods()}

    assert images == {c: image.format(IMAGES[c], load_chart().metadata["appVersion"]) for c in IMAGES}


def test_worker_can_use_its_own_image() -> None:
    pods = dict(render(PRODUCTION, set_value("worker.image", "registry.example.com/ours:7")).pods())

    assert container(pods["worker"])["image"] == "registry.example.com/ours:7"
    assert container(pods["coordinator"])["image"].startswith("taskcore-worker:")


def test_pull_policy_and_secrets_are_applied() -> None:
    rendered = render(EVERYTHING, set_value("global.image.pullPolicy", "Always"))

    for _, pod in rendered.pods():
        assert container(pod)["imagePullPolicy"] == "Always"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize("grace_s", [None, 1, 25.5, 600])
def test_worker_is_not_killed_before_its_grace_period_and_shutdown_end(grace_s: float | None) -> None:
    rendered = render(PRODUCTION, set_value("worker.graceSeconds", grace_s) if grace_s else {})

    spec = rendered.get("Deployment", "worker")["spec"]["template"]["spec"]
    told_s = rendered.config("worker")["worker"]["grace_s"]

    assert told_s == (grace_s or WorkerSettings().grace_s)
    assert spec["terminationGracePeriodSeconds"] - told_s >= SHUTDOWN_MARGIN_S + 5
    assert spec["terminationGracePeriodSeconds"] - told_s <= 16


def test_analytics_collector_is_not_killed_before_its_grace_period_ends() -> None:
    rendered = render(PRODUCTION)

    spec = rendered.get("Deployment", "collector-analytics")["spec"]["template"]["spec"]

    assert rendered.config("collector-analytics")["worker"]["grace_s"] == WorkerSettings().grace_s
    assert spec["terminationGracePeriodSeconds"] == 40


@pytest.mark.parametrize("drain_s", [None, 0, 30])
def test_api_is_not_killed_before_it_has_drained(drain_s: float | None) -> None:
    rendered = render(PRODUCTION, set_value("api.drainSeconds", drain_s) if drain_s is not None else {})

    spec = rendered.get("Deployment", "api")["spec"]["template"]["spec"]
    expected = ApiSettings().drain_s if drain_s is None else drain_s

    assert rendered.config("api")["api"]["drain_s"] == expected
    assert spec["terminationGracePeriodSeconds"] == expected + 10


@pytest.mark.parametrize("service", SERVICES)
def test_new_version_starts_next_to_the_old_and_replicas_are_spread(service: str) -> None:
    rendered = render(PRODUCTION)

    spec = rendered.get("Deployment", service)["spec"]
    budget = rendered.get("PodDisruptionBudget", service)["spec"]
    spread = spec["template"]["spec"]["topologySpreadConstraints"]

    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == spec["selector"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {one["labelSelector"] == spec["selector"] for one in spread} == {True}


def test_services_can_be_disabled() -> None:
    for service in SERVICES:
        rendered = render(PRODUCTION, set_value(f"{service}.enabled", False))

        components = {one["metadata"]["labels"]["app.kubernetes.io/component"] for one in rendered.objects}

        assert service not in components
        assert components >= set(SERVICES) - {service}
        assert ("test" in components) == (service != "api")


def test_placement_is_applied() -> None:
    rendered = render(
        DEVELOPMENT, set_value("global.nodeSelector", {"a": "b"}), set_value("worker.nodeSelector", {"c": "d"})
    )

    where = {component: pod["spec"]["nodeSelector"] for component, pod in rendered.pods()}

    assert where.pop("worker") == {"c": "d"}
    assert set(map(str, where.values())) == {"{'a': 'b'}"}


def test_global_labels_and_annotations_are_on_all_pods() -> None:
    """A service mesh needs them to skip the migration, which would never end with a sidecar."""
    given = {"podAnnotations": {"linkerd.io/inject": "disabled"}, "podLabels": {"sidecar.istio.io/inject": "false"}}

    for installed in (PRODUCTION, DEVELOPMENT):
        for component, pod in render(installed, {"global": given}).pods():
            assert pod["metadata"]["annotations"]["linkerd.io/inject"] == "disabled", component
            assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false", component


def test_extras_of_a_service_are_in_its_pods() -> None:
    pod = render(EVERYTHING).get("Deployment", "worker")["spec"]["template"]
    one = container(pod)

    assert pod["metadata"]["annotations"]["note"] == "ours"
    assert pod["metadata"]["labels"]["team"] == "tasks"
    assert pod["spec"]["priorityClassName"] == "high"
    assert pod["spec"]["tolerations"] == [{"key": "tasks", "operator": "Exists"}]
    assert "nodeAffinity" in pod["spec"]["affinity"]
    assert {"name": "authorities", "mountPath": "/etc/authorities", "readOnly": True} in one["volumeMounts"]
    assert {"HTTPS_PROXY", "NO_PROXY"} <= {variable["name"] for variable in one["env"]}
