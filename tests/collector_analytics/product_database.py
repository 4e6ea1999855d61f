"""The database of a product: people meet in instances of locations, which show scenes, and talk in channels."""

from __future__ import annotations

import psycopg

TABLES = """
CREATE TABLE scene (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE location (id int PRIMARY KEY, name text NOT NULL, scene_id int NOT NULL REFERENCES scene);
CREATE TABLE instance (id int PRIMARY KEY, location_id int NOT NULL REFERENCES location, ended boolean NOT NULL);
CREATE TABLE instance_attendance (instance_id int REFERENCES instance, user_id int, ended boolean NOT NULL);
CREATE TABLE channel (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE channel_user (channel_id int REFERENCES channel, user_id int, left_at timestamptz);

INSERT INTO scene VALUES (1, 'beach'), (2, 'forest'), (3, 'unused');
INSERT INTO location VALUES (1, 'cove', 1), (2, 'bay', 1), (3, 'glade', 2), (4, 'empty', 3);
INSERT INTO instance VALUES (1, 1, false), (2, 1, false), (3, 2, false), (4, 3, false), (5, 4, true);
INSERT INTO instance_attendance VALUES
    (1, 1, false), (1, 2, false), (2, 3, false), (3, 4, false), (4, 5, false), (4, 6, true), (5, 7, true);
INSERT INTO channel VALUES (1, 'all'), (2, 'few'), (3, 'silent');
INSERT INTO channel_user VALUES (1, 1, NULL), (1, 2, NULL), (1, 3, NULL), (2, 1, NULL), (2, 4, now()), (3, 1, now());
"""

ACTIVE = """
    FROM instance JOIN location ON location.id = location_id JOIN instance_attendance ON instance_id = instance.id
    WHERE NOT instance.ended AND NOT instance_attendance.ended
"""

#: The configured queries. "Active" means that somebody is in it now.
QUERIES = {
    "activeInstances": "SELECT count(DISTINCT instance.id)" + ACTIVE,
    "activeLocations": "SELECT count(DISTINCT location.id)" + ACTIVE,
    "activeScenes": "SELECT count(DISTINCT location.scene_id)" + ACTIVE,
    "activeChannels": "SELECT count(DISTINCT channel_id) FROM channel_user WHERE left_at IS NULL",
    "instanceUsers": "SELECT location.name, count(DISTINCT user_id)" + ACTIVE + "GROUP BY location.name",
    "channelUsers": "SELECT count(DISTINCT user_id) FROM channel_user WHERE left_at IS NULL",
}


def build(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
