"""Read-only databases whose roles may do what READ ONLY does not bound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg.errors import QueryCanceled

from harness.ports import free_port
from harness.postgres import as_role, execute_as
from taskcore.errors import InvalidSettings
from taskcore.plugins.databases import check_roles
from taskcore.settings import Settings
from taskstandalone.postgres.cluster import SUPERUSER
from taskstandalone.postgres.roles import OWNER
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.environments import database_environment

REFUSED = ["pg_read_server_files", "pg_write_server_files", "pg_execute_server_program"]


@pytest.fixture
def privileged_url(empty_database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield a URL whose role may switch to a role that is a member of another one: `request.param`."""
    name, between = f"reader_{uuid4().hex}", f"between_{uuid4().hex}"
    create = (f"CREATE ROLE {between} IN ROLE {request.param}", f"CREATE ROLE {name} LOGIN NOINHERIT IN ROLE {between}")
    execute_as(SUPERUSER, empty_database_url, *create)
    yield as_role(name, empty_database_url)
    execute_as(SUPERUSER, empty_database_url, f"DROP ROLE {name}, {between}")


def settings_with(**databases: object) -> Settings:
    return Settings.model_validate({"databases": databases})


@pytest.mark.parametrize("privileged_url", REFUSED, indirect=True)
def test_a_role_that_may_use_files_or_programs_of_the_server_is_refused(privileged_url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"TASKCORE_DATABASES: the database 'shop' is read-only.*\(pg_\w+\)"):
        check_roles(settings_with(shop={"url": privileged_url}))

    outcome = database_environment(privileged_url).run(RunQuery, query="SELECT 1")
    assert outcome.reason == "privileged_role"


def test_a_superuser_is_refused_even_behind_another_role(empty_database_url: str) -> None:
    url = as_role(SUPERUSER, empty_database_url) + "&options=-crole%3Dqueries"

    with pytest.raises(InvalidSettings, match=r"\(SUPERUSER\)"):
        check_roles(settings_with(shop={"url": url}))


@pytest.mark.parametrize("option", [{"read_only": False}, {"allow_privileged_role": True}], ids=json.dumps)
def test_what_the_operator_permits_is_accepted(empty_database_url: str, option: dict[str, Any]) -> None:
    url = as_role(SUPERUSER, empty_database_url)
    check_roles(settings_with(shop={"url": url} | option))

    assert database_environment(url, **option).run(RunQuery, query="SELECT 1")["rows"] == [[1]]


def test_a_check_that_does_not_end_is_bounded_by_the_timeout_of_the_database(empty_database_url: str) -> None:
    slow = "CREATE VIEW public.pg_roles AS SELECT r.* FROM pg_catalog.pg_roles r, pg_sleep(600)"
    execute_as(OWNER, empty_database_url, slow)
    url = empty_database_url + "&options=-csearch_path%3Dpublic,pg_catalog"

    with pytest.raises(QueryCanceled, match="statement timeout"):
        database_environment(url, timeout_s=0.1).run(RunQuery, query="SELECT 1")


def test_an_ordinary_role_and_a_database_that_does_not_answer_are_accepted(empty_database_url: str) -> None:
    gone = f"postgresql://127.0.0.1:{free_port()}/gone"

    check_roles(settings_with(shop={"url": empty_database_url}, gone={"url": gone}))
