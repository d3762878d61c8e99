"""What libcurl says when a request fails, as a status of ours."""

from __future__ import annotations

from typing import Final

import pycurl

from pmd.errors import PmdError

#: CURLE_… that pycurl has no name for: more headers, or longer ones, than are read; a stream of HTTP/2 that broke off.
_TOO_LARGE: Final = 100
_HTTP2_STREAM: Final = 92

_STATUSES: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_URL_MALFORMAT: "blocked_address",
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    **dict.fromkeys(
        (
            pycurl.E_SSL_CONNECT_ERROR,
            pycurl.E_PEER_FAILED_VERIFICATION,
            pycurl.E_SSL_CIPHER,
            pycurl.E_SSL_CERTPROBLEM,
            pycurl.E_SSL_INVALIDCERTSTATUS,
            pycurl.E_SSL_SHUTDOWN_FAILED,
            pycurl.E_USE_SSL_FAILED,
        ),
        "tls",
    ),
    # No HTTP, or more of it than is read.
    **dict.fromkeys(
        (
            pycurl.E_UNSUPPORTED_PROTOCOL,  # also an answer of HTTP/0.9
            pycurl.E_FTP_WEIRD_SERVER_REPLY,  # CURLE_WEIRD_SERVER_REPLY, of any protocol
            pycurl.E_BAD_CONTENT_ENCODING,  # a transfer coding that is none
            pycurl.E_HTTP2,
            _HTTP2_STREAM,
            _TOO_LARGE,
        ),
        "server_error",
    ),
}

#: What says nothing of the host: libcurl had no memory, or could not begin.
_LACKING: Final = frozenset({pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT})

#: CURLE_RECV_ERROR is also said of bytes that came, and are no HTTP.
_NO_HTTP: Final = ("chunk", "encoding", "response headers")

#: How OpenSSL's versions say that TLS has no end of its own (curl's issues 6526, 13389 and 17471).
_BARE_ENDS: Final = ("unexpected eof while reading", "SSL_ERROR_SYSCALL, errno 0")

#: What browsers pass over: these answers are worth another look (`pmd.fetch.http.second_look`).
_PASSED_OVER: Final = (
    "Header without colon",
    "Invalid Content-Length",
    "Unsolicited Transfer-Encoding",
    "Unsupported HTTP/1 subversion",
    "Unsupported HTTP version",
    "Version mismatch",
)


def is_bare_end(error: pycurl.error) -> bool:
    """Return whether TLS ended with its connection, without the word that says so (RFC 8446 §6.1).

    OpenSSL takes that for a failure since its version 3. Where a body has no other end, browsers show it.
    """
    return int(error.args[0]) == pycurl.E_RECV_ERROR and any(words in str(error.args[-1]) for words in _BARE_ENDS)


class Broken(OSError):
    """A request has got no answer that can be used.

    Attributes:
        status: Of the image.
        lenient: A browser would perhaps show it all the same.
    """

    def __init__(self, status: str, said: str, *, lenient: bool = False) -> None:
        super().__init__(said)
        self.status = status
        self.lenient = lenient


def of(error: pycurl.error) -> Exception:
    """Return what failed, from libcurl's code (CURLE_…) and words: `Broken`, or what this process lacks."""
    code, said = int(error.args[0]), str(error.args[-1])
    if code in _LACKING:
        return MemoryError(f"curl {code}: {said}")
    if code == pycurl.E_SSL_CACERT_BADFILE:
        return PmdError(
            "the file of trusted authorities cannot be read",
            where="a temporary file of this lane's",
            found=f"curl {code}: {said}",
            remedy="see that nothing removes files from the temporary folder (TMPDIR) while they are used, then run the same "
            "command again",
        )
    status = _STATUSES.get(code, "connection")
    if code == pycurl.E_RECV_ERROR and any(word in said for word in _NO_HTTP):
        status = "server_error"
    return Broken(status, f"curl {code}: {said}", lenient=said.startswith(_PASSED_OVER))
