"""compose.yaml: valid by the specification, closed to the outside, without a password. It is run in containers, too."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.containers.dockerfiles import ROOT

OURS = {"migrate", "api", "coordinator", "worker", "collector-analytics", "collector-k8s"}
SERVERS = {"postgres", "rabbitmq"}
#: How long what is told to stop may take by its settings.
LEAVING_S = {"api": 5, "worker": 25 + 8, "collector-analytics": 25 + 8}


def read(name: str) -> dict[str, Any]:
    """With YAML's merges done, and no variable filled in."""
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return content


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read("compose.yaml")["services"]
    return found


@pytest.mark.parametrize("name", ["compose.yaml", "compose.dev.yaml"])
def test_the_file_is_valid_by_the_specifications_schema(name: str) -> None:
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())

    jsonschema.validate(read(name), schema)


def test_all_of_it_is_there(services: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in services.items()}

    assert images.keys() == OURS | SERVERS | {"jaeger"}
    assert (images["postgres"], images["rabbitmq"]) == ("postgres:18", "rabbitmq:4-management")
    assert re.fullmatch(r"jaegertracing/jaeger:2\.\d+\.\d+", images["jaeger"])
    assert services["worker"]["scale"] == 2


def test_only_the_api_and_the_viewer_are_published_and_on_the_loopback_interface_alone(
    services: dict[str, Any],
) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {
        "api": ["127.0.0.1:${API_PORT:-8080}:8080"],
        "jaeger": ["127.0.0.1:${JAEGER_PORT:-16686}:16686"],
    }


def test_the_servers_reach_nothing_outside(services: dict[str, Any]) -> None:
    networks = read("compose.yaml")["networks"]

    reached = {network for name in SERVERS for network in services[name]["networks"]}

    assert [networks[name]["internal"] for name in reached] == [True]


@pytest.mark.parametrize("service", sorted(OURS | {"jaeger"}))
def test_our_services_have_no_rights_and_write_nowhere(services: dict[str, Any], service: str) -> None:
    settings = services[service]

    assert settings["cap_drop"] == ["ALL"]
    assert "cap_add" not in settings
    assert settings["read_only"]
    assert settings["tmpfs"] == ["/tmp"]


def test_nobody_gets_new_rights_and_all_but_the_migration_start_again(services: dict[str, Any]) -> None:
    assert all(service["security_opt"] == ["no-new-privileges"] for service in services.values())
    assert all(service["cap_drop"] == ["ALL"] for service in services.values())
    assert {service["restart"] for name, service in services.items() if name != "migrate"} == {"unless-stopped"}


def test_health_is_asked_of_all_by_the_file_or_by_the_image(services: dict[str, Any]) -> None:
    checked = {name for name, service in services.items() if service.get("healthcheck", {}).get("test")}

    assert checked | OURS == services.keys()
    assert {name for name in OURS if "healthcheck" in services[name]} == {"migrate"}


@pytest.mark.parametrize("service", sorted(OURS - {"migrate"}))
def test_our_services_wait_for_what_they_need_to_be_healthy(services: dict[str, Any], service: str) -> None:
    settings = services[service]
    needed = {"postgres": {"condition": "service_healthy"}, "migrate": {"condition": "service_completed_successfully"}}
    if "TASKCORE_AMQP_URL" in settings["environment"]:
        needed["rabbitmq"] = {"condition": "service_healthy"}

    assert settings["depends_on"] == needed


@pytest.mark.parametrize("service", sorted(LEAVING_S))
def test_who_is_told_to_stop_is_given_the_time_for_it(services: dict[str, Any], service: str) -> None:
    grace = int(services[service]["stop_grace_period"].removesuffix("s"))

    assert grace > LEAVING_S[service] + 5


def test_no_password_is_in_the_file_and_one_that_is_missing_is_asked_for() -> None:
    text = (ROOT / "compose.yaml").read_text()

    passwords = re.findall(r"\$\{(\w*PASSWORD\w*)(.*?)\}", text) + re.findall(r"PASS\w*: (?!\$)(.*)", text)

    assert {name for name, _ in passwords} == {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    assert all(rest.startswith(":?") and "make up" in rest for _, rest in passwords)


def test_it_wants_the_images_that_make_images_makes() -> None:
    version = tomllib.loads((ROOT / "libs/taskcore/pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "compose.yaml").read_text()

    assert set(re.findall(r"\$\{VERSION:-(.*?)\}", text)) == {version}
    assert set(re.findall(r"\$\{IMAGES:-(.*?)\}", text)) == {"taskcore-"}


def write_passwords(file: Path) -> dict[str, str]:
    subprocess.run([ROOT / "deploy" / "passwords", file], check=True)
    lines = file.read_text().splitlines()
    assert len({line.split("=")[0].strip() for line in lines}) == len(lines)
    return {name.strip(): value for name, value in (line.split("=", 1) for line in lines)}


def test_missing_passwords_are_made_up_for_the_files_owner_alone(tmp_path: Path) -> None:
    one, other = (write_passwords(tmp_path / name) for name in ("one", "other"))

    assert one.keys() == {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    assert len({*one.values(), *other.values()}) == 4
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in one.values())
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600


def test_passwords_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("API_PORT=9090\nPOSTGRES_PASSWORD =mine")

    first, second = write_passwords(file), write_passwords(file)

    assert first == second
    assert (first["API_PORT"], first["POSTGRES_PASSWORD"]) == ("9090", "mine")
    assert first["RABBITMQ_PASSWORD"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_passwords_are_kept_out_of_git_and_of_builds() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--no-index", "--quiet", ".env"], cwd=ROOT)

    assert ignored.returncode == 0
    assert not any("env" in line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!"))


@pytest.mark.parametrize(
    ("images", "step"), [("taskcore-", "docker build"), ("registry.example/taskcore/", "compose pull")]
)
def test_images_are_made_here_unless_a_registry_is_named(images: str, step: str) -> None:
    command = ["make", "--dry-run", "up", f"IMAGES={images}", "COMPOSE=docker compose"]

    steps = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert [one for one in ("docker build", "compose pull") if one in steps] == [step]
    assert "deploy/passwords .env" in steps
    assert "up --detach" in steps
