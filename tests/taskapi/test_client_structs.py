"""The client shares no code with the server, and repeats the structs of the API: both must have the same fields."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import msgspec
import pytest

from taskapi import health
from taskapi.analytics import schemas as api_analytics
from taskapi.kubernetes import schemas as api_kubernetes
from taskapi.schedules import schemas as api_schedules
from taskapi.schemas import batches, history, problems, settings, tasks, workers
from taskapi.traces import schemas as api_traces
from taskclient import models
from taskclient.analytics import models as analytics
from taskclient.kubernetes import models as kubernetes
from taskclient.schedules import models as schedules
from taskclient.traces import models as traces
from taskcore.submission import spec

#: The API's name of structs that have another one in the client.
SERVER_NAMES = {"NewTask": "TaskSubmission", "NewSchedule": "ScheduleSubmission", "Series": "AnalyticsSeries"}
#: Generic, for the lists and pages of the API.
WITHOUT_SERVER = {"Items", "Page", "GrowingPage"}


def structs(*modules: ModuleType) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    for module in modules:
        for name, struct in vars(module).items():
            if isinstance(struct, type) and issubclass(struct, msgspec.Struct) and not name.startswith("_"):
                yield name, struct


SERVER = dict(structs(batches, health, history, problems, settings, tasks, workers, spec))
SERVER |= structs(api_analytics, api_kubernetes, api_schedules, api_traces)
CLIENT = dict(structs(models, analytics, kubernetes, schedules, traces))


@pytest.mark.parametrize("name", sorted(CLIENT.keys() - WITHOUT_SERVER))
def test_a_struct_of_the_client_has_the_fields_of_the_api(name: str) -> None:
    client, server = CLIENT[name], SERVER[SERVER_NAMES.get(name, name)]

    missing = set(server.__struct_encode_fields__) - set(client.__struct_encode_fields__)
    unknown = set(client.__struct_encode_fields__) - set(server.__struct_encode_fields__)

    assert unknown == set()
    assert missing == ({"type"} if name == "Problem" else set())  # the type of a problem is always about:blank
