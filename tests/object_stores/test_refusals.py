"""A bucket that refuses, is not there, fails for good or breaks off: every command ends in one sentence, by its exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pmd.store import storage
from tests import tiny_root
from tests.object_stores.conftest import Emulated
from tests.object_stores.test_build import uploaded
from tests.test_cli import Pmd
from tests.test_cli import pmd as pmd  # noqa: PLC0414  a fixture of theirs

pytestmark = pytest.mark.timeout(1800)

#: Commands that read ROOT and nothing else that could refuse.
READERS = ("status ROOT", "verify ROOT", f"explain ROOT {tiny_root.C1}", "peek ROOT", "diff ROOT ROOT")
#: Those that are given a configuration whose ROOT is in the bucket.
PLANNERS = ("plan CONFIG", "build CONFIG --why", "takedown prove CONFIG", "takedown receipt CONFIG")
WRITERS = (
    *(
        "build CONFIG",
        "curate CONFIG",
        "images CONFIG",
        "fetch CONFIG",
        "fetch CONFIG --retry",
        "dedupe CONFIG",
        "shard CONFIG",
    ),
    *("publish CONFIG", "audit CONFIG", "audit DATA --out ROOT", "refresh CONFIG", "repair ROOT --config CONFIG"),
    *(f"takedown add CONFIG {tiny_root.C1}", "takedown cancel CONFIG 1", "takedown apply CONFIG"),
)
#: Commands that read something of a bucket that is no ROOT.
OF_INPUTS = (
    "hashes INPUT",
    "audit INPUT --out out",
    "takedown find LOCAL INPUT",
    "plan REACHES",
    "build REACHES --why",
    "build REACHES",
)

#: How a store may fail a command, and what is said then.
KINDS = {
    "403": "the storage refuses",
    "401": "the storage refuses",
    "429": "the storage fails, or is too busy, and was waited for",
    "503": "the storage fails, or is too busy, and was waited for",
    "no connection": "the storage cannot be reached",
    "no such host": "the storage cannot be reached",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    tiny_root.build(folder)
    return folder


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients that ask again at once, where they would wait half a minute."""
    import asyncio

    async def no_sleep(_: float) -> None:
        pass

    told: dict[str, Any] = {"retries": {"mode": "standard", "max_attempts": 1}, "connect_timeout": 2}
    monkeypatch.setitem(storage._S3, "config_kwargs", told)
    monkeypatch.setattr("pmd.store.patience._BUSY_PAUSES_S", (0.0,))
    monkeypatch.setattr("pmd.store.patience.PAUSES_S", (0.0,))
    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": no_sleep}))
    storage._client.cache_clear()
    yield
    storage._client.cache_clear()


def named(store: Emulated, built: Path, folder: Path, bucket: str | None = None) -> dict[str, str]:
    """Return what the words of commands stand for; what is to be in the bucket is there."""
    base = f"{bucket or store.bucket}/refusals"
    text = (built / "pmd.toml").read_text(encoding="utf-8")
    shutil.copytree(built / "pmd", folder / "local")
    made = {
        "CONFIG": text.replace(f'root = "{built}/pmd"', f'root = "{base}/root"'),
        "LOCAL": text.replace(f'root = "{built}/pmd"', f'root = "{folder}/local"'),
        "REACHES": text.replace(f'root = "{built}/pmd"', f'root = "{folder}/new"').replace(
            f"{built}/data/GCC-training.tsv", f"{base}/GCC-training.tsv"
        ),
    }
    for name, content in made.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    paths = {name: str(folder / f"{name}.toml") for name in made}
    data = str(built / "data/GCC-training.tsv")
    return paths | {"ROOT": f"{base}/root", "INPUT": f"{base}/pairs.tsv", "DATA": data}


def put(store: Emulated, built: Path) -> None:
    """Put a ROOT and inputs into the bucket, once."""
    base = f"{store.bucket}/refusals"
    if not storage.exists(f"{base}/root/root.json"):
        uploaded(built / "pmd", f"{base}/root")
        storage.put(f"{base}/pairs.tsv", b"text\turl\na cat\thttp://a.example/1.jpg\n")


def fails(store: Emulated, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a store fail."""
    address = {"no connection": "http://127.0.0.1:9", "no such host": "http://store.invalid"}.get(kind)
    if address is None:
        store.proxy.refused = ("*", int(kind))
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL" if store.kind == "s3" else "STORAGE_EMULATOR_HOST", address)


def unlike(
    pmd: Pmd, stands_for: dict[str, str], wanted: dict[int, Iterable[str]], says: Callable[[list[str]], bool]
) -> list[str]:
    """Run commands; return in words which of them end or speak otherwise than they are to.

    Args:
        pmd: Runs one.
        stands_for: What their words stand for.
        wanted: Exit code → the commands that are to end with it.
        says: Whether the lines are right that say what is wrong.
    """
    found = []
    for code, commands in wanted.items():
        for command in commands:
            ended = pmd(*(stands_for.get(word, word) for word in command.split()))
            if ended.code != code or not says([line for line in ended.err.splitlines() if line.startswith("pmd: ")]):
                found.append(f"{command}: {ended.code} and not {code}: {ended.err[-500:]}")
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("at_once")
def test_a_store_that_fails_ends_every_command_in_a_sentence(
    kind: str, store: Emulated, built: Path, pmd: Pmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, built)
    stands_for = named(store, built, tmp_path)
    fails(store, kind, monkeypatch)
    stands_for["CONFIGURED"] = f"{store.bucket}/refusals/pmd.toml"
    wanted = {
        4: (*READERS, *PLANNERS, *WRITERS),
        3: OF_INPUTS,
        2: ("plan CONFIGURED", "build CONFIGURED"),
    }
    wrong = unlike(pmd, stands_for, wanted, lambda said: len(said) == 1 and said[0].endswith(f": {KINDS[kind]}"))
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("at_once")
def test_a_bucket_that_is_not_there_is_told_as_root_or_as_input(
    store: Emulated, built: Path, pmd: Pmd, tmp_path: Path
) -> None:
    stands_for = named(store, built, tmp_path, f"{store.kind}://pmd-no-such-bucket")
    # A plan may be made before anything is there, and what is compared need be no ROOT.
    of_inputs = [command for command in OF_INPUTS if not command.startswith("plan")]
    wanted = {4: READERS[:-1], 2: ("build CONFIG", "curate CONFIG"), 3: (*of_inputs, READERS[-1])}
    wrong = unlike(pmd, stands_for, wanted, bool)
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("at_once")
def test_who_may_only_read_reads_and_is_refused_what_writes(
    store: Emulated, built: Path, pmd: Pmd, tmp_path: Path
) -> None:
    import pmd as library

    put(store, built)
    stands_for = named(store, built, tmp_path)
    store.proxy.refused = ("WRITE", 403)
    reads = (*READERS, "plan CONFIG", "build CONFIG --why", "takedown receipt CONFIG")
    wrong = unlike(pmd, stands_for, {0: reads}, lambda _: True)
    assert len(library.load(stands_for["ROOT"]).ledger.to_pandas())
    writers = [command for command in WRITERS if "DATA" not in command]  # where a build is, no other audit goes
    wrong += unlike(
        pmd, stands_for, {4: writers}, lambda said: len(said) == 1 and said[0].endswith(": the storage refuses")
    )
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("at_once")
def test_answers_that_always_break_off_end_every_command_that_reads(
    store: Emulated, built: Path, pmd: Pmd, tmp_path: Path
) -> None:
    put(store, built)
    stands_for = named(store, built, tmp_path)
    store.proxy.broken = 10**9
    wanted = {4: (*READERS, "plan CONFIG", "build CONFIG"), 3: OF_INPUTS}
    wrong = unlike(pmd, stands_for, wanted, lambda said: len(said) == 1)
    assert not wrong, "\n".join(wrong)
