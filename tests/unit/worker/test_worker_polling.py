"""How many slots poll at once, and how many tasks several workers have in hand together."""

from __future__ import annotations

import threading

import pytest
from worker_fakes import PATIENCE

from workflow_manager.worker.polling import Room, Turns


@pytest.mark.parametrize(
    ("polls", "allowed"),
    [
        pytest.param("", 1, id="one at first"),
        pytest.param("t", 2, id="a task doubles it"),
        pytest.param("ttt", 5, id="up to the number of slots"),
        pytest.param("ttt.", 2, id="none halves it"),
        pytest.param("ttt....", 1, id="down to one"),
        pytest.param("....t", 2, id="and up again"),
    ],
)
def test_polls_follow_what_is_to_be_done(polls: str, allowed: int) -> None:
    """``t`` is a poll that brought a task, ``.`` one that did not."""
    turns = Turns(5, Room(100))
    for poll in polls:
        assert turns.begin()
        turns.finish(found=poll == "t")

    assert turns.allowed == allowed


def test_a_turn_is_waited_for() -> None:
    turns, began = Turns(2, Room(100)), threading.Event()
    assert turns.begin()
    threading.Thread(target=lambda: turns.begin() and began.set(), daemon=True).start()
    assert not began.wait(0.05)
    turns.finish(found=True)

    assert began.wait(PATIENCE)


def test_nobody_polls_while_all_have_their_hands_full() -> None:
    """Not for any activity: the room is the process's."""
    room, stopping, began = Room(1), threading.Event(), threading.Event()
    other = Turns(5, room)
    room.take(stopping)
    threading.Thread(target=lambda: other.begin() and began.set(), daemon=True).start()
    assert not began.wait(0.05)
    room.give_back()

    assert began.wait(PATIENCE)


def test_the_end_wakes_everybody() -> None:
    room, stopping = Room(1), threading.Event()
    turns, answers = Turns(5, room), []
    room.take(stopping)
    waiting = [
        threading.Thread(target=lambda: answers.append(turns.begin()), daemon=True),
        threading.Thread(target=lambda: answers.append(room.take(stopping)), daemon=True),
    ]
    for thread in waiting:
        thread.start()
    stopping.set()
    turns.end()
    for thread in waiting:
        thread.join(PATIENCE)

    assert sorted(map(str, answers)) == ["False", "None"]
