"""The reader's position, against every order in which writers and readers can take their steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from taskcore.domain.feed import DeliveredRow, Gap, Position, advance


@dataclass(frozen=True)
class Row:
    id: int
    floor: int = 1


@dataclass(eq=False)
class Writer:
    name: str
    drawn: list[int] = field(default_factory=list)
    is_finished: bool = False  # committed or rolled back, and still holding the lock


@dataclass
class World:
    """PostgreSQL as the feed sees it.

    Ids are allocated under the lock and visible at the commit; the lock is released after that.
    """

    last_id: int = 0
    visible: list[int] = field(default_factory=list)
    writers: list[Writer] = field(default_factory=list)
    begun: int = 0

    def begin(self, pick: int) -> None:
        self.begun += 1
        self.writers.append(Writer(str(self.begun)))
        self.draw(-1)

    def draw(self, pick: int) -> None:
        for writer in self._pick(pick, is_finished=False):
            self.last_id += 1
            writer.drawn.append(self.last_id)

    def commit(self, pick: int) -> None:
        for writer in self._pick(pick, is_finished=False):
            self.visible = sorted(self.visible + writer.drawn)
            writer.is_finished = True

    def roll_back(self, pick: int) -> None:
        for writer in self._pick(pick, is_finished=False):
            writer.is_finished = True

    def let_go(self, pick: int) -> None:
        for writer in self._pick(pick, is_finished=True):
            self.writers.remove(writer)

    def crash(self, pick: int) -> None:
        self.writers.clear()
        self.last_id += pick % 33

    def holders(self) -> frozenset[str]:
        return frozenset(writer.name for writer in self.writers)

    def _pick(self, pick: int, *, is_finished: bool) -> list[Writer]:
        found = [writer for writer in self.writers if writer.is_finished is is_finished]
        return [found[pick % len(found)]] if found else []


class Reader:
    def __init__(self, world: World, cursor: int, room: int) -> None:
        self.world, self.room = world, room
        self.start = cursor
        self.position = Position(cursor)
        self.shown: list[DeliveredRow] = []
        self.has_to_watch = False

    def step(self) -> None:
        """Take the reader's two steps in turn: others act in between."""
        if self.has_to_watch:
            self.position = self.position.with_writers(self.world.holders())
        else:
            self._read()
        self.has_to_watch = not self.has_to_watch

    def _read(self) -> None:
        rows = [Row(id_) for id_ in self.world.visible if self._is_asked_for(id_)][: self.room]
        page = advance(self.position, rows, is_complete=len(rows) < self.room, now=0.0)
        assert page.position.cursor >= self.position.cursor
        self.position = page.position
        self.shown += page.rows

    def _is_asked_for(self, id_: int) -> bool:
        return id_ > self.position.last_id or any(gap.first <= id_ <= gap.last for gap in self.position.gaps)


#: The steps, and how often each is chosen.
VERBS = {"begin": 30, "draw": 10, "commit": 20, "roll_back": 10, "let_go": 30, "crash": 1, "read": 80, "resume": 3}


@settings(max_examples=300, deadline=None)
@given(chance=st.randoms(use_true_random=True), room=st.integers(1, 6))
def test_every_prefix_and_its_continuation_are_complete(chance: Random, room: int) -> None:
    world = World()
    readers = [Reader(world, 0, room)]

    for verb in chance.choices(list(VERBS), list(VERBS.values()), k=150):
        if verb == "read":
            chance.choice(readers[-3:]).step()
        elif verb == "resume":
            cursors = [shown.cursor for reader in readers for shown in reader.shown]
            readers.append(Reader(world, chance.choice([0, *cursors]), room))
        else:
            getattr(world, verb)(chance.randrange(100))
    world.writers.clear()
    for reader in readers:
        for _ in range(2 * len(world.visible) + 4):
            reader.step()

    for reader in readers:
        assert reader.position.cursor == max(world.visible, default=0)
        assert [id_ for id_ in world.visible if id_ > reader.start] == sorted(s.row.id for s in reader.shown)
        seen = {id_ for id_ in world.visible if id_ <= reader.start}
        for shown in reader.shown:
            seen.add(shown.row.id)
            assert {id_ for id_ in world.visible if id_ <= shown.cursor} <= seen


def test_a_reader_that_does_not_restart_gets_each_row_once() -> None:
    page = advance(Position(), [Row(1), Row(4)], is_complete=True, now=0.0)
    page = advance(page.position.with_writers(frozenset({"a"})), [Row(2)], is_complete=True, now=1.0)

    assert [shown.row.id for shown in page.rows] == [2]
    assert page.position == Position(4, (Gap(3, 3, 0.0, frozenset({"a"})),))


def test_the_cursor_waits_only_for_the_writers_of_that_moment() -> None:
    position = advance(Position(), [Row(2)], is_complete=True, now=0.0).position.with_writers(frozenset({"a", "b"}))
    assert position.cursor == 0

    position = advance(position, [], is_complete=True, now=1.0).position.with_writers(frozenset({"b", "c"}))
    position = advance(position, [], is_complete=True, now=2.0).position.with_writers(frozenset({"c"}))
    assert position.cursor == 0
    assert (position.rows_beyond_cursor, position.gap_age_s(2.5)) == (1, 2.5)

    position = advance(position, [], is_complete=True, now=3.0).position
    assert (position.cursor, position.rows_beyond_cursor, position.gap_age_s(3.0)) == (2, 0, 0.0)


def test_a_reader_below_the_floor_learns_which_rows_may_have_expired() -> None:
    page = advance(Position(10), [Row(21, floor=20)], is_complete=True, now=0.0)

    assert page.expired == (11, 19)
    assert page.position.gaps == (Gap(20, 20, 0.0),)


def test_for_a_reader_that_starts_nothing_has_expired() -> None:
    assert advance(Position(), [Row(21, floor=20)], is_complete=True, now=0.0).expired is None
