"""What runs in img2dataset's processes: it downloads as it does, and what each answer says before its body is written down.

img2dataset tells nothing of an answer but its body, not even where a redirect has led. It asks by `urllib.request.urlopen`,
which goes through the opener that is installed here. Run by its path, in a process of its own; each process that img2dataset
starts runs it once more, as multiprocessing does with the main program. So nothing of pmd is imported here.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import urllib.request
from http.client import HTTPMessage, HTTPResponse
from typing import IO, Any, Final

#: In the environment: the file to which answers are added, a line of JSON each, and the names of the headers that are kept.
ANSWERS: Final = "PMD_IMG2DATASET_ANSWERS"
HEADERS: Final = "PMD_IMG2DATASET_HEADERS"

#: Characters that are kept of a header's values together: more than servers send in one line (`outcome.TAG_LENGTH`).
_LENGTH: Final = 20_000


class Redirects(urllib.request.HTTPRedirectHandler):
    """As urllib's own, and a request that follows a redirect knows what was asked for first."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request that follows."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            following.first = _first(req)  # type: ignore[attr-defined]
        return following


class Answers(urllib.request.BaseHandler):
    """Writes down what each answer says.

    Args:
        path: The file.
        names: Of the headers that are kept, in small letters.
    """

    handler_order = 0  # before what makes an error of an answer

    def __init__(self, path: str, names: list[str]) -> None:
        self._names = names
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  as long as the process

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        """Add a line of an answer's own, by one call, since other threads and processes add theirs."""
        headers = {name: _kept(found) for name in self._names if (found := response.headers.get_all(name))}
        said: dict[str, Any] = {
            "first": _first(request),
            "url": request.full_url,
            "http_status": response.status,
            "headers": headers,
        }
        self._file.write(json.dumps(said).encode() + b"\n")
        return response

    https_response = http_response


def _kept(values: list[str]) -> list[str]:
    kept: list[str] = []
    left = _LENGTH
    for value in values:
        if left > 0:
            kept.append(str(value)[:left])
            left -= len(kept[-1])
    return kept


def _first(request: urllib.request.Request) -> str:
    return str(getattr(request, "first", request.full_url))


def _end_with_parent() -> None:
    """End with all processes that img2dataset has started when the one that started us is gone: it holds our input open."""
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def main(arguments: str) -> None:
    """Have img2dataset download.

    Args:
        arguments: Of `img2dataset.download`, as JSON.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a lane hears in one thread, and is deaf in all others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    importlib.import_module("img2dataset").download(**json.loads(arguments))


if __name__ in ("__main__", "__mp_main__"):
    urllib.request.install_opener(
        urllib.request.build_opener(Redirects, Answers(os.environ[ANSWERS], json.loads(os.environ[HEADERS])))
    )
if __name__ == "__main__":
    main(sys.argv[1])
