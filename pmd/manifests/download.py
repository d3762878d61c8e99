"""Downloads upstream's files: none that is there already, each from where an earlier try broke, and none that is wrong.

Bytes go to `NAME.part` beside the target and are hashed as they come; only a part of the right size and checksum is
renamed over the target. A broken transfer goes on where it broke, with the server's word (If-Range) that it is still
the same file; a server that cannot do so begins again. Each place (mirror) is tried in the manifest's order.

One failed file does not stop the others: each ends in an `Outcome`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from pmd import __version__
from pmd.errors import ConfigError, NetworkError, PmdError
from pmd.manifests import integrity, offline
from pmd.manifests.loading import load_all
from pmd.manifests.model import ANNOTATIONS, Kind, Manifest, ManifestFile
from pmd.manifests.outcome import Outcome, Progress, Silent
from pmd.manifests.selecting import fetch_command, human_bytes, select
from pmd.store import failures

if TYPE_CHECKING:
    import requests

#: Seconds to connect, and between two packets; upstream's servers are slow, not silent.
TIMEOUT_S: Final = (15.0, 60.0)

#: Failed tries in a row without progress, after which a place is given up; waits double from one second.
TRIES: Final = 5
_LONGEST_WAIT_S: Final = 60.0
#: Bytes received at a time; what a broken transfer loses is less than this.
_CHUNK_BYTES: Final = 1 << 16
#: Bytes that a try must gain to count as progress: less, and a server that hangs up at once would be asked for ever.
_PROGRESS_BYTES: Final = 1 << 20

_USER_AGENT: Final = f"pmd/{__version__} (manifests fetch)"
#: Statuses worth asking again for; any other error means that this place does not have the file.
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_OK: Final = 200
_PARTIAL: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


class _TransferBroke(Exception):
    """A try ended early and another may do better.

    Args:
        why: In words.
        wait_s: When the server wants to be asked again.
        sign: What may mean that there is no network.
    """

    def __init__(self, why: str, wait_s: float | None = None, sign: Exception | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.sign = sign


class _PlaceIsNoGood(Exception):
    """This place does not have the file, or has another one."""


def free_bytes(folder: Path) -> int:
    """Return the free space of the file system that a folder, or the nearest one above it that exists, is on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def fetch(
    manifests: Iterable[Manifest],
    folder: str | Path,
    *,
    names: Collection[str] | None = None,
    kinds: Collection[Kind] = ANNOTATIONS,
    progress: Progress | None = None,
    session: requests.Session | None = None,
    sleep: Callable[[float], None] = time.sleep,
    timeout_s: tuple[float, float] = TIMEOUT_S,
    free: Callable[[Path], int] = free_bytes,
    reach: offline.Reach = offline.reach,
) -> list[Outcome]:
    """Bring files under `folder`, as SOURCE/NAME.

    Args:
        manifests: The sources.
        folder: The data folder; local.
        names: File names wanted, of any kind, optional ones too; None: all of `kinds` that are not optional.
        kinds: Kinds wanted where `names` is None.
        progress: Who is told.
        session: Used as it is, and left open; None: one of our own.
        sleep: Waits between two tries, in seconds.
        timeout_s: Seconds to connect, and between two packets.
        free: Tells the free bytes of a folder's file system.
        reach: Tells whether a host can be connected to, where one cannot.

    Returns:
        One outcome a file, in the manifests' order: `fetched`, `present`, `gated` or `failed`.

    Raises:
        ConfigError: `folder` is no local path, or a name is no file of these sources.
        PmdError: The file system has not the space for all of them; nothing was begun.
        NoNetwork: There is no network: at the first sign, where nobody has answered before.
    """
    import requests  # here, so that commands which download nothing do not wait for it

    if "://" in str(folder):
        raise ConfigError(
            "upstream files are downloaded to a local folder",
            expected="a local path",
            found=str(folder),
            remedy="download to a local folder, copy it there, and name the copies in the configuration",
        )
    root = Path(folder)
    listener = progress or Silent()
    wanted = select(manifests, names=names, kinds=kinds)
    outcomes: dict[str, Outcome] = {}
    missing = []
    for file in wanted:
        outcome = integrity.check(file, root / file.target, quick=True, progress=listener)
        if outcome.ok:
            outcomes[file.target] = outcome
            listener.finish(outcome)
        elif file.gated:
            outcomes[file.target] = gated(file, outcome)
            listener.finish(outcomes[file.target])
        else:
            missing.append(file)
    _check_space(missing, root, free)
    network = offline.Network(_urls(missing), reach)
    with contextlib.ExitStack() as stack:
        http = session if session is not None else stack.enter_context(requests.Session())
        for file in missing:
            outcomes[file.target] = _Download(
                file, root / file.target, http, listener, sleep, timeout_s, free, network
            ).run()
            listener.finish(outcomes[file.target])
    return [outcomes[file.target] for file in wanted]


def _urls(files: Iterable[ManifestFile]) -> list[str]:
    """Return the places of files, then those of all that pmd knows: to ask whether another host is there."""
    known = (file for manifest in load_all().values() for file in manifest.files)
    return [url for file in (*files, *known) for url in file.urls]


def gated(file: ManifestFile, outcome: Outcome) -> Outcome:
    """Return the outcome of a gated file that is not there, or not right: what to do, where to ask, where to put it."""
    assert file.gated is not None
    detail = "cannot simply be downloaded" if outcome.status == "absent" else outcome.detail
    remedy = f"{file.gated.how}; ask at {file.gated.where_to_ask}; put it at {outcome.path}"
    return Outcome(file, outcome.path, "gated" if outcome.status == "absent" else outcome.status, detail, remedy)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _check_space(files: Iterable[ManifestFile], root: Path, free: Callable[[Path], int]) -> None:
    needed = 0
    for file in files:
        part = _part(root / file.target)
        begun = part.stat().st_size if part.exists() else 0
        needed += max((file.bytes or file.bytes_about or 0) - begun, 0)
    if needed > (there := free(root)):
        raise _no_space(str(root), needed, there)


def _no_space(where: str, needed: int, there: int) -> PmdError:
    return PmdError(
        "not enough free space",
        where=where,
        expected=f"{human_bytes(needed)} for what is to be downloaded",
        found=f"{human_bytes(there)}",
        remedy="free some, give another folder, or fetch fewer sources at a time",
    )


class _Download:
    """One file on its way: its part, the digests of what is in it, and the places still to try."""

    def __init__(
        self,
        file: ManifestFile,
        path: Path,
        http: requests.Session,
        progress: Progress,
        sleep: Callable[[float], None],
        timeout_s: tuple[float, float],
        free: Callable[[Path], int],
        network: offline.Network,
    ) -> None:
        self.network = network
        self.file = file
        self.path = path
        self.part = _part(path)
        self.notes = path.with_name(f".{path.name}.part.json")
        self.http = http
        self.progress = progress
        self.sleep = sleep
        self.timeout_s = timeout_s
        self.free = free
        self.size = 0
        self.resumed = False
        self.digests = integrity.Digests(file)

    def run(self) -> Outcome:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._only_one(), open(self.part, "a+b") as out:
                try:
                    self._take_up(out)
                    return self._from_any_place(out)
                finally:
                    if os.fstat(out.fileno()).st_size == 0:
                        self.part.unlink(missing_ok=True)
        except offline.NoNetwork:
            raise
        except PmdError as error:
            return Outcome(self.file, str(self.path), "failed", error.problem, error.remedy or "", error)
        except OSError as error:
            problem = failures.told(error) or PmdError(
                "the file cannot be written",
                where=str(self.part),
                found=str(error),
                remedy="check the folder's permissions and the disk, then run the same command again",
            )
            said = f"{problem.where or self.part}: {problem.problem}"
            return Outcome(self.file, str(self.path), "failed", said, problem.remedy or "", problem)

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Keep a second process from writing into the same part."""
        try:
            import fcntl
        except ImportError:  # not a POSIX system; there, a mixed-up part is still found by its checksum
            yield
            return
        with open(self.path.with_name(f".{self.path.name}.lock"), "wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_free = _is_still(lock)
            except BlockingIOError:
                is_free = False
            if not is_free:
                raise PmdError(
                    "another process is downloading this file",
                    where=str(self.path),
                    remedy="wait for it, or end it and run the same command again",
                )
            try:
                yield
            finally:
                os.unlink(lock.name)

    def _take_up(self, out: IO[bytes]) -> None:
        """Hash what an earlier run left in the part."""
        if os.fstat(out.fileno()).st_size:
            self.digests = integrity.hash_file(self.file, self.part, self.progress)
            self.size = os.fstat(out.fileno()).st_size
            self.resumed = True

    def _from_any_place(self, out: IO[bytes]) -> Outcome:
        failures: list[str] = []
        for index, url in enumerate(self.file.urls):
            if index:
                self.progress.retry(self.file, failures[-1], 0.0)
            try:
                self._from(url, out)
            except _PlaceIsNoGood as error:
                failures.append(f"{url}: {error}")
                continue
            self._land(url, out)
            return Outcome(self.file, str(self.path), "fetched", self._checked_by())
        # What is left is worth keeping only where going on with it is possible.
        if self.size == 0 or self._validator(self.file.urls[-1]) is None:
            self._discard(out)
        raise NetworkError(
            f"{self.file.name} could not be downloaded",
            where=self.file.source,
            expected=_expectation(self.file),
            found="; ".join(failures),
            remedy=f"try again later with: {fetch_command(self.file)}; or put the file at {self.path} yourself",
        )

    def _checked_by(self) -> str:
        if self.file.digest:
            return "has the published checksum"
        return "has the published size" if self.file.bytes else "no checksum is published"

    def _from(self, url: str, out: IO[bytes]) -> None:
        """Complete the part from one place; one of several pieces that turns out wrong is begun anew, once."""
        for again in (True, False):
            self._complete(url, out)
            wrong = self._wrong(out)
            if wrong is None:
                return
            pieced = self.resumed
            self._discard(out)
            if not (again and pieced):
                raise _PlaceIsNoGood(wrong)

    def _complete(self, url: str, out: IO[bytes]) -> None:
        """Ask one place until the part is complete, going on where the transfer broke."""
        failed, furthest = 0, self.size
        while True:
            try:
                self._try(url, out)
            except _TransferBroke as error:
                failed = 1 if self.size >= furthest + _PROGRESS_BYTES else failed + 1
                furthest = max(furthest, self.size)
                if error.sign is not None:
                    self.network.failed(url, error.sign, is_last=failed >= TRIES)
                if failed >= TRIES:
                    raise _PlaceIsNoGood(f"{error}, {TRIES} times in a row") from None
                wait_s = min(max(2.0 ** (failed - 1), error.wait_s or 0.0), _LONGEST_WAIT_S)
                self.progress.retry(self.file, str(error), wait_s)
                self.sleep(wait_s)
            else:
                return

    def _try(self, url: str, out: IO[bytes]) -> None:
        import requests

        if self.file.bytes is not None and self.size == self.file.bytes:
            return
        if self.size and self._validator(url) is None:
            self._discard(out)
        headers = {"Accept-Encoding": "identity", "User-Agent": _USER_AGENT}
        if self.size:
            headers["Range"] = f"bytes={self.size}-"
            if validator := self._validator(url):
                headers["If-Range"] = validator
        try:
            with self.http.get(url, headers=headers, stream=True, timeout=self.timeout_s) as answer:
                self._receive(url, answer, out)
        except (requests.exceptions.SSLError, requests.TooManyRedirects) as error:
            raise _PlaceIsNoGood(_plain(error)) from None
        except requests.RequestException as error:
            raise _TransferBroke(_plain(error), sign=error if offline.is_sign(error) else None) from None

    def _receive(self, url: str, answer: requests.Response, out: IO[bytes]) -> None:
        self.network.answered()
        if answer.status_code == _RANGE_NOT_SATISFIABLE and self.size:
            if _total(answer) == self.size:
                return
            self._discard(out)
            raise _TransferBroke("the server has fewer bytes than were already here (416)")
        _judge_status(answer)
        if answer.status_code == _OK and self.size:
            self._discard(out)
        if answer.status_code == _PARTIAL and _start(answer) != self.size:
            self._discard(out)
            raise _TransferBroke("the server sent another range than asked for")
        self.resumed = self.size > 0
        total = _total(answer)
        if self.file.bytes is not None and total is not None and total != self.file.bytes:
            raise _PlaceIsNoGood(f"wrong size: expected {self.file.bytes} bytes, found {total}")
        if total is not None and total - self.size > (there := self.free(self.path.parent)):
            raise _no_space(str(self.path.parent), total - self.size, there)
        self._note(url, answer)
        self.progress.start(self.file, "downloading", self.file.bytes or total, self.size)
        self._append(answer, out, total)

    def _append(self, answer: requests.Response, out: IO[bytes], total: int | None) -> None:
        for chunk in answer.iter_content(_CHUNK_BYTES):
            out.write(chunk)
            self.digests.update(chunk)
            self.size += len(chunk)
            self.progress.advance(len(chunk))
            if self.file.bytes is not None and self.size > self.file.bytes:
                self._discard(out)
                raise _PlaceIsNoGood(f"wrong size: expected {self.file.bytes} bytes, found more")
        if (expected := self.file.bytes or total) is not None and self.size < expected:
            raise _TransferBroke(f"the transfer ended after {self.size} of {expected} bytes")

    def _wrong(self, out: IO[bytes]) -> str | None:
        if self.file.bytes is not None and self.size != self.file.bytes:
            return f"wrong size: expected {self.file.bytes} bytes, found {self.size}"
        published = self.digests.published(self.file)
        if published is not None and published[0] != published[1]:
            return f"wrong checksum: expected {published[0]}, found {published[1]}"
        if published is not None:
            return None
        out.flush()
        return integrity.foreign(self.file.name, self.part)

    def _land(self, url: str, out: IO[bytes]) -> None:
        out.flush()
        os.fsync(out.fileno())
        os.replace(self.part, self.path)
        self.notes.unlink(missing_ok=True)
        integrity.write_record(self.path, url, self.digests)

    def _discard(self, out: IO[bytes]) -> None:
        """Empty the part."""
        out.flush()
        out.truncate(0)
        self.size = 0
        self.resumed = False
        self.digests = integrity.Digests(self.file)
        self.notes.unlink(missing_ok=True)

    def _note(self, url: str, answer: requests.Response) -> None:
        """Keep by what the server will know this version of the file again."""
        etag = answer.headers.get("ETag", "")
        # A weak tag promises the same meaning, not the same bytes (RFC 9110, 13.1.5).
        validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
        self.notes.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def _validator(self, url: str) -> str | None:
        """Return what If-Range shall say here: "" where the published checksum judges instead, None to begin anew."""
        try:
            notes: dict[str, Any] = json.loads(self.notes.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            notes = {}
        if notes.get("url") == url and notes.get("validator"):
            return str(notes["validator"])
        return "" if self.file.digest else None


def _is_still(lock: IO[bytes]) -> bool:
    """Return whether a lock's file has its name still: one that has just ended removed it, and a third may hold another."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), os.stat(lock.name))
    except FileNotFoundError:
        return False


def _judge_status(answer: requests.Response) -> None:
    """Raise unless an answer brings the file's bytes as they are."""
    if answer.status_code in _TRANSIENT:
        raise _TransferBroke(f"the server answered {answer.status_code}", _retry_after(answer))
    if answer.status_code not in {_OK, _PARTIAL}:
        raise _PlaceIsNoGood(f"the server answered {answer.status_code}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise _PlaceIsNoGood("the server compresses what it sends, though asked not to")


def _expectation(file: ManifestFile) -> str:
    size = f"{file.bytes} bytes" if file.bytes else "a file"
    return f"{size} with {file.digest[0]} {file.digest[1]}" if file.digest else size


def _plain(error: Exception) -> str:
    """Return an error's kind, and what the system says of it, without Python's addresses of objects."""
    text = re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:? ?", "", str(offline.innermost(error)))
    return f"{type(error).__name__}: {text}".splitlines()[0]


def _start(answer: requests.Response) -> int | None:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else None


def _total(answer: requests.Response) -> int | None:
    """Return the whole file's size, as an answer states it."""
    if answer.status_code == _OK:
        length = answer.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    match = re.search(r"/([0-9]{1,18})$", answer.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else None


def _retry_after(answer: requests.Response) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value) else None
