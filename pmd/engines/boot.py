"""The worker of a cluster in the environment "process": an engine's worker starts one, and this runs our code for it.

Beam's own starter is a program of its container images. This does what is left of it where pmd is installed already: it asks
the engine what to serve, refuses a driver of other versions, and becomes Beam's worker. It ends with its run, be it forgotten:
Beam's Flink runner leaves a worker behind whose start was cut short by the death of another.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from google.protobuf import json_format, text_format

from pmd.engines import ends, leaving, versions
from pmd.errors import PmdError

#: Seconds that the engine gets to say what to serve.
_ASK_S: Final = 60.0
#: Seconds between two looks whether the run is wanted, and those that the engine gets to end its workers when it is not.
_LOOK_S: Final = 15.0
_GRACE_S: Final = 30.0


def main() -> None:
    """Serve the engine that has started this process, until it has no more work."""
    parser = argparse.ArgumentParser(prog="pmd-worker", description="Started by an engine; not by a person.")
    parser.add_argument("--id", required=True, help="this worker's name")
    parser.add_argument("--provision_endpoint", required=True, help="where the engine says what to do")
    arguments, _ = parser.parse_known_args()
    info = provisioned(arguments.provision_endpoint, arguments.id)
    try:
        work = versions.check_told(json_format.MessageToDict(info.pipeline_options))
    except PmdError as error:
        sys.exit(f"pmd-worker: {error}")
    leaving.at_sigterm()
    if work is not None:
        threading.Thread(target=end_with, args=(work,), name="run", daemon=True).start()
    os.environ.update(environment(info, arguments.id))
    from apache_beam.runners.worker import sdk_worker_main

    try:
        sdk_worker_main.main([])
    finally:
        leaving.now()  # it has ended since the engine has hung up; tasks may be in the middle of something


def end_with(work: str, leave: Callable[[int], object] = os._exit) -> None:
    """Wait until a run is over, and then end this process if nobody else has."""
    while True:
        time.sleep(_LOOK_S)
        try:
            ends.check(work)
        except ends.CalledOffError:
            break
        except Exception:  # noqa: BLE001, S112  of a store's client: the next look may reach it
            continue
    time.sleep(_GRACE_S)
    leave(0)


def provisioned(endpoint: str, name: str) -> Any:
    """Return what an engine tells a worker of a name."""
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        told = service.GetProvisionInfo(request, metadata=[("worker_id", name)], wait_for_ready=True, timeout=_ASK_S)
        return told.info


def environment(info: Any, name: str) -> dict[str, str]:
    """Return what Beam's worker reads from its environment."""
    told = {
        "WORKER_ID": name,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    for key, place in (("CONTROL", info.control_endpoint), ("LOGGING", info.logging_endpoint)):
        if place.url:
            told[f"{key}_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(place)
    if info.status_endpoint.url:
        told["STATUS_API_SERVICE_DESCRIPTOR"] = text_format.MessageToString(info.status_endpoint)
    return told


if __name__ == "__main__":
    main()
