"""A long transaction of another client."""

from __future__ import annotations

import psycopg

from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial
from harness.postgres import as_role
from taskstandalone.postgres.roles import OWNER

PER_S = 200.0


@fault(
    "long-transaction",
    action="a transaction that reads and writes stays open for 2 minutes at 200 tasks/s",
    criterion="95 % completed; the lag of the feed is reported",
)
def open_transaction(trial: Trial) -> None:
    """Its snapshot keeps vacuum from removing dead rows; its transaction id holds back `pg_snapshot_xmin`."""
    with (
        trial.under_load(rate=PER_S) as load,
        psycopg.connect(as_role(OWNER, trial.system.database_url), application_name="faults") as connection,
    ):
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM task, outbox")
        connection.execute("CREATE TABLE of_another_client (number int)")
        for number in range(trial.config.pick(120, 3)):
            connection.execute("INSERT INTO of_another_client VALUES (%s)", [number])
            wait(1)
        connection.rollback()
    trial.figures["submitted per s"] = PER_S
    trial.figures["slowest response s"] = round(load.slowest_s(), 3)
    trial.figures["feed: maximum age of a row when read s"] = round(trial.feed_reader.lag_s, 2)
    trial.figures["feed: longest stall of the cursor s"] = round(trial.feed_reader.stall_s, 2)
