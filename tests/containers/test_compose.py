"""compose.yaml: valid, closed to the outside, without passwords. Other tests run it in containers."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.containers.dockerfiles import ROOT

OURS = {"migrate", "api", "coordinator", "worker", "collector-analytics", "collector-k8s"}
SERVERS = {"postgres", "rabbitmq"}
PASSWORDS = {"POSTGRES_PASSWORD", "DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD", "RABBITMQ_PASSWORD"}
#: How long a stop may take according to the settings.
LEAVING_S = {"api": 5, "worker": 25 + 8, "collector-analytics": 25 + 8}


def read(name: str) -> dict[str, Any]:
    """Return the parsed file, with merges resolved and variables unexpanded."""
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read("compose.yaml")["services"]
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "compose.dev.yaml"])
def test_file_matches_the_schema_of_the_specification(name: str) -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())

    jsonschema.validate(read(name), schema)


def test_all_services_are_present(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}

    assert images.keys() == OURS | SERVERS | {"jaeger"}
    assert (images["postgres"], images["rabbitmq"]) == ("postgres:18", "rabbitmq:4-management")
    assert re.fullmatch(r"jaegertracing/jaeger:2\.\d+\.\d+", images["jaeger"])
    assert services["worker"]["scale"] == 2


def test_only_api_and_viewer_are_published_and_only_on_loopback(
    services: dict[str, Any],
) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {
        "api": ["127.0.0.1:${API_PORT:-8080}:8080"],
        "jaeger": ["127.0.0.1:${JAEGER_PORT:-16686}:16686"],
    }


def test_servers_have_no_outside_network(services: dict[str, Any]) -> None:
    networks = read("compose.yaml")["networks"]

    reached = {network for name in SERVERS for network in services[name]["networks"]}

    assert [networks[name]["internal"] for name in reached] == [True]


@pytest.mark.parametrize("service", sorted(OURS | {"jaeger"}))
def test_taskcore_services_are_unprivileged_and_read_only(services: dict[str, Any], service: str) -> None:
    settings = services[service]

    assert settings["cap_drop"] == ["ALL"]
    assert "cap_add" not in settings
    assert settings["read_only"]
    assert settings["tmpfs"] == ["/tmp"]


def test_no_new_privileges_and_restart_of_all_but_the_migration(services: dict[str, Any]) -> None:
    assert all(service["security_opt"] == ["no-new-privileges"] for service in services.values())
    assert all(service["cap_drop"] == ["ALL"] for service in services.values())
    assert {service["restart"] for name, service in services.items() if name != "migrate"} == {"unless-stopped"}


def test_every_service_has_a_health_check(services: dict[str, Any]) -> None:
    checked = {name for name, service in services.items() if service.get("healthcheck", {}).get("test")}

    assert checked | OURS == services.keys()
    assert {name for name in OURS if "healthcheck" in services[name]} == {"migrate"}


@pytest.mark.parametrize("service", sorted(OURS - {"migrate"}))
def test_taskcore_services_wait_for_healthy_dependencies(services: dict[str, Any], service: str) -> None:
    settings = services[service]
    needed = {"postgres": {"condition": "service_healthy"}, "migrate": {"condition": "service_completed_successfully"}}
    if "TASKCORE_AMQP_URL" in settings["environment"]:
        needed["rabbitmq"] = {"condition": "service_healthy"}

    assert settings["depends_on"] == needed


@pytest.mark.parametrize("service", sorted(LEAVING_S))
def test_stop_grace_periods_are_long_enough(services: dict[str, Any], service: str) -> None:
    grace = int(services[service]["stop_grace_period"].removesuffix("s"))

    assert grace > LEAVING_S[service] + 5


def test_file_has_no_password_and_a_missing_one_is_an_error() -> None:
    text = (ROOT / "compose.yaml").read_text()

    passwords = re.findall(r"\$\{(\w*PASSWORD\w*)(.*?)\}", text) + re.findall(r"PASS\w*: (?!\$)(.*)", text)

    assert {name for name, _ in passwords} == PASSWORDS
    assert all(rest.startswith(":?") and "make up" in rest for _, rest in passwords)


def test_images_are_those_of_make_images() -> None:
    version = (ROOT / "VERSION").read_text().strip()
    text = (ROOT / "compose.yaml").read_text()

    assert set(re.findall(r"\$\{VERSION:-(.*?)\}", text)) == {version}
    assert set(re.findall(r"\$\{IMAGES:-(.*?)\}", text)) == {"taskcore-"}


def write_passwords(file: Path) -> dict[str, str]:
    subprocess.run([ROOT / "deploy" / "passwords", file], check=True)
    lines = file.read_text().splitlines()
    assert len({line.split("=")[0].strip() for line in lines}) == len(lines)
    return {name.strip(): value for name, value in (line.split("=", 1) for line in lines)}


def test_missing_passwords_are_generated_for_the_owner_only(tmp_path: Path) -> None:
    one, other = (write_passwords(tmp_path / name) for name in ("one", "other"))

    assert one.keys() == PASSWORDS
    assert len({*one.values(), *other.values()}) == 2 * len(PASSWORDS)
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in one.values())
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_existing_passwords_are_kept(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("API_PORT=9090\nPOSTGRES_PASSWORD =mine")

    first, second = write_passwords(file), write_passwords(file)

    assert first == second
    assert (first["API_PORT"], first["POSTGRES_PASSWORD"]) == ("9090", "mine")
    assert first["RABBITMQ_PASSWORD"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_passwords_are_ignored_by_git_and_by_builds() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--no-index", "--quiet", ".env"], cwd=ROOT)

    assert ignored.returncode == 0
    assert not any("env" in line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!"))


@pytest.mark.parametrize(
    ("images", "step"), [("taskcore-", "docker build"), ("registry.example/taskcore/", "compose pull")]
)
def test_images_are_built_unless_a_registry_is_given(images: str, step: str) -> None:
    command = ["make", "--dry-run", "up", f"IMAGES={images}", "COMPOSE=docker compose"]

    steps = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [one for one in ("docker build", "compose pull") if one in steps] == [step]
    assert "deploy/passwords .env" in steps
    assert "up --detach" in steps
