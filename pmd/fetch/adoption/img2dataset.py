"""img2dataset as the engine that downloads (`fetch.engine = "img2dataset"`), within what is decided here.

Of each image the next location is looked at by the lane: its address, robots.txt and TDMRep, as for a request of our own. What
may be asked for goes to img2dataset as one list, in the form in which it was judged, and what img2dataset writes comes
back as it does for `adopt`: a tar, with a table beside it that has what could not be had. Every picture is then judged by
the same function as one that we fetched. Images that have more locations go round again. Archives are read by the lane.

What happens between img2dataset and a host is out of our hands: how often it asks, where a redirect leads, how long and how
large an answer is. What each answer said before its body is written down (`pmd.fetch.adoption.img2dataset_program`), also of each
redirect, and judged when the pictures are there: what a host, a robots.txt or a takedown says no to is not kept.
docs/img2dataset.md says what holds and what does not.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.errors import ConfigError, InputError, PmdError
from pmd.fetch import outcome
from pmd.fetch.adoption import adopt, img2dataset_program
from pmd.fetch.clock import utc_now
from pmd.fetch.http import addresses, receiving, trust
from pmd.fetch.http.answer import Answer
from pmd.fetch.http.head import Head
from pmd.fetch.lane.engine import CODEC_THREADS, Lane, Progress
from pmd.fetch.lane.images import Image, images_of
from pmd.fetch.lane.judging import Judged, form_of, judge, limits_of
from pmd.fetch.lane.recording import lost, settled
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema.statuses import OK
from pmd.schema.tables import IMAGES
from pmd.store import spools, storage
from pmd.text import urls

_PACKAGE: Final = "img2dataset"

#: Seconds between two looks whether it is to end.
_LOOK_S: Final = 0.5

#: Of what it says when it fails, this much is told.
_LOG_LINES: Final = 5

#: Its words for an answer that an X-Robots-Tag forbids to use (`downloader.download_image` of 1.47.0).
_DISALLOWED: Final = "Use of image disallowed by X-Robots-Tag directive"
_HTTP: Final = re.compile(r"HTTP Error (\d{3}):")

#: What else it says is the text of an exception of urllib, ssl or socket; the first pattern that is found decides.
_MESSAGES: Final = (
    (re.compile(r"timed out"), "timeout"),
    (re.compile(r"\[SSL|\(_ssl\.c"), "tls"),
    (re.compile(r"\[Errno -\d+\]|nodename nor servname|codec can't encode|'idna' codec"), "dns"),  # getaddrinfo's
    (re.compile(r"unknown url type|no host given|control characters|nonnumeric port"), "blocked_address"),
    (re.compile(r"\[Errno|urlopen error|closed connection|IncompleteRead|no answer"), "connection"),
)
_NO_ANSWER: Final = "no answer of img2dataset for it"


def require() -> None:
    """Check that img2dataset is installed.

    Raises:
        ConfigError: It is not.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ConfigError(
            "img2dataset is not installed",
            where='fetch.engine = "img2dataset"',
            expected="the package img2dataset in the environment that pmd runs in",
            remedy="pip install 'pmd[img2dataset]'; or leave engine out: pmd downloads by itself",
        )


def status_of(message: str) -> str:
    """Return the status that an `error_message` of img2dataset means."""
    if message == _DISALLOWED:
        return "opted_out"
    code = http_status_of(message)
    if code is not None:
        return "too_many_redirects" if outcome.is_redirect(code) else outcome.status_of_http(code)
    # What is left is what a host answered instead of HTTP: its words are the message.
    return next((status for pattern, status in _MESSAGES if pattern.search(message)), "server_error")


def http_status_of(message: str) -> int | None:
    """Return the HTTP status that an `error_message` of img2dataset tells, or None."""
    found = _HTTP.match(message)
    return int(found[1]) if found is not None else None


def arguments(options: FetchOptions, url_list: str, output_folder: str, count: int) -> dict[str, Any]:
    """Return what img2dataset is asked to do: every body as it came, with its SHA-256, in one shard by one process."""
    return {
        "url_list": url_list,
        "input_format": "parquet",
        "url_col": "url",
        "output_folder": output_folder,
        "output_format": "webdataset",
        "number_sample_per_shard": count,
        "processes_count": 1,
        "thread_count": options.concurrency,
        "timeout": options.timeout_s,
        "retries": options.retries,
        "max_shard_retry": 0,
        "resize_mode": "no",
        "disable_all_reencoding": True,
        "compute_hash": "sha256",
        "extract_exif": False,
        "enable_wandb": False,
        "user_agent_token": options.user_agent.partition("/")[0],
        "disallowed_header_directives": sorted(outcome.DENYING_TAGS),
    }


class _Said(NamedTuple):
    """What one answer said before its body.

    Attributes:
        url: Whose it is: one that was handed on, or where its redirects have led.
        http_status: Its status.
        headers: Those that are kept as evidence.
        no: By what it forbids its use, and its words.
    """

    url: str
    http_status: int
    headers: str | None
    no: tuple[str, str] | None


@dataclasses.dataclass
class _Waiting:
    """An image that is not settled: its web locations that are left, and what was tried."""

    image: Image
    left: collections.deque[str]
    attempts: list[Attempt]


@dataclasses.dataclass(frozen=True)
class _Try:
    """One location of an image, and what the lane says of it."""

    item: _Waiting
    url: str
    answer: Answer
    final: _Said | None = None  # of a picture that came

    @property
    def sent(self) -> str:
        """The URL as img2dataset is given it: in the form that was judged, since parsers disagree on others."""
        return str(self.answer.final_url)

    def said(self, downloaded: _Downloaded) -> tuple[str, str | None]:
        """Return the status that img2dataset's own words mean, and these."""
        if urls.canonical_one(self.sent) in downloaded.pictures:
            return OK, None
        error = downloaded.errors.get(self.sent, _NO_ANSWER)
        return status_of(error), error


@dataclasses.dataclass(frozen=True)
class _Downloaded:
    """What img2dataset has of a list: rows of `adopt.INDEX` by canonical URL, what it says of the others, and what hosts said."""

    pictures: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, str]
    answers: Mapping[str, Sequence[_Said]]


class Img2dataset:
    """Settles images with img2dataset; stands in a lane's place.

    Args:
        lane: Reads archives, and says which URLs may be asked for.
        options: Limits, and the form in which images are kept.
        work: A folder of this run; what img2dataset writes lies there while it is read, or in the machine's temporary
            folder if that is none of this machine's.
    """

    def __init__(self, lane: Lane, options: FetchOptions, work: str) -> None:
        self._lane = lane
        self._options = options
        self._work = work
        self._limits = limits_of(options)
        self._blocklist = lane.blocklist

    @property
    def answered(self) -> bool:
        """Whether any host has answered so far, us or img2dataset."""
        return self._lane.answered

    @property
    def stopping(self) -> bool:
        """Whether its lane was asked to end."""
        return self._lane.stopping

    def fetch(
        self,
        images: pa.Table,
        *,
        generation: int = 0,
        previous: pa.Table | None = None,
        listed: reference_lists.Listed = reference_lists.NO_LISTS,
        progress: Progress | None = None,
    ) -> Generator[Fetched, None, None]:
        """Yield each image settled; see `Lane.fetch`.

        Raises:
            InputError: An archive is gone.
            NetworkError: The network is broken, by all that is seen.
            PmdError: img2dataset failed.
        """
        waiting = {
            image.image_id: _Waiting(image, collections.deque(_on_the_web(image)), [])
            for image in images_of(images, previous, listed)
        }
        read = self._lane.fetch(_in_archives(images), generation=generation, previous=previous, listed=listed)
        with contextlib.closing(read):
            for fetched in read:
                item = waiting[fetched.image_id]
                if item.left and fetched.status not in {OK, blocklists.STATUS}:
                    item.attempts += fetched.attempts
                else:
                    del waiting[fetched.image_id]
                    yield _reported(fetched, progress)
        left = list(waiting.values())
        while left and not self.stopping:
            again: list[_Waiting] = []
            with contextlib.suppress(CancelledError):  # the lane was asked to end, and what is under way is dropped
                for item, ended in self._round(left, generation):
                    if ended is None:
                        again.append(item)
                    else:
                        yield _reported(ended, progress)
                    if self.stopping:
                        return
            left = again

    def _round(self, waiting: Sequence[_Waiting], generation: int) -> Iterator[tuple[_Waiting, Fetched | None]]:
        """Try the next location of each image; yield what it ended in, or None where it has more locations."""
        when = utc_now()
        asked = [(item.image, item.left.popleft()) for item in waiting]
        answers = self._lane.may_ask(asked)
        tries = [_Try(item, url, answer) for item, (_, url), answer in zip(waiting, asked, answers, strict=True)]
        parent = self._work if storage.is_local(self._work) else spools.folder()
        with (
            tempfile.TemporaryDirectory(prefix=f"{_PACKAGE}-", dir=parent) as folder,
            ThreadPoolExecutor(CODEC_THREADS, "codec") as threads,
        ):
            downloaded = self._download([one.sent for one in tries if one.answer.status == OK], Path(folder))
            self._lane.heard(
                [(one.item.image, one.sent, *one.said(downloaded)) for one in tries if one.answer.status == OK]
            )
            tries = self._looked_back(tries, downloaded)
            for some in _batches(tries, self._options.concurrency):
                for one, judged in zip(some, threads.map(lambda one: self._judged(one, downloaded), some), strict=True):
                    yield one.item, self._settled(one, judged, downloaded, generation, when)

    def _looked_back(self, tries: Sequence[_Try], downloaded: _Downloaded) -> list[_Try]:
        """Return tries with what is said of the way to their pictures: a picture is not wanted where any answer says no.

        Raises:
            PmdError: It is not known what was answered.
        """
        found = [self._with_final(one, downloaded) for one in tries]
        for at, one in enumerate(found):
            if one.final is not None and (no := self._no(one.sent, downloaded.answers[one.sent])) is not None:
                found[at] = dataclasses.replace(one, answer=no)
        led = [
            (at, url)
            for at, one in enumerate(found)
            if one.final is not None and one.answer.status == OK
            for url in dict.fromkeys(said.url for said in downloaded.answers[one.sent])
            if url != one.sent
        ]
        answers = self._lane.may_ask([(found[at].item.image, url) for at, url in led], led=True)
        for (at, _), answer in zip(led, answers, strict=True):
            if answer.status != OK and found[at].answer.status == OK:
                found[at] = dataclasses.replace(found[at], answer=answer)
        return found

    def _with_final(self, one: _Try, downloaded: _Downloaded) -> _Try:
        if one.answer.status != OK or one.said(downloaded)[0] != OK:
            return one
        said = downloaded.answers.get(one.sent)
        if not said:
            raise PmdError(
                "img2dataset did not say where a picture came from",
                where=one.sent,
                expected="an answer to urllib, by which img2dataset 1.47.0 asks",
                remedy="pip install 'pmd[img2dataset]'; or leave engine out: pmd downloads by itself",
            )
        return dataclasses.replace(one, final=said[-1])

    def _no(self, sent: str, answers: Sequence[_Said]) -> Answer | None:
        """Return the no that the answers to a URL hold, by where they have led and what they say, as an answer of ours."""
        if any(self._blocklist.is_kept_out(said.url) for said in answers if said.url != sent):
            return Answer(blocklists.STATUS, error=blocklists.evidence(blocklists.SUPPRESSED))
        for said in answers:
            if said.no is not None:
                who, evidence = said.no
                evidence = evidence[: outcome.EVIDENCE_LENGTH]
                return Answer("opted_out", error=evidence, policy=f"denied by {who}", policy_evidence=evidence)
        return None

    def _answers(self, path: Path) -> dict[str, list[_Said]]:
        """Return what was answered, by the URL that was asked for first."""
        agent = re.split("[/ ]", self._options.user_agent, maxsplit=1)[0]
        found: dict[str, list[_Said]] = {}
        with path.open("rb") if path.exists() else contextlib.nullcontext(()) as lines:
            for line in lines:
                said = orjson.loads(line)
                head = Head(said["http_status"], said["headers"])
                no = receiving.denial(head, agent, tdmrep_counts=self._options.tdmrep)
                answer = _Said(said["url"], head.http_status, outcome.evidence(head.headers), no)
                found.setdefault(said["first"], []).append(answer)
        return found

    def _judged(self, one: _Try, downloaded: _Downloaded) -> Judged | None:
        """Return what a picture is worth, or None where there is none."""
        if one.answer.status != OK or one.said(downloaded)[0] != OK:
            return None
        entry = downloaded.pictures[str(urls.canonical_one(one.sent))]
        if entry["length"] > self._options.max_bytes:
            refused = codec.Inspected("too_large", detail=f"{entry['length']} bytes, over {self._options.max_bytes}")
            return Judged(entry["length"], entry["sha256"], codec.Prepared(refused))
        content = storage.read_bytes(entry["tar"], entry["offset"], entry["offset"] + entry["length"])
        image = one.item.image
        judged = judge(
            content,
            self._limits,
            form_of(self._options, has_region=image.has_region),
            self._blocklist,
            image.known,
            hashed=self._lane.hashed,
        )
        if judged.sha256 != entry["sha256"]:
            raise InputError(
                "img2dataset has not stored what it says it has downloaded",
                where=f"{entry['tar']}!/{entry['member']}",
                expected=f"bytes with SHA-256 {(entry['sha256'] or b'').hex()}",
                found=judged.sha256.hex(),
                remedy="look whether the disk is full or failing, then run the same command again",
            )
        return judged

    def _settled(
        self, one: _Try, judged: Judged | None, downloaded: _Downloaded, generation: int, when: datetime.datetime
    ) -> Fetched | None:
        """Note a try; return the outcome of its image, or None where it has more locations."""
        item, answer, final = one.item, one.answer, one.final
        status, error = answer.status, answer.error
        http_status = None if final is None else final.http_status
        policy, evidence = answer.policy, answer.policy_evidence
        if judged is not None:
            status, error = judged.prepared.inspected.status, judged.prepared.inspected.detail
        elif answer.status == OK:
            status, error = one.said(downloaded)
            http_status = http_status_of(str(error))
            if error == _DISALLOWED:
                policy, evidence = "denied by X-Robots-Tag", error
        is_told = status != blocklists.STATUS  # what is said of such a picture tells what it is
        item.attempts.append(
            Attempt(
                item.image.image_id,
                one.url,
                generation,
                when,
                status,
                http_status=http_status if is_told else None,
                final_url=_address(final.url) if final is not None and is_told else None,
                headers=final.headers if final is not None and is_told else None,
                policy=policy if is_told else None,
                policy_evidence=evidence if is_told else None,
                error=error,
            )
        )
        if judged is not None and status == OK:
            return settled(item.image, one.url, item.attempts, judged)
        return None if item.left and is_told else lost(item.image, item.attempts)

    def _download(self, sent: Sequence[str], folder: Path) -> _Downloaded:
        """Have URLs downloaded.

        Raises:
            NetworkError: The network is broken, by what img2dataset says of hosts.
            PmdError: It failed.
        """
        if not sent:
            return _Downloaded({}, {}, {})
        url_list, output, answers = folder / "list.parquet", folder / "out", folder / "answers.jsonl"
        pq.write_table(pa.table({"url": pa.array(dict.fromkeys(sent), pa.string())}), url_list)
        environment = _environment(self._options.ca_file, folder, answers)
        asked = arguments(self._options, str(url_list), str(output), len(sent))
        log = folder / "log.txt"
        code = _run(json.dumps(asked), environment, log, lambda: self.stopping)
        if code or not (output / "00000_stats.json").exists():
            raise PmdError(
                "img2dataset failed",
                where='fetch.engine = "img2dataset"',
                expected="a shard of what it has downloaded",
                found=f"exit code {code}: " + " | ".join(log.read_text(errors="replace").split("\n")[-_LOG_LINES:]),
                remedy="run the same command again, or leave engine out: pmd downloads by itself",
            )
        table = pq.ParquetFile(output / "00000.parquet").read(columns=["url", "error_message"], use_threads=False)
        said = zip(table["url"].to_pylist(), table["error_message"].to_pylist(), strict=True)
        errors = {url: message for url, message in said if message is not None}
        pictures = {row["url"]: row for row in adopt.index([f"{output}/*.tar"]).to_pylist()}
        return _Downloaded(pictures, errors, self._answers(answers))


def _on_the_web(image: Image) -> list[str]:
    return [url for kind, url in image.locations if kind != "archive"]


def _in_archives(images: pa.Table) -> pa.Table:
    """Return the images that have a location in an archive, or none at all, with the archives' locations alone."""
    places = images["locations"].to_pylist()
    archived = [[place for place in each if place["kind"] == "archive"] for each in places]
    rows = [row for row, each in enumerate(places) if archived[row] or not each]
    at, field = images.schema.get_field_index("locations"), IMAGES.field("locations")
    return images.take(pa.array(rows, pa.int64())).set_column(
        at, field, pa.array([archived[row] for row in rows], type=field.type)
    )


def _reported(fetched: Fetched, progress: Progress | None) -> Fetched:
    if progress is not None:
        progress(fetched)
    return fetched


def _batches(tries: Sequence[_Try], size: int) -> Iterator[Sequence[_Try]]:
    for start in range(0, len(tries), size):
        yield tries[start : start + size]


def _address(url: str) -> str | None:
    """Return a URL without what is not written down of one, such as a password; None for none of the web."""
    try:
        return addresses.parse(url).url
    except addresses.Blocked:
        return None


def _environment(ca_file: str | None, folder: Path, answers: Path) -> dict[str, str]:
    """Return the environment of img2dataset: no proxy, as for us; nothing that looks for updates or reports runs.

    Args:
        ca_file: Authorities beside the system's.
        folder: For files of ours.
        answers: Where what is answered goes.
    """
    found = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    found |= {
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        img2dataset_program.ANSWERS: str(answers),
        img2dataset_program.HEADERS: json.dumps(outcome.EVIDENCE_HEADERS),
    }
    if ca_file is not None:
        # urllib reads one file in place of the system's, so that the two are put together.
        (folder / "ca.pem").write_bytes(trust.merged(ca_file))
        found["SSL_CERT_FILE"] = str(folder / "ca.pem")
    return found


def _run(argument: str, environment: Mapping[str, str], log: Path, stopping: Callable[[], bool]) -> int:
    """Run img2dataset in a group of processes of its own, none of which outlives us; return its exit code.

    Raises:
        CancelledError: It was to end, and is ended.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603  the program is ours, what it is given is JSON of ours
            [sys.executable, "-P", img2dataset_program.__file__, argument],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        while not stopping():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_S)
        raise CancelledError
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
