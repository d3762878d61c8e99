"""The demo's web in a process of its own: its pictures die and appear, and it remembers what it has said.

Whoever is to stay free of threads talks to it by lines of JSON. Each request is noted under the *phase* that was told before it,
so that it is known which command asked. In the end it can be made to *repeat itself*: it then gives at each place what it gave
to the fetch.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pmd.demo.rows import build_world
from pmd.demo.web import Answer, DemoWeb, Route, page

#: The phase of requests that settle nothing.
ASIDE: Final = "aside"
_FOLDER: Final = Path(__file__).resolve().parents[2]
_NOT_FOUND: Final = page("Not Found", 404)
#: Behaviours that make each fetch wait, or that are no answer: they are tried elsewhere (`tests/fetch`).
SLOW: Final = frozenset({"busy_once", "drip", "endless", "hang", "drop", "garbage"})


class Changing:
    """Talks to the web's process."""

    def __init__(self, process: subprocess.Popen[str], told: Mapping[str, str]) -> None:
        self._process = process
        self.address, self.tls_address, self.ca_pem = told["address"], told["tls_address"], told["ca_pem"]

    def _ask(self, **words: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def reset(self) -> None:
        """Be as the demo's web, and forget."""
        self._ask(do="reset")

    def phase(self, name: str) -> None:
        """Note what comes under a name."""
        self._ask(do="phase", name=name)

    def serve(self, route: Sequence[str], of: Sequence[str] | None) -> None:
        """Answer at a place what the demo's web has at another one; None: 404."""
        self._ask(do="serve", route=route, of=of)

    def asked(self) -> list[tuple[str, str, str]]:
        """Return phase, host and path of each request so far; robots.txt and the like are not among them."""
        return [(phase, host, path) for phase, host, path in self._ask(do="asked")]

    def repeat(self, places: Mapping[str, str]) -> None:
        """From now on give at a place ("host path") what was last given to a fetch at another one, and else what there is."""
        self._ask(do="repeat", places=dict(places))


@contextlib.contextmanager
def opened() -> Iterator[Changing]:
    """Start the web."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, cwd=_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Changing(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


class _Web(DemoWeb):
    """A DemoWeb whose routes change."""

    def __init__(self) -> None:
        world = build_world()
        super().__init__(world.routes, untrusted_hosts=world.untrusted_hosts)
        self._first = dict(self.routes)
        self._guard = threading.Lock()
        self._phase = ""
        self._notes: list[tuple[str, str, str]] = []
        self._given: dict[Route, Answer] = {}

    def take(self, route: Route) -> Answer:
        """Note a request and its answer."""
        answer = super().take(route)
        with self._guard:
            self._notes.append((self._phase, *route))
            if self._phase != ASIDE:
                self._given[route] = answer
        return answer

    def obey(self, words: Mapping[str, Any]) -> Any:
        """Do what a line says; return what is told."""
        with self._guard:
            if words["do"] == "asked":
                return [note for note in self._notes if not note[2].endswith(("/robots.txt", "/tdmrep.json"))]
            if words["do"] == "phase":
                self._phase = words["name"]
            elif words["do"] == "serve":
                of = words["of"]
                self.routes[_route(words["route"])] = _NOT_FOUND if of is None else self._first[_route(of)]
            elif words["do"] == "repeat":
                self._repeat(
                    {_route(key.split(" ", 1)): _route(of.split(" ", 1)) for key, of in words["places"].items()}
                )
            else:
                self.routes, self._notes, self._given = dict(self._first), [], {}
            return None

    def _repeat(self, places: Mapping[Route, Route]) -> None:
        given = dict(self._given)
        self.routes |= given
        self.routes |= {route: given[of] for route, of in places.items() if of in given}


def _route(words: Sequence[str]) -> Route:
    host, path = words
    return host, path


def _serve() -> None:
    with _Web() as web:
        told = {"address": web.address, "tls_address": web.tls_address, "ca_pem": web.ca_pem.decode()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            sys.stdout.write(json.dumps(web.obey(json.loads(line))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _serve()
