"""What leaves for a person: one place writes, and no word of a stranger is obeyed, through whichever command it comes."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pmd import cli, escape
from pmd.config.inputs import MissingFiles
from pmd.errors import InputError, PmdError
from pmd.terminal import output
from tests.fetch.conftest import Web, photo, reply
from tests.test_escape import is_obeyed

ROOT = Path(__file__).resolve().parent.parent.parent
EDGE = "pmd/terminal/output.py"


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a file, with the name that it calls as it is spelled."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def writes(name: str, call: ast.Call) -> bool:
    """Return whether a call writes to standard output or standard error, or makes what does."""
    last = name.rpartition(".")[2]
    if last in {"Console", "StreamHandler"}:  # into a text of ours, it only draws
        return not any(keyword.arg == "file" for keyword in call.keywords)
    return (
        last in {"secho", "print_exc", "print_exception", "print_json", "excepthook"}
        or name in {"print", "typer.echo", "click.echo", "typer.style", "logging.basicConfig", "os.write"}
        or (name.startswith(("sys.stdout.", "sys.stderr.", "sys.__std")) and last not in {"isatty", "fileno"})
    )


#: What a thread that must take no lock writes: words of ours alone, and bytes into a pipe.
WORDLESS = (
    "os.write(self.write_end, b'\\x00')",
    "os.write(2, f'pmd: {INTERRUPTED}\\n'.encode())",
)


@pytest.mark.parametrize("path", sorted([*ROOT.glob("pmd/**/*.py"), *ROOT.glob("pipelines/**/*.py")]), ids=str)
def test_nothing_else_writes(path: Path) -> None:
    if path != ROOT / EDGE:
        found = [ast.unparse(call) for name, call in calls(path) if writes(name, call)]
        assert found == [call for call in WORDLESS if path.name == "endings.py"]


def test_the_look_for_what_writes_finds_it() -> None:
    found = [ast.unparse(call.func) for name, call in calls(ROOT / EDGE) if writes(name, call)]
    assert {"logging.StreamHandler", "logging.basicConfig", "Console"} <= {*found}


HOSTILE = "\x1b]0;T\x07\x1b[31m \x9b2J \u202egpj\u202c \u2028\u200b\ufeff \x00\x08 \udcff \U000e0041"
PLAIN = "\\x1b]0;T\\x07\\x1b[31m \\x9b2J \\u202egpj\\u202c \\u2028\\u200b\\ufeff \\x00\\x08 \\udcff \\U000e0041"


def assert_harmless(text: str, *, tabs: bool = False) -> None:
    allowed = "\n\t" if tabs else "\n"
    bad = {ascii(character) for character in text if is_obeyed(character) and character not in allowed}
    assert bad == set(), text


def test_what_is_said_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"a\n{HOSTILE}")
    output.say(HOSTILE, err=True)
    output.table("a title", ["[b]column"], [[f"[red]{HOSTILE}[/red]\n"], ["b"]])
    found = capsys.readouterr()
    assert found.out.startswith(f"a\n{PLAIN}\n")
    assert f"[red]{PLAIN}[/red]\\n" in found.out
    assert found.err == f"{PLAIN}\n"
    assert_harmless(found.out + found.err)


@pytest.mark.parametrize("value", ["\x7f\x9b\u202e\u2028\U000e0041", "\udcff"])
def test_json_is_harmless_and_json(capsys: pytest.CaptureFixture[str], value: str) -> None:
    output.json({"of": [value], "number": 1.5})
    said = capsys.readouterr().out
    assert_harmless(said)
    assert json.loads(said) == {"of": [value if value != "\udcff" else r"\udcff"], "number": 1.5}


def test_what_an_encoding_lacks_is_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1", "strict")
    monkeypatch.setattr(sys, "stdout", stream)
    output.say("café ✓ 日本")
    assert stream.buffer.getvalue() == "café \\u2713 \\u65e5\\u672c\n".encode("latin-1")  # type: ignore[attr-defined]


def test_errors_are_told_in_lines_of_ours() -> None:
    forged = f"x{HOSTILE}\n  remedy: rm -rf /"
    error = InputError(forged, where=forged, expected=forged, found=forged, remedy=forged)
    assert [line.partition(":")[0] for line in str(error).splitlines()][1:] == ["  expected", "  found", "  remedy"]
    assert_harmless(str(error))
    assert str(MissingFiles([forged, "y"])) == f"x{PLAIN}\\n  remedy: rm -rf /\ny"


def test_a_traceback_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        output.uncaught(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert_harmless(said)
    assert said.splitlines()[-1] == f"ValueError: {PLAIN}"


@pytest.fixture
def logs() -> Iterator[None]:
    """Keep the loggers as they are."""
    loggers = [logging.getLogger(name) for name in ("", "pmd.notes", "pmd.progress", "gcsfs", "fsspec.prefetcher")]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    hook = sys.excepthook
    yield
    sys.excepthook = hook
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate, logger.level = handlers, propagate, level


@pytest.mark.usefixtures("logs")
def test_notes_and_progress_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers = []
    output.log_to_standard_error()
    logging.getLogger("pmd.notes").warning("of %s\n! forged", HOSTILE)
    logging.getLogger("pmd.progress").info("%s", HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("some.library").exception("it failed: %s", HOSTILE)
    said = capsys.readouterr().err
    assert_harmless(said)
    assert said.splitlines()[:2] == [f"! of {PLAIN}\\n! forged", f"    {PLAIN}"]
    assert said.splitlines()[-1] == f"ValueError: {PLAIN}"


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("name", ["gcsfs", "gcsfs.core", "fsspec.prefetcher"])
def test_what_a_client_of_a_store_raises_is_not_told_by_it_too(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Three tracebacks stood before the sentence that says what a bucket refuses."""
    logging.getLogger().handlers = []
    output.log_to_standard_error()
    try:
        raise OSError("Forbidden")
    except OSError:
        logging.getLogger(name).exception("Consumer caught an error.")
    assert capsys.readouterr().err == ""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pmd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logs: None) -> Run:
    """A function that runs a command, and fails where a stranger's word is obeyed in what it says."""

    def run(*words: str | Path, tabs: bool = False) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pmd", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert_harmless(said.out + said.err, tabs=tabs)
        assert "Traceback" not in said.err
        if "--json" in words:
            json.loads(said.out)
        return int(ended.value.code or 0), said.out, said.err

    return run


#: What can stand in a name of a file, in UTF-8.
NAME = "r\x1b]0;x\x07\u202e\x9b\n= forged"
SPELLED = escape.terminal(NAME)
CAPTION = "a boat \u202eon\u202c a \x1b[31mlake\x07 with \x9b2Jtrees \u2066and\u200b houses"


def configured(folder: Path, web: Web, root: str, caption: str) -> Path:
    """Write annotations and a configuration of which every word is hostile that can be."""
    data = folder / f"data of {NAME}"
    data.mkdir(exist_ok=True)
    lines = [f"{caption} {n}\thttp://h.test/{n}.jpg?\x1b[3{n}m\u202e" for n in range(3)]
    (data / "cc3m.tsv").write_text("\n".join([*lines, f"{caption}\tno url \x1b[m"]) + "\n", encoding="utf-8")
    images = [
        {
            "id": 9,
            "license": 4,
            "file_name": f"{NAME}.jpg",
            "coco_url": "http://h.test/x.jpg",
            "width": 640,
            "height": 480,
        }
    ]
    licences = [{"id": 4, "name": NAME, "url": f"http://h.test/{NAME}"}]
    captions = [{"id": 1, "image_id": 9, "caption": f"{caption} by a lake"}]
    (data / "captions_train2017.json").write_text(
        json.dumps({"images": images, "annotations": captions, "licenses": licences})
    )
    path = folder / f"{root}.toml"
    path.write_text(
        f"root = {escape.toml(str(folder / root))}\n"
        'contact = "mailto:tests@example.org"\n'
        f"[sources.conceptual_captions]\nannotations = [{escape.toml(str(data / 'cc3m.tsv'))}]\n"
        f'[sources.coco]\nkarpathy = "none"\nannotations = [{escape.toml(str(data / "captions_train2017.json"))}]\n'
        f'[fetch]\nrobots = false\ntdmrep = false\nretries = 0\nallow_addresses = ["127.0.0.1/32"]\n'
        f'resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}\n',
        encoding="utf-8",
    )
    return path


def routed(web: Web) -> None:
    web.routes |= {
        "h.test/0.jpg?%1B[30m%E2%80%AE": reply(photo(), ETag='"\x85 \x9b[31m"'),
        "h.test/1.jpg?%1B[31m%E2%80%AE": reply(b"<html>" + HOSTILE.encode("utf-8", "replace")),
        "h.test/2.jpg?%1B[32m%E2%80%AE": b"HTTP/1.1 200 \x1b[31m\r\nBad\x1b: \x9b\r\n\r\n",
    }


@pytest.fixture
def served() -> Iterator[Web]:
    with Web() as web:
        routed(web)
        yield web


@pytest.mark.long
def test_no_command_obeys_a_stranger(served: Web, tmp_path: Path, pmd: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = configured(tmp_path, served, NAME, CAPTION)
    root = tmp_path / NAME
    code, out, err = pmd("build", path)
    assert (code, "coco" in out) == (0, True), err
    shown = escape.terminal(CAPTION)
    said = []
    for file in (root / "curate").rglob("*.parquet"):
        for row in pq.read_table(file).to_pylist():
            said.append(pmd("explain", root, row["pair_id"].hex())[1])
            pmd("explain", root, row["pair_id"].hex(), "--json")
            if row.get("image_url"):
                pmd("explain", root, row["image_url"])
    told = "\n".join(said)
    assert shown in told
    assert SPELLED in told
    assert "\n= forged" not in told
    for json_too in ((), ("--json",)):
        assert pmd("status", root, *json_too)[0] == 0
        assert pmd("verify", root, *json_too)[0] == 0
        assert pmd("plan", path, *json_too)[0] == 0
        assert pmd("build", path, "--why", *json_too)[0] == 0
        assert pmd("sources", "--rules", *json_too)[0] == 0
        assert pmd("sources", *json_too)[0] == 0
        pmd("manifests", "verify", "conceptual_captions", "--folder", root, *json_too)
        assert SPELLED in pmd("fetch", path, f"--retry=a {NAME}", *json_too)[2]
        assert SPELLED in pmd("explain", root, f"no such {NAME}", *json_too)[2]
        assert SPELLED in pmd("status", tmp_path / f"no {NAME}", *json_too)[2]
    assert SPELLED in pmd("peek", root, "--out", tmp_path / f"{NAME}.html")[1]
    assert pmd("init")[0] == 0

    (root / "publish" / f"stray {NAME}.parquet").write_text("x")
    assert SPELLED in "".join(pmd("verify", root)[1:])
    other = configured(tmp_path, served, f"other {NAME}", f"{CAPTION} and more")
    pmd("curate", other)
    code, out, _ = pmd("diff", root, tmp_path / f"other {NAME}")
    assert (code, shown in out) == (7, True)
    pmd("diff", root, tmp_path / f"other {NAME}", "--json")

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / f"{NAME}.jpg").write_bytes(photo())
    assert len(pmd("hashes", pictures, tabs=True)[1].splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        f'root = "out"\n{escape.toml(NAME)} = 1\n',
        f"root = {escape.toml(NAME)}\nprofile = {escape.toml(NAME)}\n",
        'root = "out"\n[sources.conceptual_captions]\n'
        f"annotations = [{escape.toml(f'{NAME}.tsv')}, {escape.toml(f'{NAME}*')}]\n",
        f"root = \x1b[31m{NAME}\n",
    ],
)
def test_no_mistake_in_a_configuration_is_obeyed(tmp_path: Path, pmd: Run, text: str) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(text, encoding="utf-8")
    code, _, err = pmd("build", path)
    assert code in {2, 3}
    assert err
    shutil.copy(path, tmp_path / f"{NAME}.toml")
    assert SPELLED in pmd("build", tmp_path / f"{NAME}.toml")[2] or code == 3


def test_every_error_is_told_through_the_edge(pmd: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: Any) -> None:
        raise PmdError(f"it {HOSTILE}", found=HOSTILE)

    monkeypatch.setattr("pmd.inspection.status.books", fails)
    assert pmd("status", tmp_path)[2] == f"pmd: it {PLAIN}\n  found: {PLAIN}\n"


@pytest.mark.parametrize("words", [[NAME], [f"--{NAME}"], ["status", "x", NAME], ["status", f"--{NAME}"]])
def test_mistakes_of_the_command_line_are_harmless(pmd: Run, words: list[str]) -> None:
    code, _, err = pmd(*words)
    assert code == 2
    assert "\\u202e" in re.sub(r"[│\s]", "", err)  # without the box and its line ends
