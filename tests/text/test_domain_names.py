"""What is above a host, and who registered it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pmd.text import domain_names


def test_registrable_domain() -> None:
    for host, domain in {
        "farm1.static.flickr.com": "flickr.com",
        "www.bbc.co.uk": "bbc.co.uk",
        "co.uk": "co.uk",
        "a.b.kobe.jp": "a.b.kobe.jp",
        "c.a.b.kobe.jp": "a.b.kobe.jp",
        "x.city.kobe.jp": "city.kobe.jp",
        "i.user.blogspot.com": "user.blogspot.com",
        "127.0.0.1": "127.0.0.1",
        "[::1]": "[::1]",
        "localhost": "localhost",
    }.items():
        assert domain_names.registrable_domain(host) == domain


def test_domains_of_a_column_are_those_that_the_library_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [line.split(" ")[0].strip() for line in Path(domain_names.PSLFILE).read_text(encoding="utf-8").splitlines()]
    suffixes = [rule.lstrip("!").replace("*", "star") for rule in rules if rule and not rule.startswith("//")]
    made = {f"{name}{suffix}" for suffix in suffixes for name in ("", "a.", "b.a.", "c.b.a.", ".", "a..")}
    made |= {f"{name}{suffix.partition('.')[2]}" for suffix in suffixes for name in ("a.", "b.a.")}
    made |= {
        "",
        "127.0.0.1",
        "1.2.3",
        "[::1]",
        "localhost",
        "a.unknown",
        "b.a.unknown",
        "a.xn--p1ai",
        "A.B.com",
        "é.com",
    }
    hosts = sorted(made)
    whole = [domain_names.registrable_domain(host) if host else "" for host in hosts]
    asked: list[str] = []
    monkeypatch.setattr(domain_names, "registrable_domain", lambda host: asked.append(host) or dict_of[host])
    dict_of = dict(zip(hosts, whole, strict=True))
    assert domain_names.registrable_domains(pa.array(hosts)).to_pylist() == whole
    assert 0 < len(asked) < len(hosts) * 3 / 4  # of rules; of hosts as they are, nearly none
    asked.clear()
    plain = [f"www.site{number}.{end}" for number in range(50) for end in ("com", "co.uk", "de", "com.au", "unknown")]
    dict_of |= dict.fromkeys(plain, "")
    domain_names.registrable_domains(pa.array(plain))
    assert not asked


def test_few_hosts_have_the_domains_that_they_have_in_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = pa.array(["farm1.static.flickr.com", None, "", "B.co.uk", "x.city.kobe.jp", "[::1]", "a.com.", "..com"])
    few = domain_names.registrable_domains(hosts)
    monkeypatch.setattr(domain_names, "_FEW_HOSTS", 0)
    assert few.to_pylist() == domain_names.registrable_domains(hosts).to_pylist()


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("img.example.com", ["img.example.com", "example.com", "com"]),
        ("localhost", ["localhost"]),
        ("[::1]", ["[::1]"]),
        ("x" * 300, ["x" * 300]),
        ("x" * 300 + ".example.com", ["x" * 300 + ".example.com", "example.com", "com"]),
        ("xx." + "y" * 249 + ".com", ["xx." + "y" * 249 + ".com", "y" * 249 + ".com", "com"]),
        ("xx" + "y" * 249 + ".com", ["xx" + "y" * 249 + ".com", "com"]),
    ],
)
def test_what_is_above_a_host_is_told_in_whole_labels(host: str, names: list[str]) -> None:
    assert domain_names.above(host) == names


def test_a_host_of_very_many_labels_has_no_more_above_it_than_a_name_may_have() -> None:
    """Fifty thousand names of fifty thousand characters would be gigabytes."""
    host = "a." * 50_000 + "example.com"
    assert sum(map(len, domain_names.above(host))) < 2 * len(host)
    assert domain_names.registrable_domain(host) == "example.com"
