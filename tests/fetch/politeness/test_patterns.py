"""robots.txt to the letter, with where each case is from, and what a look at hostile files may cost."""

from __future__ import annotations

import datetime
import itertools
import string
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.fetch.lane.engine import Lane
from pmd.fetch.politeness import patterns, robots, tdmrep
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)

#: Where it says so, the pattern, the path as it is sent, whether the one matches the other.
MATCHING = [
    ("RFC 9309 §2.2.2", "/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
    ("RFC 9309 §2.2.2", "/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http%3A%2F%2Ffoo.bar", True),
    ("RFC 9309 §2.2.2", "/foo/bar?baz=http%3A%2F%2Ffoo.bar", "/foo/bar?baz=http://foo.bar", True),
    ("RFC 9309 §2.2.2", "/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
    ("RFC 9309 §2.2.2", "/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", True),
    ("RFC 9309 §2.2.2", "/foo/bar/%62%61%7A", "/foo/bar/baz", True),
    ("RFC 9309 §2.2.2", "/foo/bar/baz", "/foo/bar/%62%61%7A", True),
    ("RFC 9309 §2.2.3", "/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
    ("RFC 9309 §2.2.3", "/path/file-with-a-%2A.html", "/path/file-with-a-b.html", False),
    ("RFC 9309 §2.2.3", "/path/foo-%24", "/path/foo-$", True),
    ("RFC 9309 §2.2.3", "/path/foo-%24", "/path/foo-", False),
    ("RFC 9309 §2.2.3", "/path/foo-%24", "/path/foo-$x", True),
    ("RFC 9309 §2.2.3", "*.gif$", "/x.gif", True),
    ("RFC 9309 §2.2.3", "*.gif$", "/x.gif?y", False),
    ("RFC 9309 §2.2.3", "/a$b", "/a$bc", True),
    ("RFC 9309 §2.2.3", "/a$$", "/a$", True),
    ("RFC 9309 §2.2.3", "/a$$", "/a$b", False),
    ("RFC 9309 §2.2.3", "/%41*%2A", "/A/x*", True),
    # https://www.robotstxt.org/norobots-rfc.txt §3.2.2, the table of 1996
    ("Koster 1996", "/tmp", "/tmp.html", True),
    ("Koster 1996", "/tmp/", "/tmp", False),
    ("Koster 1996", "/a%3cd.html", "/a%3Cd.html", True),
    ("Koster 1996", "/a%2fb.html", "/a%2Fb.html", True),
    ("Koster 1996", "/a%2fb.html", "/a/b.html", False),
    ("Koster 1996", "/a/b.html", "/a%2fb.html", False),
    ("Koster 1996", "/%7ejoe/index.html", "/~joe/index.html", True),
    ("Koster 1996", "/~joe/index.html", "/%7Ejoe/index.html", True),
    # google/robotstxt, robots_test.cc: GoogleOnly_DocumentationChecks, ID_SpecialCharacters
    ("Google", "/fish", "/fishheads/yummy.html", True),
    ("Google", "/fish", "/Fish.asp", False),
    ("Google", "/fish", "/catfish", False),
    ("Google", "/fish*", "/fish/salmon.html", True),
    ("Google", "/fish/", "/fish.html", False),
    ("Google", "/*.php", "/windows.PHP", False),
    ("Google", "/*.php$", "/filename.php/", False),
    ("Google", "/*.php$", "/filename.php5", False),
    ("Google", "/fish*.php", "/fishheads/catfish.php?parameters", True),
    ("Google", "/fish*.php", "/Fish.PHP", False),
    ("Google", "/foo/bar*/qux", "/foo/bar/baz/qux", True),
    ("Google", "/foo/bar$", "/foo/bar/", False),
    # WHATWG URL, "path percent-encode set", "special-query percent-encode set": what browsers send of what sites write
    ("WHATWG", "/a b/", "/a%20b/x", True),
    ("WHATWG", "/a%20b/", "/a%20b/x", True),
    ("WHATWG", '/"{x}`<y>^', "/%22%7Bx%7D%60%3Cy%3E%5E", True),
    ("WHATWG", "/x?a='b'", "/x?a=%27b%27", True),
    ("WHATWG", "/wiki/Special:Search", "/wiki/Special%3ASearch", True),
    ("WHATWG", "/ä", "/%C3%A4", True),
    # RFC 3986 §2.2: what separates is not what is escaped
    ("RFC 3986", "/a?b", "/a%3Fb", False),
    ("RFC 3986", "/a?b=c%26d", "/a?b=c&d", False),
    ("RFC 3986", "/a?b=c&d", "/a?b=c%26d", False),
    ("RFC 3986", "/*to=http://", "/x?to=http%3A%2F%2Fy", True),
    ("RFC 3986", "/*to=http%3A%2F%2F", "/x?to=http%3A%2F%2Fy", True),
    ("RFC 3986", "/*to=http%3A%2F%2F", "/x/to=http://y", False),
    # As files in the wild have it: any escape at all
    ("in the wild", "/*%", "/a%20b", True),
    ("in the wild", "/*%20", "/a%20b", True),
    ("in the wild", "/100%", "/100%", True),
    ("in the wild", "/a**b", "/a/c/b", True),
    ("in the wild", "/a*$", "/abc", True),
    ("in the wild", "a", "/a", False),
]


@pytest.mark.parametrize(("source", "pattern", "path", "expected"), MATCHING)
def test_patterns_match_as_they_should(source: str, pattern: str, path: str, *, expected: bool) -> None:
    rules = robots.rules_for(f"User-agent: *\nDisallow: {pattern}", "pmd")
    assert (robots.decide(rules, path) is not None) == expected, source


#: Where it says so, the file, our product token, the path, whether it may be asked for.
FILES = [
    ("§2.2.1", b"User-agent: *WordPress*\nDisallow: /\n", "pmd", "/x", True),
    ("§2.2.1", b"User-agent: *pmd\nDisallow: /\n", "pmd", "/x", True),
    ("§2.2.1", b"User-agent: *\nDisallow: /\n", "pmd", "/x", False),
    ("§2.2.1", b"User-agent: * # all\nDisallow: /\n", "pmd", "/x", False),
    ("Google ID_GlobalGroups", b"User-agent: * baz\nDisallow: /\n", "pmd", "/x", False),
    ("§2.2.1", b"User-agent: pmd/2.0\nDisallow: /\n", "pmd", "/x", False),
    ("§2.2.1", b"User-agent: PmD\nDisallow: /\n", "pmd", "/x", False),
    ("§2.2.1", b"User-agent: pmdbot\nDisallow: /\n", "pmd", "/x", True),
    ("§2.2.1", b"User-agent: pmd-images\nDisallow: /\n", "pmd", "/x", True),
    ("Google AcceptUserAgentUpToFirstSpace", b"User-agent: pmd images\nDisallow: /\n", "pmd", "/x", False),
    ("ours", b"User-agent: img2dataset\nDisallow: /\n", "img2dataset", "/x", False),
    ("ours", b"User-agent: img3dataset\nDisallow: /\n", "img2dataset", "/x", True),
    (
        "§2.2.1",
        b"User-agent: pmd\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: pmd\nDisallow: /b\n",
        "pmd",
        "/b",
        False,
    ),
    ("§2.2.1", b"User-agent: pmd\nDisallow: /a\n\nUser-agent: *\nDisallow: /\n", "pmd", "/b", True),
    ("§2.2.1", b"User-agent: pmd\n\nUser-agent: *\nDisallow: /\n", "pmd", "/b", False),
    ("§2.2.1", b"User-agent: pmd\nDisallow:\n\nUser-agent: *\nDisallow: /\n", "pmd", "/b", True),
    ("§2.2", b"Disallow: /\nUser-agent: pmd\nDisallow: /a\n", "pmd", "/b", True),
    ("§2.2.4", b"User-agent: x\nSitemap: https://a.test/map\nUser-agent: *\nDisallow: /\n", "pmd", "/b", False),
    ("§2.2.4", b"User-agent: x\nnothing known\nUser-agent: *\nDisallow: /\n", "pmd", "/b", False),
    ("§2.2.2 longest", b"User-agent: *\nDisallow: /x/page.html\nAllow: /x/\n", "pmd", "/x/page.html", False),
    ("§2.2.2 longest", b"User-agent: *\nAllow: /x/page.html\nDisallow: /x/\n", "pmd", "/x/page.html", True),
    ("§2.2.2 equal", b"User-agent: *\nDisallow: /x/page\nAllow: /x/page\n", "pmd", "/x/page", True),
    ("§2.2.2 octets", "User-agent: *\nAllow: /ä\nDisallow: /*ab\n".encode(), "pmd", "/%C3%A4ab", True),
    (
        "§5.1",
        b"User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n",
        "pmd",
        "/example/x",
        False,
    ),
    (
        "§5.2",
        b"User-Agent: *\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n",
        "pmd",
        "/example/page/disallowed.gif",
        False,
    ),
    ("§2.2 line ends", b"User-agent: *\rDisallow: /a\r\rDisallow: /b\r", "pmd", "/b", False),
    ("§2.2 line ends", b"User-agent: *\r\nDisallow: /a\nDisallow: /b\r\n", "pmd", "/b", False),
    ("§2.2 comments", b"User-agent: *#x\nDisallow:/a#b\n", "pmd", "/ab", False),
    ("Google ID_UTF8ByteOrderMark", b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n", "pmd", "/x", False),
    ("Google ID_UTF8ByteOrderMark", b"\xef\xbbUser-agent: *\nDisallow: /\n", "pmd", "/x", False),
    ("Google ID_UTF8ByteOrderMark", b"\xefUser-agent: *\nDisallow: /\n", "pmd", "/x", False),
    ("two marks, of files put together", b"\xef\xbb\xbf\xef\xbb\xbfUser-agent: *\nDisallow: /\n", "pmd", "/x", False),
    ("Google kAllowFrequentTypos", b"useragent: *\ndisalow: /\n", "pmd", "/x", False),
    ("Google ID_LineSyntax_Line", b"user-agent pmd\ndisallow /\n", "pmd", "/x", False),
    ("Google ID_LineSyntax_Line", b"foo: pmd\nbar: /\n", "pmd", "/x", True),
    ("§2.2.2 octets beyond ASCII", b"User-agent: *\nDisallow: /caf\xe9\n", "pmd", "/caf%E9/x", False),
    ("§2.2.2 octets beyond ASCII", "User-agent: *\nDisallow: /café\n".encode(), "pmd", "/caf%C3%A9/x", False),
    (
        "§2.5 cut at the limit",
        b"User-agent: *\n" + b"#" * (robots.MAX_BYTES - 25) + b"\nDisallow: /a",
        "pmd",
        "/x",
        True,
    ),
]


@pytest.mark.parametrize(("source", "content", "agent", "path", "allowed"), FILES)
def test_files_are_read_as_they_should_be(source: str, content: bytes, agent: str, path: str, *, allowed: bool) -> None:
    policy = robots.Policy(NOON, 200, robots.text_of(content[: robots.MAX_BYTES]))
    assert robots.verdict(policy, "https://a.test", path, agent).allowed == allowed, source


@given(st.binary(max_size=200))
def test_any_octets_are_text_that_can_be_kept(content: bytes) -> None:
    assert robots.text_of(content).encode().decode() == robots.text_of(content)


def test_tdmrep_reads_patterns_and_marks_as_robots_txt_does() -> None:
    body = '\ufeff[{"location": "/a b/%2A", "tdm-reservation": 1}, {"location": "/a b", "tdm-reservation": 0}]'
    policy = robots.Policy(NOON, 200, body)
    assert not tdmrep.verdict(policy, "https://a.test", "/a%20b/*").allowed
    assert tdmrep.verdict(policy, "https://a.test", "/a%20b/c").allowed


def brute(pattern: str, path: str) -> bool:
    """Match by trying everything."""
    if not pattern:
        return True
    if pattern == "$":
        return not path
    if pattern[0] == "*":
        return any(brute(pattern[1:], path[at:]) for at in range(len(path) + 1))
    return path[:1] == pattern[0] and brute(pattern[1:], path[1:])


FEW = st.text("ab*/", max_size=8)


@given(st.lists(st.tuples(FEW, st.booleans()), max_size=200), st.text("ab/", max_size=10))
def test_the_first_of_many_is_that_which_trying_each_finds(made: list[tuple[str, bool]], path: str) -> None:
    written = [pattern + "$" * end for pattern, end in made]
    expected = next((place for place, pattern in enumerate(written) if brute(pattern, path)), None)
    assert patterns.Patterns(map(patterns.prepared, written)).first(path) == expected


# --- what it costs ---------------------------------------------------------------------------------------------------


def distinct(number: int, least: int = 3) -> list[str]:
    """Return so many short words."""
    words = ("".join(letters) for letters in itertools.product(string.ascii_letters + string.digits, repeat=least))
    return list(itertools.islice(words, number))


class Counted:
    """How often patterns were prepared, paths brought to their normal form, and patterns compared."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prepared = self.escaped = self.followed = 0
        patterns.forms.cache_clear()
        prepared, escaped, follows = patterns.prepared, patterns._escaped, patterns.Pattern.follows

        def prepare(pattern: str) -> patterns.Pattern:
            self.prepared += 1
            return prepared(pattern)

        def escape(text: str) -> str:
            self.escaped += 1
            return escaped(text)

        def follow(pattern: patterns.Pattern, path: str) -> bool:
            self.followed += 1
            return follows(pattern, path)

        monkeypatch.setattr(patterns, "prepared", prepare)
        monkeypatch.setattr(patterns, "_escaped", escape)
        monkeypatch.setattr(patterns.Pattern, "follows", follow)


#: Files of half a megabyte.
LONG = {
    "the same": "allow:*b*\n" * 50_000,
    "literal": "".join(f"allow:/{word}\n" for word in distinct(40_000)),
    "wildcards": "".join(f"allow:*{word}\n" for word in distinct(40_000)),
    "groups": "".join(f"user-agent:*\nallow:*{word}*x\n" for word in distinct(18_000)),
    "escapes": "".join(f"allow:*%4{number % 10}{word}\n" for number, word in enumerate(distinct(30_000))),
    "one": f"allow:{'*a' * 200_000}\n",
    "thousands": "".join(f"allow:{'*a' * 2_000}*{word}\n" for word in distinct(100)),
    "repeats": "".join(f"allow:*{'a' * 40}{word}{'a' * 40}\n" for word in distinct(5_000)),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("path", ["/a.jpg", "/" + "a" * 7900, "/" + "%41" * 2600, "/?" + "%2Fa" * 1900])
def test_a_look_prepares_nothing_again_and_compares_few(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = robots.Policy(NOON, 200, "User-agent:*\n" + LONG[name])
    robots.verdict(policy, "http://a.test", "/", "pmd")
    counted = Counted(monkeypatch)
    for _ in range(3):
        robots.verdict(policy, "http://a.test", path, "pmd")
    assert (counted.prepared, counted.escaped) == (0, 1)
    assert counted.followed <= 3 * patterns.MOST_STEPS // patterns._STEPS_A_PIECE
    if name in {"the same", "literal", "one"}:
        assert counted.followed <= 3 * 3


def test_what_takes_too_long_to_tell_is_a_no_and_says_so() -> None:
    path = "/" + "a" * 7900
    words = distinct(5_000)[1:]
    policy = robots.Policy(
        NOON, 200, "User-agent:*\n" + "".join(f"allow:*{'a' * 40}{word}{'a' * 40}\n" for word in words)
    )
    found = robots.verdict(policy, "http://a.test", path, "pmd")
    told = f"has more patterns than are looked through for a path of {len(path)} characters: taken as a no"
    assert (found.allowed, found.evidence) == (False, f"http://a.test/robots.txt {told}")
    body = "[" + ",".join(f'{{"location":"*{"a" * 40}{word}{"a" * 40}"}}' for word in words) + "]"
    found = tdmrep.verdict(robots.Policy(NOON, 200, body), "http://a.test", path)
    assert (found.allowed, found.evidence) == (False, f"http://a.test/.well-known/tdmrep.json {told}")
    assert robots.verdict(policy, "http://a.test", "/a.jpg", "pmd").allowed


def test_a_path_longer_than_servers_take_is_forbidden_by_any_pattern() -> None:
    path = "/" + "%41" * (patterns.LONGEST_PATH // 3)
    policy = robots.Policy(NOON, 200, "User-agent: *\nAllow: /\n")
    assert robots.verdict(policy, "http://a.test", path, "pmd").allowed
    found = robots.verdict(policy, "http://a.test", f"{path}abc", "pmd")
    assert (found.allowed, "taken as a no" in found.evidence) == (False, True)
    assert robots.verdict(robots.Policy(NOON, 200, "# nothing"), "http://a.test", f"{path}abc", "pmd").allowed


def test_long_looks_are_a_threads_work(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop, which all hosts share, does none of it."""
    seen: dict[str, set[str]] = {"robots": set(), "tdmrep": set()}
    for module in (robots, tdmrep):
        verdict = module.verdict

        def noted(policy: robots.Policy, origin: str, *rest: str, verdict=verdict, module=module) -> robots.Verdict:  # type: ignore[no-untyped-def]
            if len(policy.body) > 1000:
                seen[module.__name__.rpartition(".")[2]].add(threading.current_thread().name.partition("_")[0])
            return verdict(policy, origin, *rest)  # type: ignore[no-any-return]

        monkeypatch.setattr(module, "verdict", noted)
    body = "[" + ",".join(['{"location":"*b"}'] * 29_000) + "]"
    web.routes |= {
        "evil.test/robots.txt": reply(b"User-agent:*\n" + b"allow:*b*\n" * 50_000),
        "evil.test/.well-known/tdmrep.json": reply(body.encode()),
        "evil.test/x": reply(status=302, Location="/" + "%41" * 2600),
        "evil.test/" + "%41" * 2600: reply(photo()),
        "short.test/robots.txt": reply(b"User-agent:*\n" + b"allow:*b*\n" * 1000),
        "short.test/x": reply(status=302, Location="/" + "%41" * 2600),
        "good.test/x": reply(photo(seed=1)),
    }
    rows = table(*(image_row(host, f"http://{host}.test/x") for host in ("evil", "short", "good")))
    with Lane(options(web), contact="", patience=HASTE) as lane:
        assert sorted(fetched.status for fetched in lane.fetch(rows)) == ["dead", "ok", "ok"]
    assert seen["tdmrep"] == {"files"}
    assert seen["robots"] <= {"files", "fetch"}
    assert "files" in seen["robots"]
