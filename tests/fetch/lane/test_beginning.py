"""Which images are begun when: few of a place at a time, all of them in the end."""

from __future__ import annotations

import collections

from hypothesis import given
from hypothesis import strategies as st

from pmd.config.options import PerHost
from pmd.fetch.lane.beginning import Line
from pmd.fetch.lane.engine import Lane
from pmd.fetch.lane.images import Image
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table


def image(number: int, url: str, kind: str = "original") -> Image:
    return Image(number.to_bytes(16, "big"), ((kind, url),), has_region=False, before=frozenset(), standing=None)


def test_a_place_is_host_and_port_as_they_are_written() -> None:
    assert image(0, "https://a.test:8080/x/y.jpg?at=//b.test/").place == "a.test:8080"
    assert image(0, "https://a.test").place == "a.test"
    assert image(0, "no URL").place == ""
    assert image(0, "zip://a/b.zip#c", "archive").place == ""
    assert Image(bytes(16), (), has_region=False, before=frozenset(), standing=None).place == ""


def test_the_next_of_a_place_are_begun_together_when_half_of_them_are_left() -> None:
    line = Line([image(number, "http://a.test/") for number in range(7)], 4, 100)
    assert len(list(line.begin())) == 4
    assert [line.end("a.test"), line.end("a.test")] == [False, True]
    assert len(list(line.begin())) == 2
    assert not line.is_empty
    assert [line.end("a.test"), line.end("a.test")] == [False, True]
    assert len(list(line.begin())) == 1
    assert line.is_empty


def test_the_last_of_a_place_that_asks_is_told_so() -> None:
    line = Line([image(0, "http://a.test/0"), *(image(number, "http://b.test/") for number in range(1, 5))], 2, 100)
    assert [found.place for found in line.begin()] == ["a.test", "b.test", "b.test"]
    assert line.asks("a.test")()
    first, second = line.asks("b.test"), line.asks("b.test")
    assert (first(), second(), second()) == (False, False, False)  # others wait
    line.end("b.test")
    assert len(list(line.begin())) == 1
    line.end("b.test")
    assert len(list(line.begin())) == 1
    third, fourth = line.asks("b.test"), line.asks("b.test")
    assert not fourth()
    third.end()  # it has ended without a request
    assert fourth()


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=60),
    st.integers(4, 9),
    st.integers(1, 20),
    st.randoms(use_true_random=False),
)
def test_all_are_begun_once_and_in_order_and_never_too_many(
    places: list[str], of_place: int, of_all: int, chance: st.DataObject
) -> None:
    images = [image(number, f"http://{place}.test/{number}") for number, place in enumerate(places)]
    line = Line(images, of_place, of_all)
    begun: dict[str, list[Image]] = collections.defaultdict(list)
    under_way: list[Image] = []
    while not line.is_empty or under_way:
        for found in line.begin():
            begun[found.place].append(found)
            under_way.append(found)
        counts = collections.Counter(found.place for found in under_way)
        assert len(under_way) <= of_all
        assert not counts or max(counts.values()) <= of_place
        has_room = False
        while not has_room and under_way:
            ended = under_way.pop(chance.randrange(len(under_way)))  # type: ignore[attr-defined]
            has_room = line.end(ended.place)
        assert has_room or line.is_empty
    assert {place: [found for found in images if found.place == place] for place in begun} == begun
    assert sum(map(len, begun.values())) == len(images)


def test_a_lane_has_few_tasks_for_a_host_of_many_images(web: Web) -> None:
    web.routes.update({f"a.test/{number}": reply(photo()) for number in range(60)})
    chosen = options(web, robots=False, concurrency=2, per_host=PerHost(requests_per_s=10_000, connections=2))
    rows = table(*(image_row(str(number), f"http://a.test/{number}") for number in range(60)))
    most = 0
    with Lane(chosen, contact="", patience=HASTE) as lane:
        for found in lane.fetch(rows):
            assert found.status == "ok"
            most = max(most, len(lane._tasks))
    assert 0 < most <= 8  # four for each image that may be under way


def test_few_hosts_are_begun_at_a_time_and_each_is_asked_over_one_connection(web: Web) -> None:
    hosts = [f"host{number}.test" for number in range(30)]
    web.routes |= {f"{host}/x": reply(photo()) for host in hosts}
    rows = table(*(image_row(host, f"http://{host}/x") for host in hosts))
    with Lane(options(web, concurrency=2), contact="", patience=HASTE) as lane:
        assert [found.status for found in lane.fetch(rows)] == ["ok"] * 30
    begun: set[str] = set()
    most = 0
    for request in web.log:
        begun.discard(request.host) if request.path == "/x" else begun.add(request.host)
        most = max(most, len(begun))
    assert (len(web.log), web.connections) == (90, 30)
    assert most <= 6  # of each that is under way the next request waits while another's robots.txt is asked for
