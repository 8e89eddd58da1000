"""The command line against a real stack: output, streams, exit codes."""

import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.client import Client, InvalidInput, InvalidRequest
from batchpool.stack.local_stack import LocalStack, StackOptions
from tests.support.command_line import Told, batchpool

SVG = "http://www.w3.org/2000/svg"
EXAMPLES = Path(__file__).parents[2] / "examples"


CHATTY = """
from batchpool.tasks import task

@task("chatty")
def chatty(item):
    if item != 1:
        print("item", item)
        print("\\x1b[31mred")
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    tasks = shutil.copytree(EXAMPLES / "tasks", tmp_path_factory.mktemp("cli") / "tasks")
    (tasks / "chatty.py").write_text(CHATTY)
    environ = {**os.environ, "BATCHPOOL_TASKS_DIR": str(tasks)}
    options = StackOptions(workers=1, temporary=True, prefer_own_redis=True, environ=environ)
    with LocalStack(options) as stack:
        yield stack


def run(url: str, *arguments: str, stdin: str = "", **environ: str) -> Told:
    return batchpool(*arguments, stdin=stdin, BATCHPOOL_URL=url, **environ)


def process(url: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "batchpool", *arguments],
        env={**os.environ, "BATCHPOOL_URL": url, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_submit_prints_the_id_and_nothing_else(stack: LocalStack) -> None:
    told = process(stack.url, "submit", "echo", "--count", "3")
    assert (told.returncode, told.stderr) == (0, "")
    with Client(stack.url) as client:
        assert client.wait(told.stdout.strip(), 30).sum == 3


def test_items_of_a_file_are_sent_while_it_is_read(stack: LocalStack, tmp_path: Path) -> None:
    table, lines = tmp_path / "table.CSV", tmp_path / "items.ndjson"
    table.write_text('name,size\n"a\nb",1\n')
    lines.write_text("".join(f"{n}\n" for n in range(30_000)))
    made = run(stack.url, "submit", "echo", "--items-file", str(table)).stdout.strip()
    typed = ("--column", "size=number")
    counted = run(stack.url, "submit", "echo", "--items-file", str(table), *typed).stdout.strip()
    plan = run(stack.url, "submit", "echo", "--items-file", str(lines), "--batches=7", "--dry-run")
    assert (plan.returncode, plan.stderr) == (0, ""), plan
    assert "echo × 30,000 on thread-pool\nbatches: 7, each of 4,285 or 4,286" in plan.stdout
    assert plan.stdout.endswith("Nothing was submitted.\n")
    piped = run(stack.url, "submit", "echo", "--items-file", "-", stdin="1\n\n2\n").stdout.strip()
    with Client(stack.url) as client:
        assert client.job(made)["spec"]["items"]["first"] == [{"name": "a\nb", "size": "1"}]
        assert client.job(counted)["spec"]["items"]["first"] == [{"name": "a\nb", "size": 1}]
        assert client.wait(piped, 30).sum == 3
        assert client.wait(client.submit("echo", items=lines), 60).sum == sum(range(30_000))
        numbers = iter(range(20_000))
        assert client.run("echo", items=numbers, wait_s=60).sum == sum(range(20_000))
        assert client.run("echo", items=iter([1, 2]), wait_s=30).sum == 3
        with pytest.raises(InvalidInput, match=r"items\[10500\]: must be a finite number"):
            client.submit("echo", items=[*range(10_500), float("nan"), 2])
        with pytest.raises(InvalidRequest, match="line 2: not JSON"):
            client.submit("echo", items=io.BytesIO(b"1\n{\n" * 200_000))
        with pytest.raises(InvalidInput, match="items: cannot read"):
            client.submit("echo", items=tmp_path / "none")
    bad = run(stack.url, "submit", "echo", "--items-file", "-", "--dry-run", stdin="1\nNaN\n")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "line 2: NaN is not JSON" in bad.stderr


def test_watch_sums_the_job_up(stack: LocalStack) -> None:
    job_id = run(stack.url, "submit", "echo", "--count", "4").stdout.strip()
    told = run(stack.url, "watch", job_id)
    assert told.returncode == 0
    assert "succeeded" in told.stdout
    assert "echo × 4 on thread-pool" in told.stdout


def test_reducers_are_ordered_and_summed_up(stack: LocalStack) -> None:
    items = '[{"n": 1}, {"n": 5}, {"n": 3}, "x"]'
    how = ("--reduce", "best=top:/n,k=2", "--reduce", 'bins={"op":"histogram","bounds":[0,1]}')
    told = run(stack.url, "submit", "echo", "--items", "-", "--watch", *how, stdin=items)
    assert told.returncode == 0
    words = " ".join(told.stdout.split())
    assert '[{"value": 5, "index": 1}, {"value": 3, "index": 2}]; 1 skipped' in words
    assert '{"bounds": [0, 1], "counts": [0], "below": 0, "above": 0}; 4 skipped' in words


def test_a_watched_job_is_json_where_json_is_asked_for(stack: LocalStack) -> None:
    told = run(
        stack.url,
        *("submit", "sleep", "--count", "5", "--param", "seconds=0.1", "--concurrency", "10"),
        *("--shared-sum", "global", "--label", "run=7", "--watch", "--json"),
    )
    job = json.loads(told.stdout)
    assert told.returncode == 0
    assert (job["state"], job["sum"], job["shared_sum"]["observed"]) == ("succeeded", 10, [10])
    assert job["spec"]["labels"] == {"run": "7"}


def test_a_failed_job_is_exit_code_1_and_says_which_items(stack: LocalStack) -> None:
    told = process(stack.url, "submit", "fail", "--count", "2", "--watch")
    assert told.returncode == 1
    assert "item 0: failed" in told.stdout


def test_values_are_printed_a_line_each_or_refused_whole(stack: LocalStack) -> None:
    given = '[1, "é", null, {"a": [2.5]}]'
    told = run(stack.url, "submit", "echo", "--items", "-", "--watch", "--json", stdin=given)
    printed = run(stack.url, "values", json.loads(told.stdout)["id"])
    assert [json.loads(line) for line in printed.stdout.splitlines()] == json.loads(given)
    failed = run(stack.url, "submit", "fail", "--count", "2", "--watch", "--json")
    refused = run(stack.url, "values", json.loads(failed.stdout)["id"])
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "2 of 2 items have no value" in refused.stderr


def test_logs_are_printed_with_their_items(stack: LocalStack) -> None:
    ordered = ("submit", "chatty", "--count", "3")
    job_id = run(stack.url, *ordered).stdout.strip()
    run(stack.url, "watch", job_id)
    printed = run(stack.url, "logs", job_id)
    assert printed.stdout == "0: item 0\n0: \\x1b[31mred\n2: item 2\n2: \\x1b[31mred\n"
    assert run(stack.url, "logs", job_id, "--index", "2").stdout == "item 2\n\\x1b[31mred\n"
    assert run(stack.url, "logs", job_id, "--index", "1").stdout == ""
    lines = run(stack.url, "logs", job_id, "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"index": index, "log": f"item {index}\n\x1b[31mred\n"} for index in (0, 2)
    ]
    silent = run(stack.url, *ordered, "--no-logs").stdout.strip()
    run(stack.url, "watch", silent)
    assert run(stack.url, "logs", silent).stdout == ""
    assert run(stack.url, "logs", "0" * 24).returncode == 2


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_records_are_printed_a_line_each(stack: LocalStack, follow: tuple[str, ...]) -> None:
    given = '[7, "two\\nlines\\u001b[31m", null]'
    job_id = run(stack.url, "submit", "echo", "--items", "-", stdin=given).stdout.strip()
    run(stack.url, "watch", job_id)
    table = run(stack.url, "records", job_id, *follow)
    rows = [line.split("\t") for line in table.stdout.splitlines()]
    assert rows[0][:5] == ["index", "state", "value", "task", "pid"]
    assert [row[:3] for row in rows[1:]] == [
        ["0", "succeeded", "7"],
        ["1", "succeeded", '"two\\nlines\\u001b[31m"'],
        ["2", "succeeded", "null"],
    ]
    lines = run(stack.url, "records", job_id, "--json", *follow).stdout.splitlines()
    assert [json.loads(line)["value"] for line in lines] == json.loads(given)
    assert run(stack.url, "records", job_id, "--state", "failed", "--json", *follow).stdout == ""
    unknown = run(stack.url, "records", job_id, "--state", "lost", *follow)
    assert unknown.returncode == 2 and "unknown state 'lost'" in unknown.stderr
    missing = run(stack.url, "records", "0" * 24, *follow)
    assert (missing.returncode, missing.stdout) == (2, "")


@pytest.mark.parametrize(
    "command",
    ["values", "trace", "report --output -", "report --output /dev/null", "run echo --item"],
)
def test_an_output_that_cannot_be_written_is_said_in_a_line(
    stack: LocalStack, command: str
) -> None:
    with Client(stack.url) as client:
        job_id = client.run("echo", count=3, wait_s=30).id
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "batchpool", *command.split(), job_id],
            env={**os.environ, "BATCHPOOL_URL": stack.url},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    text = "error: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, text)


@pytest.mark.parametrize("source", ["--items", "--lines"])
def test_items_come_from_stdin(stack: LocalStack, source: str) -> None:
    order = ["submit", "echo", source, "-", "--watch", "--json", "--retries", '{"max": 2}']
    told = run(stack.url, *order, stdin="5\n6\n")
    assert json.loads(told.stdout)["spec"]["retries"] == 2
    assert json.loads(told.stdout)["sum"] == (11 if source == "--items" else None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("submit", "echo"), "--count"),
        (("submit", "echo", "--count", "1", "--lines", "-"), "one of"),
        (("submit", "echo", "--count", "x"), "--count"),
        (("submit", "echo", "--count", "1", "--param", "seconds"), "NAME=VALUE"),
        (("submit", "nope", "--count", "1"), "unknown task 'nope'"),
        (("submit", "echo", "--count", "0"), "count"),
        (("submit", "echo", "--count", "1", "--backend", "magic"), "magic"),
        (("submit", "echo", "--count", "1", "--retries", "some"), "retries: must be a whole"),
        (("submit", "echo", "--count", "1", "--retries", '{"max": NaN}'), "retries"),
        (("submit", "sleep", "--count", "1", "--param", "seconds=-1"), "seconds"),
        (("submit", "echo", "--count", "1", "--reduce", "x=top"), "reduce.x.k"),
        (("watch", "no-such-job"), "no-such-job"),
        (("juggle",), "juggle"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2_and_names_it(
    stack: LocalStack, arguments: tuple[str, ...], said: str
) -> None:
    told = run(stack.url, *arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr


def test_a_service_that_is_not_there_is_exit_code_3() -> None:
    told = process("http://127.0.0.1:9", "submit", "echo", "--count", "1")
    assert (told.returncode, told.stdout) == (3, "")
    assert "batchpool up" in told.stderr


def test_no_color_means_no_colour(stack: LocalStack) -> None:
    plain = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    told = run(stack.url, "submit", "fail", "--count", "1", "--watch", **plain)
    assert "\x1b[3" not in told.stdout


def test_a_task_of_ones_own_runs(stack: LocalStack) -> None:
    told = run(
        stack.url,
        *("submit", "long-words", "--lines", "-", "--param", "at_least=10", "--watch", "--json"),
        stdin="an extraordinary thing\nquite unbelievable\n",
    )
    assert json.loads(told.stdout)["sum"] == 2


def test_the_example_of_the_python_client_runs(stack: LocalStack) -> None:
    told = subprocess.run(
        [sys.executable, str(EXAMPLES / "threads_or_processes.py"), stack.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert told.returncode == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == [
        "sequential",
        "thread-pool",
        "process-pool",
    ]


def test_doctor_tells_which_redis_and_why() -> None:
    told = run("http://127.0.0.1:9", "doctor", "--json", REDIS_URL="redis://:secret@box:6379/0")
    found = json.loads(told.stdout)
    assert told.returncode == 0
    assert found["redis"] == {
        "use": "box:6379/0",
        "why": "REDIS_URL is set",
        "version": None,
        "error": None,
    }
    assert found["start_methods"] == ["fork", "spawn", "forkserver"]
    assert found["cpus"]["usable"] >= 1
    assert found["service"]["status"] is None


def test_doctor_is_readable_without_json() -> None:
    told = run("http://127.0.0.1:9", "doctor")
    assert told.returncode == 0
    for word in ("Redis", "Python", "packages", "CPUs", "start methods", "data folder"):
        assert word in told.stdout


def test_worker_is_the_worker_itself() -> None:
    told = process("", "worker", BATCHPOOL_LOG_LEVEL="loud")
    assert told.returncode == 2
    assert "BATCHPOOL_LOG_LEVEL='loud'" in told.stderr


def test_compare_prints_what_to_take_and_the_arms(stack: LocalStack) -> None:
    told = run(
        stack.url,
        *("compare", "sleep", "--count", "4", "--param", "seconds=0.03", "--rounds", "6"),
        *("--arm", "sequential", "--arm", "thread-pool:4"),
        COLUMNS="150",
    )
    assert told.returncode == 0, told.stderr
    for part in ("thread-pool 4", "sequential", "reference", "p (Holm)", "6 rounds"):
        assert part in told.stdout


def test_compare_takes_a_file_and_prints_what_was_asked_for(
    stack: LocalStack, tmp_path: Path
) -> None:
    order = {"task": "echo", "count": 4, "rounds": 7}
    (tmp_path / "order.json").write_text(json.dumps(order | {"arms": [{"backend": "?"}]}))
    arms = ("--arm", "sequential", "--arm", "thread-pool:2,dispatch=submit", "--rounds", "6")
    told = run(
        stack.url, "compare", "--file", str(tmp_path / "order.json"), *arms, "--format", "hyperfine"
    )
    assert told.returncode == 0, told.stderr
    results = json.loads(told.stdout)["results"]
    assert [len(result["times"]) for result in results] == [6, 6]


def test_a_comparison_that_cannot_be_is_refused_with_the_reason(stack: LocalStack) -> None:
    told = run(stack.url, "compare", "echo", "--count", "4", "--arm", "sequential")
    assert told.returncode == 2
    assert "must have 2 to 20" in told.stderr


SLEEPS = ("compare", "sleep", "--count", "4", "--param", "seconds=0.03", "--rounds", "8")
ARMS = ("--arm", "sequential", "--arm", "thread-pool:4")


def proven(printed: str) -> bool:
    """Whether the machine was quiet enough for a verdict."""
    return "not proven" not in printed


def test_a_condition_that_holds_is_exit_code_0_and_has_a_card(
    stack: LocalStack, tmp_path: Path
) -> None:
    holds = ("--fail-unless", "thread-pool:4 > 1.2 * sequential")
    told = run(stack.url, *SLEEPS, *ARMS, *holds, "--card", str(tmp_path / "a.svg"), COLUMNS="80")
    assert told.returncode == (0 if proven(told.stdout) else 4), told.stdout
    assert "thread-pool:4 > 1.2 * sequential: " in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    card = (tmp_path / "a.svg").read_text()
    assert "thread-pool:4 &gt; 1.2 * sequential" in card
    (listed,) = json.loads(run(stack.url, "compare", "list", "--limit", "1", "--json").stdout)
    shown = run(stack.url, "compare", "show", listed["id"], "--card", str(tmp_path / "a.json"))
    assert "thread-pool:4 > 1.2 * sequential: " in shown.stdout
    again = json.loads((tmp_path / "a.json").read_text())["command"]
    repeated = run(stack.url, *shlex.split(again)[1:], "--json")
    assert repeated.returncode in (0, 4), repeated.stderr
    spec = json.loads(repeated.stdout)["spec"]
    assert spec == listed["spec"]


@pytest.mark.full
def test_a_condition_fails_only_if_it_fails_twice(stack: LocalStack) -> None:
    fails = ("--fail-unless", "sequential > 1.2 * thread-pool:4", "--confirm")
    told = run(stack.url, *SLEEPS, *ARMS, *fails)
    assert told.returncode == (1 if proven(told.stdout) else 4), told.stdout
    twice = "failed once, measured again after" in told.stderr
    assert told.stderr.count("comparison ") == 1 + twice
    assert twice or not proven(told.stdout)


def test_a_condition_on_too_little_is_refused_or_not_proven(stack: LocalStack) -> None:
    wrong = run(stack.url, *SLEEPS, *ARMS, "--fail-unless", "threads > sequential")
    assert (wrong.returncode, "unknown arm 'threads'" in wrong.stderr) == (2, True)
    equal = ("--arm", "thread-pool:4,name=a", "--arm", "thread-pool:4,name=b")
    told = run(stack.url, *SLEEPS, *equal, "--fail-unless", "a > b")
    assert told.returncode == 4, told.stdout
    assert "not proven a > b" in told.stdout


def test_a_grid_is_every_combination(stack: LocalStack) -> None:
    axes = ("--grid", "backend=thread-pool,threading", "--grid", "concurrency=1,2")
    told = run(stack.url, *SLEEPS[:-1], "99", *axes)
    assert told.returncode == 2 and "4 arms" in told.stderr
    both = run(stack.url, *SLEEPS, *ARMS, *axes)
    assert both.returncode == 2 and "give --arm or --grid" in both.stderr


def test_a_comparison_is_cancelled_by_its_id(stack: LocalStack) -> None:
    with Client(stack.url) as client:
        arms = [{"backend": "sequential"}, {"backend": "thread-pool"}]
        found = client.comparisons.submit({"task": "sleep", "count": 9, "arms": arms})
    told = run(stack.url, "compare", "cancel", found.id)
    assert told.returncode == 0 and told.stdout.startswith(found.id)
    assert run(stack.url, "compare", "cancel", found.id).returncode == 2


def test_a_lesson_counts_what_was_lost_in_80_columns(stack: LocalStack, tmp_path: Path) -> None:
    file = tmp_path / "race.html"
    told = run(stack.url, "lesson", "race", "-o", str(file), COLUMNS="80")
    assert told.returncode == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "of 6 rounds" in words and "the exact sum is 19900" in words
    assert max(map(len, told.stdout.splitlines())) <= 80
    written = file.read_text()
    assert "what 200 additions must give" in written and "http://" not in written.replace(SVG, "")
    unknown = run(stack.url, "lesson", "gill")
    assert (unknown.returncode, "known: sequential" in unknown.stderr) == (2, True)


def test_the_client_compares_and_exports(stack: LocalStack) -> None:
    with Client(stack.url) as client:
        arms = [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}]
        found = client.compare(
            "sleep", arms, count=4, params={"seconds": 0.03}, rounds=6, timeout_s=60
        )
        # None, with a reason, on a machine that is too busy.
        assert found.succeeded and found.verdicts["thread-pool 4"] in ("faster", None)
        assert found.conclusion
        assert client.comparisons.export(found, "csv").startswith("arm,")
        assert found.id in [each.id for each in client.comparisons.list(task="sleep")]
        client.comparisons.delete(found)
        assert found.id not in [each.id for each in client.comparisons.list()]


@pytest.mark.parametrize("command", ["submit", "compare"])
def test_ctrl_c_says_how_to_go_on(stack: LocalStack, command: str) -> None:
    more = ["--watch"] if command == "submit" else ["--arm", "sequential", "--arm", "threading:2"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "batchpool",
            command,
            "sleep",
            "--count",
            "4",
            "--param",
            "seconds=30",
            "--url",
            stack.url,
            *more,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # In the background of a shell SIGINT is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    first = process.stderr.readline().split()
    kind = "job" if command == "submit" else "comparison"
    assert (first[0], len(first)) == (kind, 2)
    time.sleep(0.3)  # it has begun to follow: only then is there something to go on with
    process.send_signal(signal.SIGINT)
    _output, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert f"{kind} {first[1]} goes on." in error
    assert "Traceback" not in error
    with Client(stack.url) as client:
        if kind == "job":
            assert not client.job(first[1]).done
            client.cancel(first[1])
        else:
            assert not client.comparisons.get(first[1]).done
            client.comparisons.cancel(first[1])


def test_a_report_is_written_to_a_file_that_is_named(stack: LocalStack, tmp_path: Path) -> None:
    with Client(stack.url) as client:
        job = client.run("echo", count=3)
    path = tmp_path / "report.html"
    told = run(stack.url, "report", job.id, "-o", str(path))
    assert (told.returncode, told.stdout) == (0, f"{path.as_uri()}\n")
    assert path.read_text().startswith("<!doctype html>")
    assert "3\u00a0items" in run(stack.url, "report", job.id, "-o", "-").stdout
    unknown = run(stack.url, "report", "0" * 24, "-o", str(path))
    assert unknown.returncode == 2
    assert "no job or comparison '000000000000000000000000'" in unknown.stderr
    missing = run(stack.url, "report", job.id, "-o", str(tmp_path / "no" / "report.html"))
    assert missing.returncode == 2 and "cannot write" in missing.stderr
