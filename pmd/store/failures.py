"""What storage that fails says to a person: the one place that turns such an exception into words.

Any call may fail so (full, read-only, gone, forbidden), in the driver, in a worker or in a lane; nothing is caught where it
happens. What ends the command is looked through here, with all that it came from. Engines hand back text: it is read too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import sqlite3
from collections.abc import Iterator
from typing import Final

from pmd.errors import InputError, PmdError, RootError
from pmd.store import clients, patience, shortage, spools
from pmd.store.storage import TEMPORARY

#: What is to be done where storage has no room.
_ROOM: Final = "make room, then run the same command again"
_TEMPORARY_ROOM: Final = "make room, or name another temporary folder in TMPDIR; then run the same command again"
#: How Python says that it has found no folder for temporary files.
_NO_TEMPORARY: Final = "No usable temporary directory found"
_RIGHTS: Final = "mend its permissions, or choose another place"
_WRITERS: Final = "run this as a user who may write this ROOT: who may not may not read what was taken down from it"
_BACK: Final = "see that the storage is there, then run the same command again"
_SOUND: Final = "look whether the storage is sound (the system's log tells), then run the same command again"
_NAME: Final = "choose another name or place"
#: What storage says that fails for now.
_SILENT: Final = "the storage does not answer"
_BUSY: Final = "the storage fails, or is too busy, and was waited for"
_CUT: Final = "what the storage sends does not arrive whole"
_AWAY: Final = "the storage cannot be reached"
_PASSING: Final = frozenset({_SILENT, _BUSY, _CUT, _AWAY})

#: Error number → what it means, and what to do. Others are no failure of storage, or a fault of ours.
_MEANING: Final[dict[int, tuple[str, str]]] = {
    errno.ENOSPC: ("the storage is full", _ROOM),
    errno.EDQUOT: ("the quota of the storage is used up", _ROOM),
    errno.EFBIG: ("a file would be larger than is allowed", "raise the limit (ulimit -f), or choose another place"),
    errno.EROFS: ("the storage is read-only", "mount it for writing, or choose another place"),
    errno.EACCES: ("access is not allowed", _RIGHTS),
    errno.EPERM: ("access is not allowed", _RIGHTS),
    errno.EIO: ("the storage fails", _SOUND),
    errno.ENXIO: ("the storage is gone", _BACK),
    errno.ENODEV: ("the storage is gone", _BACK),
    errno.ENOENT: ("a file or folder is gone", _BACK),
    errno.EEXIST: ("something else is here", "remove it (a link may lead nowhere), or choose another name"),
    errno.ENOTDIR: ("a folder of the path is a file", _NAME),
    errno.EISDIR: ("this is a folder", "move it away, or choose another name or place"),
    errno.ENAMETOOLONG: ("the storage takes no names of this length", _NAME),
    errno.EILSEQ: ("the storage takes no such name", _NAME),
    errno.EINVAL: ("the storage takes no such name or call", _NAME),
    errno.ELOOP: ("links lead in a circle", "mend the links"),
    errno.EBUSY: ("the storage is in use", _BACK),
    errno.ENOTSUP: ("the storage cannot do what is asked of it", "choose a place on another file system"),
    errno.ENOSYS: ("the storage cannot do what is asked of it", "choose a place on another file system"),
    errno.EMLINK: ("the storage takes no more links or folders", _NAME),
    errno.ENOLCK: ("the storage gives no locks", "choose a place on another file system, or see to the locks of this one"),
    errno.EMFILE: ("this process may not open more files", "raise the limit (ulimit -n), then run the same command again"),
    errno.ENFILE: ("the system may not open more files", "close other programs, then run the same command again"),
    errno.ETIMEDOUT: (_SILENT, _BACK),
    errno.ESTALE: ("the storage was mounted anew meanwhile", _BACK),
    errno.ENOTCONN: ("the storage is gone", _BACK),
    errno.EHOSTDOWN: (_SILENT, _BACK),
    errno.EAGAIN: (_SILENT, _BACK),
    errno.EINTR: (_SILENT, _BACK),
    errno.ECONNRESET: (_SILENT, _BACK),
    getattr(errno, "EREMOTEIO", -1): ("the storage fails", _SOUND),
}  # fmt: skip

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

#: They may come of a file that is open, and then name none; the others say nothing of storage without a path.
_OF_OPEN_FILES: Final = spools.WRITING | {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOTCONN}

#: A fault of ours, whatever was being handled when it came: only what it was raised from says more.
_OURS: Final = (LookupError, TypeError, AttributeError, NameError, AssertionError, ArithmeticError)

#: How Python and Arrow spell such an error in a text; the path may be missing.
_TEXT: Final = re.compile(r"\[[Ee]rrno (?P<number>\d+)\] [^:\n]*(?:: '(?P<path>[^'\n]+)')?")
#: What stands before it, where it is an exception of ours or Python's and no host's or engine's.
_KINDS: Final = re.compile(
    r"\b(?:OSError|FileNotFoundError|PermissionError|FileExistsError|IsADirectoryError|NotADirectoryError|ArrowIOError"
    r"|found): "
)

#: What is to be done where a file is another's, on the web.
_DOWNLOAD: Final = "download it, and name the file that you have"
#: What is to be done where something else answers than a store, or the store of another region.
ADDRESS: Final = (
    "say in this environment where the store is (AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, STORAGE_EMULATOR_HOST), then run the same "
    "command again"
)
#: What is to be done where a store that speaks S3 does not know the checksums that its client sends.
CHECKSUMS: Final = (
    "if these are checksums (x-amz-checksum), set AWS_REQUEST_CHECKSUM_CALCULATION=when_required in this environment and that of "
    "the engine's workers, then run the same command again"
)
#: Of a redirect the client of S3 asks where the bucket is, is redirected, asks again, and so on until Python ends it.
_ENDLESS: Final = "redirects (301) that name no region"
#: How much of their words is told.
_SAID: Final = 400
#: What stands in these → what it means, and what to do; before anything else that a store may refuse.
_REFUSALS: Final = (
    (
        (
            *("ExpiredToken", "TokenRefreshRequired", "RequestExpired", "invalid_grant", "Reauthentication"),
            *("SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError"),
        ),
        "the credentials for the storage have expired",
        "get new ones, then run the same command again",
    ),
    (("RequestTimeTooSkewed",), "the clock of this machine is wrong", "set it, then run the same command again"),
    (
        (
            *("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"),
            _ENDLESS,
        ),
        "the bucket is in another region, or at another address",
        ADDRESS,
    ),
    (
        ("InvalidRegionName", "Invalid endpoint", "WRONG_VERSION_NUMBER"),
        "this is no address or region of the storage",
        ADDRESS,
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "ClientConnectorCertificateError"),
        "the certificate of the storage is signed by nobody whom this machine knows",
        "name a file with that certificate, or its authority's, in AWS_CA_BUNDLE (S3) or SSL_CERT_FILE; then run the same "
        "command again",
    ),
    (("JSONDecodeError", "ResponseParserError"), "what answers here is no object store", ADDRESS),
    (
        (
            *(
                "x-amz-sdk-checksum-algorithm",
                "x-amz-checksum-crc32",
                "x-amz-trailer",
                "-PAYLOAD-TRAILER",
                "aws-chunked",
            ),
            *("ContentSHA256Mismatch", "(NotImplemented)"),
        ),
        "the storage does not know something that S3's client sends",
        CHECKSUMS,
    ),
    (
        ("requester pays",),
        "in this bucket whoever asks pays, and nobody is named who does",
        'name your project in this environment: FSSPEC_GS=\'{"requester_pays": "PROJECT"}\'; then run the same command again',
    ),
    (
        ("InvalidObjectState",),
        "this object is in an archive, and cannot be read before it is restored",
        "restore it (aws s3api restore-object), or copy it into another storage class; then run the same command again",
    ),
    (
        ("retention policy", "RetentionPolicy", "WORM", "ObjectLock", "Temporary hold", "Event-Based hold"),
        "the bucket holds on to what stands in it: nothing there is replaced or removed",
        "name a root in another bucket, or end its retention or object lock",
    ),
    (
        ("QuotaExceeded", "InsufficientStorage", "StorageFull", "(507)", ", 507"),
        "the quota of the storage is used up",
        _ROOM,
    ),
    (
        (
            *patience.BUSY,
            *("SlowDown", "ServiceUnavailable", "InternalError", "OperationAborted", "ConditionalRequestConflict"),
            *("reached max retries", ", 429", ", 500", ", 502", ", 503", ", 504"),
        ),
        _BUSY,
        _BACK,
    ),
    (
        ("PayloadError", "IncompleteRead", "ReadTimeout", "ChecksumError", "ResponseStreaming", "CutShort"),
        _CUT,
        _BACK,
    ),
    (
        (
            *(
                "EndpointConnectionError",
                "ConnectTimeoutError",
                "ConnectionClosed",
                "ProxyConnection",
                "HTTPClientError",
            ),
            *("ClientConnector", "ClientOSError", "ServerDisconnected", "ServerTimeout", "ConnectionReset"),
        ),
        _AWAY,
        _BACK,
    ),
)

#: What starts processes: the system says EAGAIN where it starts no more.
_STARTING: Final = ("subprocess", "multiprocessing.")

#: What stands at ROOT's top.
_OF_ROOT: Final = ("root.json", "writer.json")
#: What those alone may read who may write it (`storage.put`).
_PRIVATE: Final = ("takedown/suppression.json", "takedown/requests.jsonl")


def told(error: BaseException, root: str | None = None) -> PmdError | None:
    """Return a failure of storage in words, or None where an exception and all that it came from is none.

    Args:
        error: What ended a command, or a worker's part in it.
        root: ROOT, where it is known.

    Returns:
        `RootError` of what is in ROOT, or could not be written; `InputError` of what could not be read elsewhere.
    """
    chain = list(_chain(error))
    ours = [one for one in chain if isinstance(one, PmdError)]
    if ours:  # Beam copies an exception, with words of its own behind ours
        return next(one for one in reversed(ours) if ours[0].problem.startswith(one.problem))
    for one in chain:
        found = _meaning(one, root)
        if found is not None:
            return found
    return None


def may_pass(error: PmdError) -> bool:
    """Return whether an error tells of storage that fails for now, be it an input's: tried again later, it may not."""
    return error.problem in _PASSING


@contextlib.contextmanager
def at(root: str) -> Iterator[None]:
    """Raise failures of storage that are met here in words, with what is known of ROOT."""
    try:
        yield
    except Exception as error:
        found = told(error, root)
        if found is None or isinstance(error, PmdError):
            raise
        raise found from error


@contextlib.contextmanager
def of_inputs() -> Iterator[None]:
    """Raise failures of storage that are met here in words; what a store says is of an input: no ROOT is read here."""
    try:
        yield
    except Exception as error:
        found = told(error)
        if found is None or isinstance(error, PmdError):
            raise
        if isinstance(found, RootError) and "://" in (found.where or ""):
            found = InputError(found.problem, where=found.where, found=found.found, remedy=found.remedy)
        raise found from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it came from; the last first, as a traceback has it."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        handled = None if isinstance(one, _OURS) or one.__suppress_context__ else one.__context__
        left += [other for other in (one.__cause__, handled) if other is not None]


def _meaning(error: BaseException, root: str | None) -> PmdError | None:
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, ConnectionError | ChildProcessError | ProcessLookupError) and clients.path_of(error) is None:
        return None  # of a socket, or a process
    if isinstance(error, FileNotFoundError) and _NO_TEMPORARY in said:
        return PmdError(
            "there is no folder for temporary files",
            expected="one that is there, and that this user can write to",
            found=said,
            remedy="name one in TMPDIR, then run the same command again",
        )
    if isinstance(error, FileNotFoundError) and not os.path.isabs(clients.path_of(error) or "") and _is_here_gone():
        return PmdError(
            "the folder that this command was started in is gone",
            found=said,
            remedy="change into one that is there, then run the same command again",
        )
    if shortage.is_of_memory(error):
        return shortage.no_memory(said)
    if shortage.is_of_threads(error) or (isinstance(error, BlockingIOError) and clients.is_of(error, _STARTING)):
        return PmdError(
            "the system starts no more processes or threads",
            found=said,
            remedy="raise the limit (ulimit -u, ulimit -v, that of the container), or end other programs; then run the same "
            "command again",
        )
    if isinstance(error, TimeoutError) and type(error).__module__.startswith("fsspec"):
        return _of_store(error, root, _SILENT, said, _BACK)
    if clients.raised(error):
        return _refusal(error, root)
    if isinstance(error, OSError) and error.errno is not None:
        return _words(error.errno, clients.path_of(error), str(error), root)
    if isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error):
        return PmdError(
            "there is no room for temporary files",
            where="SQLite's temporary file",
            found=said,
            remedy="make room, or name a folder in SQLITE_TMPDIR; then run the same command again",
        )
    kind = _KINDS.search(said)
    found = _TEXT.search(said, kind.end()) if kind is not None else None
    return _words(int(found["number"]), found["path"], found[0], root) if found is not None else None


def _is_here_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _refusal(error: BaseException, root: str | None) -> PmdError:
    """Return what the client of an object store says, whose own words name the store's code, and maybe in a second line why."""
    cause = error.__cause__
    is_wrapped = cause is not None and not type(error).__module__.startswith(clients.MODULES)
    told = cause if is_wrapped and type(cause).__module__.startswith(clients.MODULES) else error
    lines = [line.strip() for line in str(told).splitlines() if line.strip()]
    said = f"{type(told).__name__}: {': '.join(dict.fromkeys((*lines[:1], *lines[-1:])))}"[:_SAID]
    said = _ENDLESS if isinstance(told, RecursionError) else said
    problem, remedy = next(
        ((problem, remedy) for words, problem, remedy in _REFUSALS if any(word in said for word in words)),
        (
            "the storage refuses",
            "check the name of the bucket, the credentials in this environment, and what they may do",
        ),
    )
    return _of_store(error, root, problem, said, remedy)


def _of_store(error: BaseException, root: str | None, problem: str, said: str, remedy: str) -> PmdError:
    """Return what a store says as of ROOT, or of an input: what is elsewhere than ROOT, and whatever is on the web."""
    url = patience.asked_for(error)
    is_of_web = url is not None and url.startswith(("http://", "https://"))
    is_elsewhere = root is not None and url is not None and not f"{url}/".startswith(f"{root.rstrip('/')}/")
    if is_of_web or is_elsewhere:
        return InputError(problem, where=url, found=said, remedy=_DOWNLOAD if is_of_web else remedy)
    return RootError(problem, where=root or url, found=said, remedy=remedy)


def _words(number: int, path: str | None, said: str, root: str | None) -> PmdError | None:
    meaning = _MEANING.get(number)
    if meaning is None or (path is None and number not in _OF_OPEN_FILES):
        return None
    problem, remedy = meaning
    is_written = number in spools.WRITING
    if number in _NO_ROOM and path is not None and spools.is_in(path):
        remedy = _TEMPORARY_ROOM
    if number == errno.EACCES and path is not None and path.endswith(_PRIVATE):
        remedy = _WRITERS
    if number in {errno.EMFILE, errno.ENFILE}:
        return PmdError(problem, where=path, found=said, remedy=remedy)
    if path is not None and posixpath.basename(path).startswith(TEMPORARY):
        path, is_written = posixpath.dirname(path), True  # nobody knows the name of what is being written
    root = root or (_root_above(path) if path is not None else None)
    if path is None or (root is not None and (_is_in(path, root) or _is_in(root, path))):  # or a folder that ROOT is in
        kind: type[PmdError] = RootError if root is not None or number in spools.WRITING else PmdError
    else:
        kind = PmdError if is_written else InputError
    return kind(problem, where=path or root, found=said, remedy=remedy)


def _is_in(path: str, root: str) -> bool:
    inner, outer = (os.path.abspath(name) for name in (path, root))
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def _root_above(path: str) -> str | None:
    folder = os.path.abspath(path)
    while True:
        if any(os.path.exists(posixpath.join(folder, name)) for name in _OF_ROOT):
            return folder
        above = posixpath.dirname(folder)
        if above == folder:
            return None
        folder = above
