"""What a process remembers of the meeting keys that it stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from shared.storage.meetings import LATELY_MAX, LatelyKeyed


def test_events_are_remembered_by_their_key() -> None:
    lately = LatelyKeyed()
    for meeting_key, event_id in (("a", "e1"), ("b", "e2"), ("a", "e3"), ("a", "e1")):
        lately.note(meeting_key, event_id)
    assert {"e1", "e3"} == set(lately.of("a"))
    assert 2 == len(lately.of("a"))
    assert (["e2"], []) == (lately.of("b"), lately.of("c"))


def test_the_oldest_is_forgotten_and_what_is_stored_again_stays_young() -> None:
    lately = LatelyKeyed()
    lately.note("again", "e")
    lately.note("old", "e")
    for number in range(LATELY_MAX - 2):
        lately.note("many", str(number))
    assert ["e"] == lately.of("old")
    lately.note("again", "e")
    lately.note("new", "e")
    assert [["e"], [], ["e"]] == [lately.of(key) for key in ("again", "old", "new")]
    assert LATELY_MAX - 2 == len(lately.of("many"))


def test_threads_that_store_and_ask_at_once_do_not_disturb_each_other() -> None:
    lately = LatelyKeyed()

    def store_and_ask(thread: int) -> bool:
        ids = [f"{thread}-{number}" for number in range(100)] * 20
        for event_id in ids:
            lately.note("k", event_id)
            if event_id not in lately.of("k"):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(store_and_ask, range(4)))
