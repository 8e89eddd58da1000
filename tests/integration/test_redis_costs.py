"""The counts of `benchmarks.redis_costs`, at a tiny size."""

from redis import Redis

from benchmarks.redis_costs import block_costs, job_costs, lease_costs
from benchmarks.redis_meter import Meter


def test_commands_bytes_and_syncs_of_known_work_are_counted(redis: Redis) -> None:
    meter = Meter(redis)

    def work() -> None:
        for _ in range(5):
            redis.set("name", "x" * 100)

    use = meter.measure(work)
    sent = 5 * len("*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$100\r\n\r\n" + "x" * 100)
    assert (use.commands, use.received) == (5, sent)
    assert abs(use.sent - 5 * len("+OK\r\n")) < 20
    assert use.written >= sent
    # None where there is no strace.
    assert meter.count_syncs(work) in (5, None)


def test_a_block_is_one_sync_whatever_its_size(redis: Redis) -> None:
    small, large = block_costs(redis, 10, 4), block_costs(redis, 100, 4)
    assert (small.syncs, large.syncs) in ((0.1, 0.01), (None, None))
    assert small.use.commands == 10 * large.use.commands


def test_what_a_call_about_a_job_costs_grows_with_its_batches(redis: Redis) -> None:
    _, few, many = (job_costs(redis, batches) for batches in (1, 10, 110))
    for call, per_batch in (("create", 2), ("read", 2), ("listed", 1), ("last_end", 6)):
        grown = getattr(many, call).commands - getattr(few, call).commands
        assert grown == 100 * per_batch, call
    assert many.claim_and_end.commands < few.claim_and_end.commands + 1


def test_a_simulated_worker_renews_its_lease_and_flushes(redis_url: str) -> None:
    costs, _ = lease_costs(redis_url, 2, records=1, beats=5)
    flushed, renewed = 10 * 11, 2 * 6
    assert costs.use.commands >= flushed + renewed
