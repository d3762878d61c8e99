"""The demo's web: one loopback server that answers for every host, over HTTP and HTTPS, with good and bad answers.

A fetcher reaches it through its option `resolve` (``"*:80"`` and ``"*:443"`` → the two addresses here), so that it asks
for upstream's real URLs and meets what the real web does: redirects, dead links, refusals, slow and endless bodies,
broken files. It listens on 127.0.0.1 alone. Who answers what is a table of routes; this module only answers.
"""

from __future__ import annotations

import dataclasses
import datetime
import http
import http.server
import io
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Host (lower case, no port) and path (percent-decoded, with its query).
Route = tuple[str, str]

#: An endless body ends here, so that a client without a limit fails instead of filling the disk.
ENDLESS_BYTES: Final = 64 * 1024 * 1024
_DRIP_PIECES: Final = 10
_DRIP_PAUSE_S: Final = 0.1
_HANG_S: Final = 30.0
_CHUNK: Final = bytes(64 * 1024)
_LOOPBACK: Final = "127.0.0.1"
_CERTIFICATE_LIFE: Final = datetime.timedelta(days=7)
_COMMON_NAME_LIMIT: Final = 64  # RFC 5280, ub-common-name

#: Makes a body, the same each time; two threads may call it at once.
Body = Callable[[], bytes]

Behaviour = Literal["plain", "busy_once", "drip", "endless", "hang", "drop", "garbage"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server says to a GET.

    Attributes:
        body: The body, or what makes it when it is first asked for; of an endless one its beginning.
        status: HTTP status.
        content_type: Value of Content-Type.
        headers: Further headers.
        behaviour: How it is said. "busy_once": the first request for the path gets 429 with Retry-After: 1. "drip": in
            ten pieces over a second. "endless": in chunks up to `ENDLESS_BYTES`. "hang": no answer, for up to 30 s.
            "drop": the connection is closed instead. "garbage": bytes that are not HTTP.
    """

    body: bytes | Body = b""
    status: int = 200
    content_type: str = "image/jpeg"
    headers: tuple[tuple[str, str], ...] = ()
    behaviour: Behaviour = "plain"

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else self.body()


def route_of(url: str) -> Route:
    """Return where a URL leads: its host and path as `DemoWeb` looks them up."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), _path(parts.path or "/", parts.query)


def redirect(url: str, status: int = 302) -> Answer:
    """Return a redirect to a URL."""
    return Answer(status=status, headers=(("Location", url),), content_type="text/html")


def page(text: str, status: int = 200) -> Answer:
    """Return an HTML page."""
    html = f"<!DOCTYPE html><html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Answer(html.encode(), status, "text/html; charset=utf-8")


def _path(path: str, query: str) -> str:
    return unquote(path) + (f"?{query}" if query else "")


_NOT_FOUND: Final = page("Not Found", 404)


class DemoWeb:
    """A web of its own on 127.0.0.1, for as long as the context is open.

    ::

        with DemoWeb(routes) as web:
            config["fetch"]["resolve"] = {"*:80": web.address, "*:443": web.tls_address}

    What no route names answers 404, on every host.

    Args:
        routes: What is answered where.
        untrusted_hosts: Hosts whose certificate no authority has signed.
    """

    def __init__(self, routes: Mapping[Route, Answer], *, untrusted_hosts: Collection[str] = ()) -> None:
        self.routes = dict(routes)
        self._requests: list[Route] = []
        self._seen: set[Route] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._authority = Authority(untrusted_hosts)
        self._plain = _Server(self, None)
        self._tls = _Server(self, self._authority)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="demo web")
            for server in (self._plain, self._tls)
        ]
        self._threads.append(threading.Thread(target=self._make_bodies, daemon=True, name="demo web's bodies"))

    @property
    def address(self) -> str:
        """Where HTTP is spoken: "127.0.0.1:PORT"."""
        return f"{_LOOPBACK}:{self._plain.server_address[1]}"

    @property
    def tls_address(self) -> str:
        """Where HTTPS is spoken."""
        return f"{_LOOPBACK}:{self._tls.server_address[1]}"

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the authority that signs every host's, made anew for each DemoWeb."""
        return self._authority.pem

    @property
    def requests(self) -> tuple[Route, ...]:
        """Every request so far, in order of arrival: (host, path). robots.txt and the like are among them."""
        with self._lock:
            return tuple(self._requests)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for server in (self._plain, self._tls):
            server.shutdown()
        for thread in self._threads:
            thread.join()
        for server in (self._plain, self._tls):
            server.close_connections()
            server.server_close()

    def _make_bodies(self) -> None:
        """Make the bodies before they are asked for, so that whoever opened the web need not wait until all are made."""
        for answer in self.routes.values():
            if self._closing.is_set():
                return
            _ = answer.content

    def take(self, route: Route) -> Answer:
        """Note a request, and return its answer."""
        with self._lock:
            self._requests.append(route)
            again = route in self._seen
            self._seen.add(route)
        answer = self.routes.get(route, _NOT_FOUND)
        if answer.behaviour == "busy_once" and not again:
            return dataclasses.replace(page("Too Many Requests", 429), headers=(("Retry-After", "1"),))
        return answer

    def pause(self, seconds: float) -> bool:
        """Wait; return whether the web is still open."""
        return not self._closing.wait(seconds)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = False  # so that closing waits for them, and no socket outlives the web
    request_queue_size = 128

    def __init__(self, web: DemoWeb, authority: Authority | None) -> None:
        self.web = web
        self._authority = authority
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((_LOOPBACK, 0), _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for our own name, as `HTTPServer` does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, self.server_address[1]

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Serve one connection; the TLS handshake is made here, in the connection's own thread."""
        assert isinstance(request, socket.socket)
        connection = request
        with self._connections_lock:
            self._connections.add(request)
        try:
            if not self.web.pause(0):
                return  # came too late for `close_connections`, which would leave it open
            if self._authority is not None:
                connection = self._authority.server_context.wrap_socket(request, server_side=True)
                with self._connections_lock:
                    self._connections.add(connection)
            _Handler(connection, client_address, self)
        except (ConnectionError, ssl.SSLError, TimeoutError, ValueError):
            pass  # the client went away, or does not trust us; ValueError: closed during the handshake
        finally:
            with self._connections_lock:
                self._connections -= {request, connection}
            if connection is not request:
                self.shutdown_request(connection)

    def close_connections(self) -> None:
        """End what is still open, so that the threads that serve it end."""
        with self._connections_lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # closed already


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pmd-demo"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer as the routes say."""
        parts = urlsplit(self.path)
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0].lower()
        answer = self.server.web.take((host, _path(parts.path, parts.query)))
        if answer.behaviour == "hang":
            self.server.web.pause(_HANG_S)
        if answer.behaviour in ("hang", "drop"):
            self.close_connection = True
        elif answer.behaviour == "garbage":
            self.close_connection = True
            self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        else:
            self._say(answer)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: `DemoWeb.requests` is the log."""

    def _say(self, answer: Answer) -> None:
        endless, content = answer.behaviour == "endless", answer.content
        length = ("Transfer-Encoding", "chunked") if endless else ("Content-Length", str(len(content)))
        lines = [
            f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}",
            *(f"{name}: {value}" for name, value in (("Content-Type", answer.content_type), length, *answer.headers)),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if self.command == "HEAD":
            self.wfile.write(head)
        elif endless:
            self.wfile.write(head)
            self._pour(content)
        elif answer.behaviour == "drip":
            self.wfile.write(head)
            for piece in _pieces(content, _DRIP_PIECES):
                if not self.server.web.pause(_DRIP_PAUSE_S):
                    self.close_connection = True
                    return
                self.wfile.write(piece)
        else:
            # One write: a header and a body in two packets wait for each other's acknowledgement.
            self.wfile.write(head + content)

    def _pour(self, beginning: bytes) -> None:
        sent = 0
        piece = beginning
        while sent < ENDLESS_BYTES:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            sent += len(piece)
            piece = _CHUNK
        self.close_connection = True  # cut short: an endless body has no last chunk


def _pieces(body: bytes, count: int) -> Iterator[bytes]:
    size = -(-len(body) // count)
    source = io.BytesIO(body)
    while piece := source.read(size):
        yield piece


class Authority:
    """A certificate authority that lives as long as the web: signs a certificate for whatever host is asked for.

    Args:
        untrusted_hosts: Hosts that get a self-signed certificate instead.
    """

    def __init__(self, untrusted_hosts: Collection[str] = ()) -> None:
        self._untrusted = frozenset(untrusted_hosts)
        self._lock = threading.Lock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _certificate("pmd demo authority", self._key, None, self._key)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.server_context = self._context("localhost")
        self.server_context.sni_callback = self._choose

    @property
    def pem(self) -> bytes:
        """The authority's own certificate, for clients to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, host: str | None, _: ssl.SSLContext) -> None:
        if host is None:
            return
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._context(host)
        connection.context = self._contexts[host]

    def _context(self, host: str) -> ssl.SSLContext:
        if host in self._untrusted:
            chain = [_certificate(host, self._leaf_key, None, self._leaf_key)]
        else:
            chain = [_certificate(host, self._leaf_key, self._certificate, self._key)]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        key = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.TemporaryDirectory(prefix="pmd-demo-tls-") as folder:  # the ssl module loads from files only
            path = Path(folder) / "chain.pem"
            path.touch(mode=0o600)
            path.write_bytes(key + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
            context.load_cert_chain(path)
        return context


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """Return a certificate: of an authority if `issuer` is None (then signed by itself), else of a host."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_COMMON_NAME_LIMIT])])
    now = datetime.datetime.now(datetime.UTC)
    is_authority = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_key_usage(is_authority=is_authority), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
