"""Without a network nothing is tried twice: it is said once, in one sentence."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from pmd.manifests import Manifest, ManifestFile, fetch, offline
from pmd.manifests.offline import NoNetwork

MakeFile = Callable[..., ManifestFile]
MakeManifest = Callable[..., Manifest]

GONE = socket.gaierror(-3, "Temporary failure in name resolution")


class Reach:
    """Tells of hosts whether they can be connected to, and remembers whom it was asked of."""

    def __init__(self, *there: str) -> None:
        self.there, self.asked = there, list[tuple[str, int]]()

    def __call__(self, host: str, port: int) -> bool:
        self.asked.append((host, port))
        return host in self.there


def wrapped(cause: Exception) -> requests.ConnectionError:
    """Return an error as requests and urllib3 hand it on."""
    inner = Exception("HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /x (Caused by …)")
    inner.reason = cause  # type: ignore[attr-defined]
    return requests.ConnectionError(inner)


@pytest.mark.parametrize(
    ("cause", "is_sign"),
    [
        (GONE, True),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), True),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), False),
        (TimeoutError("timed out"), False),
        (ValueError("another"), False),
    ],
)
def test_signs(cause: Exception, is_sign: bool) -> None:
    assert offline.is_sign(wrapped(cause)) == is_sign


class Session(requests.Session):
    """Fails as it is told, host by host; asks the others."""

    def __init__(self, **failing: Exception) -> None:
        super().__init__()
        self.failing, self.asked = {name.replace("_", "."): cause for name, cause in failing.items()}, list[str]()

    def get(self, url: Any, **rest: Any) -> requests.Response:
        self.asked.append(url)
        for host, cause in self.failing.items():
            if f"//{host}/" in url:
                raise wrapped(cause)
        return super().get(url, **rest)


def files(file: MakeFile, web: Any, *hosts: str) -> list[ManifestFile]:
    """Return a file a host; "" is the server of the tests."""
    return [
        file("/a", name=f"{number}.zip").model_copy(
            update={"urls": (f"https://{host}/{number}",) if host else (web.url("/a"),)}
        )
        for number, host in enumerate(hosts)
    ]


def test_it_stops_at_the_first_sign(file: MakeFile, manifest: MakeManifest, data: Path, web: Any) -> None:
    session, reach, waits = Session(one_example=GONE, two_example=GONE), Reach(), list[float]()
    with pytest.raises(NoNetwork) as caught:
        fetch(
            [manifest(*files(file, web, "one.example", "two.example"))],
            data,
            session=session,
            sleep=waits.append,
            reach=reach,
        )
    assert (session.asked, waits) == (["https://one.example/0"], [])
    assert reach.asked[0] == ("two.example", 443)
    assert len(reach.asked) == 2
    said = str(caught.value)
    assert said.startswith(
        "there is no network: one.example cannot be reached (Temporary failure in name resolution), nor two.example, nor "
    )
    assert said.endswith("; what is here stays, and the same command goes on once there is one")
    assert "\n" not in said
    assert "Pool" not in said
    assert caught.value.exit_code == 6
    assert list((data / "red_caps").iterdir()) == []


def test_a_host_that_is_gone_is_not_the_network(
    file: MakeFile, manifest: MakeManifest, data: Path, web: Any, resource: Any, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    session = Session(one_example=GONE)
    outcomes = fetch(
        [manifest(*files(file, web, "one.example", ""))],
        data,
        session=session,
        sleep=lambda _: None,
        reach=Reach("127.0.0.1"),
    )
    assert [outcome.status for outcome in outcomes] == ["failed", "fetched"]
    assert "Temporary failure in name resolution, 5 times in a row" in str(outcomes[0].error)
    assert "Pool" not in str(outcomes[0].error)


def test_a_network_that_goes_away_is_waited_for_and_then_told(
    file: MakeFile, manifest: MakeManifest, data: Path, web: Any, resource: Any, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    session, waits = Session(one_example=OSError(errno.ENETUNREACH, "Network is unreachable")), list[float]()
    with pytest.raises(NoNetwork):
        fetch(
            [manifest(*files(file, web, "", "one.example", "two.example"))],
            data,
            session=session,
            sleep=waits.append,
            reach=Reach(),
        )
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert (data / "red_caps" / "0.zip").exists()
    assert "https://two.example/2" not in session.asked
