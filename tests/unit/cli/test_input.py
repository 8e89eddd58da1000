"""What cannot be sent as JSON ends in one line that names it, and exit code 2."""

import pytest

from tests.support.command_line import batchpool

# Nobody listens there: what is refused must be refused before anything is sent.
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["submit", "echo", "--items", "-"], b"NaN\n", "items[0]: must be a finite number"),
        (["submit", "echo", "--items", "-"], b"1\n1e400\n", "items[1]: must be a finite number"),
        (["submit", "echo", "--items", "-"], b'[1, {"a": [Infinity]}]', "items[1]: must be a"),
        (["submit", "echo", "--items", "-"], b'"\\ud800"\n', "items[0]: must be Unicode text"),
        (["submit", "echo", "--items", "-"], b"[" * 100_000, "nested too deeply"),
        (["submit", "echo", "--items", "-"], b"{'a': 1}\n", "--items, line 1: "),
        (["submit", "echo", "--lines", "-"], b"a\xff\n", "must be UTF-8 text; byte 0xff"),
        (["submit", "echo", "--lines", "-"], "a\n".encode("utf-16"), "must be UTF-8 text; byte"),
        (["submit", "sleep", "--count", "1", "--param", "seconds=NaN"], b"", "params.seconds: "),
        (["submit", "echo", "--count", "1", "--param", b"a=\xff"], b"", "params.a: must be Unico"),
        (["submit", "echo", "--count", "1", "--label", b"k\xff=1"], b"", "labels.k?: must be Uni"),
        (["submit", "echo", "--count", "1", "--reduce", "mean"], b"", "'mean' is not of the form"),
        (
            ["submit", "echo", "--count", "1", "--reduce", "a=sum", "--reduce", "a=min"],
            b"",
            "two reducers are named 'a'",
        ),
        (
            ["submit", "echo", "--count", "1", "--reduce", "a=histogram,low=NaN"],
            b"",
            "reduce.a: must be a finite number",
        ),
        (["compare", "echo", "--file", "-"], b"\xff\xfe{", "must be UTF-8 text"),
        (["compare", "echo", "--file", "-"], b'{"count": NaN}', "count: must be a finite number"),
        (["compare", "echo", "--count", "1", "--arm", "a:b"], b"", "'a:b' is not of the form"),
    ],
)
def test_input_that_is_not_json_is_refused(
    arguments: list[str | bytes], stdin: bytes, says: str
) -> None:
    done = batchpool(*arguments, "--url", NOWHERE, stdin=stdin)
    error = done.stderr
    assert done.returncode == 2, error
    assert says in error
    assert error.splitlines()[-1].lower().startswith("error: ")


@pytest.mark.parametrize("url", ["nonsense", "http://[::1", "ftp://127.0.0.1", "http://:80", ""])
def test_what_is_no_url_is_refused(url: str) -> None:
    done = batchpool("jobs", "--url", url)
    assert done.returncode == 2, done.stderr
    assert f"url: {url!r} is not a URL: " in done.stderr
