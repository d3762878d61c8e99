"""In place of Dataflow: a service on loopback that takes jobs as Dataflow's does, and runs what was staged on another engine.

What it runs is the pipeline that Beam's own client of Dataflow put into the bucket. Of that one thing is replaced: its workers'
environment, an image, by a pool of workers here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

#: States in which a job has ended.
ENDED: Final = frozenset({"DONE", "FAILED", "CANCELLED", "DRAINED", "UPDATED"})
#: Seconds for which an answer waits for a job's end: the client asks again.
_WAIT_S: Final = 25.0
#: How an image is named that nobody can have.
IMAGE: Final = "example.invalid/pmd:1"
_JOB: Final = re.compile(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(?:/([^/:?]+))?(/messages|/metrics)?")

Run = Callable[[bytes], str]


@dataclasses.dataclass
class Job:
    """A job: what was posted, the pipeline that was staged, and how it is."""

    id: str
    posted: dict[str, Any]
    pipeline: bytes
    state: str = "RUNNING"
    said: str = ""
    looked_at: bool = False
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)

    def told(self) -> dict[str, str]:
        """Return the job as the service tells it."""
        return {"id": self.id, "name": self.posted["name"], "currentState": f"JOB_STATE_{self.state}"}

    def look(self) -> dict[str, str]:
        """Return how it is: running, the first time; then its end, for which a while is waited, so that nobody sleeps."""
        if not self.looked_at:
            self.looked_at = True
            return {**self.told(), "currentState": "JOB_STATE_RUNNING"}
        self.ended.wait(_WAIT_S)
        return self.told()

    def end(self, state: str, said: str = "") -> None:
        """End it, if it has not ended."""
        if not self.ended.is_set():
            self.state, self.said = state, said
            self.ended.set()


@dataclasses.dataclass
class Service:
    """The service.

    Attributes:
        run: Runs a staged pipeline; returns the state in which it has ended.
        read: Reads a file of Cloud Storage.
        jobs: Every job that was posted, in order.
        asked: Each request: its method, and its path.
    """

    run: Run
    read: Callable[[str], bytes]
    port: int = 0
    jobs: list[Job] = dataclasses.field(default_factory=list)
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    @property
    def flags(self) -> tuple[str, ...]:
        """What has Beam's client ask this service."""
        return ("--no_auth", f"--dataflow_endpoint=http://localhost:{self.port}")

    def take(self, posted: dict[str, Any]) -> dict[str, str]:
        """Take a job, and begin it."""
        staged = posted["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        job = Job(f"2026-01-01_00_00_00-{len(self.jobs) + 1}", posted, self.read(staged))
        self.jobs.append(job)
        threading.Thread(target=self._begin, args=(job,), daemon=True).start()
        return job.told()

    def _begin(self, job: Job) -> None:
        try:
            job.end(self.run(job.pipeline))
        except Exception as error:  # noqa: BLE001  told as the service tells it
            job.end("FAILED", f"{type(error).__name__}: {error}")

    def answer(self, method: str, path: str, body: bytes) -> dict[str, Any] | None:
        """Return what is answered to a request; None: there is no such thing."""
        self.asked.append((method, path))
        found = _JOB.match(path)
        if found is None:
            return None
        if found[3] is None:
            return self.take(json.loads(body)) if method == "POST" else None
        job = next((job for job in self.jobs if job.id == found[3]), None)
        if job is None:
            return None
        if found[4] == "/messages":
            return {"jobMessages": [_message(job.said)]} if job.said else {}
        if found[4] == "/metrics":
            return {}
        if method == "PUT":
            job.end(json.loads(body)["requestedState"].removeprefix("JOB_STATE_"))
            return job.told()
        return job.look()


def _message(said: str) -> dict[str, str]:
    return {
        "id": "1",
        "time": "2026-01-01T00:00:00Z",
        "messageText": said,
        "messageImportance": "JOB_MESSAGE_ERROR",
    }


@contextlib.contextmanager
def serving(run: Run, read: Callable[[str], bytes]) -> Iterator[Service]:
    """Serve on loopback."""
    service = Service(run, read)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told = service.answer(self.command, self.path, body)
            content = json.dumps(told or {}).encode()
            self.send_response(200 if told is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield service
        finally:
            server.shutdown()


# What runs the pipelines


def elsewhere(staged: bytes, pool: str) -> Any:
    """Return a staged pipeline whose workers are a pool's, in place of an image's; nothing else of it is another."""
    from apache_beam.portability import common_urns
    from apache_beam.portability.api import beam_runner_api_pb2 as api
    from apache_beam.portability.api import endpoints_pb2

    pipeline = api.Pipeline.FromString(staged)
    for environment in pipeline.components.environments.values():
        assert environment.urn == common_urns.environments.DOCKER.urn
        assert api.DockerPayload.FromString(environment.payload).container_image == IMAGE
        environment.urn = common_urns.environments.EXTERNAL.urn
        place = endpoints_pb2.ApiServiceDescriptor(url=pool)
        environment.payload = api.ExternalPayload(endpoint=place).SerializeToString()
        del environment.dependencies[:]  # of the image's: a list of packages
    return pipeline


def on(endpoint: str, pool: str) -> Run:
    """Return what runs staged pipelines at a job server, by the workers of a pool."""

    def run(staged: bytes) -> str:
        import grpc
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
        from apache_beam.runners.portability.portable_runner import JobServiceHandle

        options = PipelineOptions(["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--job_name=staged"])
        with grpc.insecure_channel(endpoint) as channel:
            server = JobServiceHandle(beam_job_api_pb2_grpc.JobServiceStub(channel), options)
            _, messages, states = server.submit(elsewhere(staged, pool))
            said: list[str] = []

            def listen() -> None:
                with contextlib.suppress(grpc.RpcError):
                    said.extend(one.message_response.message_text for one in messages)

            threading.Thread(target=listen, daemon=True).start()
            for told in states:
                name = beam_job_api_pb2.JobState.Enum.Name(told.state)
                if name in ENDED:
                    if name == "FAILED":
                        raise RuntimeError("\n".join(said) or "no reason")
                    return str(name)
        raise RuntimeError("the job server has ended")

    return run


@contextlib.contextmanager
def pool(log: Any) -> Iterator[str]:
    """Run a pool of workers; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    # It starts each worker as `python`: this one, and no other that is found before it.
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=here) as process:
        try:
            for _ in range(1200):
                assert process.poll() is None
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            yield f"localhost:{port}"
        finally:
            process.terminate()
            process.wait()
