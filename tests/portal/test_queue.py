"""The doorbell: rings once while nobody has answered, and costs next to nothing when Redis is away."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from portal import queue
from tests.conftest import unavailable
from tests.servers import RedisServer


@pytest.fixture(params=["embedded", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """The embedded server, and Redis itself."""
    program = None
    if request.param == "redis-server" and (program := shutil.which("redis-server")) is None:
        unavailable("redis-server")
    running = RedisServer(tmp_path, program).start()
    yield running
    running.stop()


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    queue.use_redis(server.url)
    with Redis.from_url(server.url) as client:
        yield client
    queue.client().close()


def _jobs(redis: Redis) -> list[tuple[str, tuple[int, ...]]]:
    jobs = queue.queue(queue.DELIVERIES, redis).jobs
    return [(str(job.func_name), tuple(job.args)) for job in jobs]


def test_one_ring_is_one_job_however_often_it_is_rung(redis: Redis) -> None:
    assert all(queue.ring(7) for _ in range(20))
    assert _jobs(redis) == [(queue.DRAIN, (7,))]


def test_each_merchant_has_a_bell_of_its_own(redis: Redis) -> None:
    for merchant_id in (1, 2, 3):
        queue.ring(merchant_id)
    assert sorted(args for _, args in _jobs(redis)) == [(1,), (2,), (3,)]


def test_each_kind_of_work_has_a_bell_of_its_own(redis: Redis) -> None:
    queue.ring(7)
    queue.ring(7, queue.PROFILES)
    queue.answer(7)
    assert queue.ring(7, queue.PROFILES)
    (job,) = queue.queue(queue.PROFILES, redis).jobs
    assert (job.func_name, tuple(job.args)) == (queue.SYNC, (7,))


def test_a_ring_after_the_answer_is_heard(redis: Redis) -> None:
    queue.ring(7)
    queue.answer(7)
    queue.ring(7)
    assert len(_jobs(redis)) == 2


def test_a_ring_whose_job_was_lost_can_be_repeated_after_a_while(redis: Redis) -> None:
    queue.ring(7)
    redis.delete(f"rq:queue:{queue.DELIVERIES}")
    left = redis.pttl(queue._ring_key(7, queue.DELIVERIES))
    assert 0 < left <= queue.RING_MS
    redis.delete(queue._ring_key(7, queue.DELIVERIES))  # as it does by itself then
    queue.ring(7)
    assert len(_jobs(redis)) == 1


def test_only_ids_and_a_name_are_on_the_wire(redis: Redis) -> None:
    queue.enqueue(queue.UPKEEP, queue.REVOKE, 42)
    (job,) = queue.queue(queue.UPKEEP, redis).jobs
    assert JSONSerializer.loads(job.data) == [queue.REVOKE, None, [42], {}]


def test_a_worker_takes_what_was_put_there(redis: Redis) -> None:
    queue.enqueue(queue.UPKEEP, "builtins.abs", 42)
    queues = [queue.queue(each, redis) for each in queue.QUEUES]
    SimpleWorker(queues, connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="WARNING")
    assert not queue.queue(queue.UPKEEP, redis).jobs
    assert not list(redis.scan_iter("rq:job:*")), "a finished job leaves nothing behind"


def test_each_of_what_cannot_wait_has_its_turn_and_the_rest_after_it() -> None:
    shares = queue.Shares()
    assert shares.order() == list(queue.QUEUES)
    shares.note(queue.PUSHES, 0.1)
    shares.note(queue.CARDS, 4.0)
    assert shares.order() == [queue.DELIVERIES, queue.PUSHES, queue.CARDS, *queue.PATIENT]
    shares.note(queue.PROFILES, 20.0)
    assert shares.order()[:3] == [queue.DELIVERIES, queue.PUSHES, queue.CARDS]
    assert shares.order()[-1] == queue.PROFILES


def test_each_of_them_has_turns_when_all_are_always_due() -> None:
    shares, turns = queue.Shares(), Counter[str]()
    for _ in range(500):
        name = shares.order()[0]
        turns[name] += 1
        shares.note(name, 2.0)
    assert set(turns) == set(queue.QUEUES)
    assert min(turns[name] for name in queue.PROMPT) > 2 * max(turns[name] for name in queue.PATIENT)


@pytest.mark.parametrize("trouble", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "stalled"])
def test_without_redis_a_ring_says_no_and_does_not_ask_again_for_a_while(
    server: RedisServer, redis: Redis, trouble: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.send(trouble)
    assert not queue.ring(7)
    asked: list[int] = []
    monkeypatch.setattr(queue, "_ring", lambda _redis, merchant_id, _bell: asked.append(merchant_id))
    assert not queue.ring(7)
    assert asked == []


def test_redis_that_is_back_is_rung_again(server: RedisServer, redis: Redis) -> None:
    server.send(signal.SIGSTOP)
    assert not queue.ring(7)
    server.send(signal.SIGCONT)
    queue._silent_until -= queue.SILENCE_SECONDS
    assert queue.ring(8)
    assert (queue.DRAIN, (8,)) in _jobs(redis)


def test_a_client_before_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_client", None)
    with pytest.raises(RuntimeError, match="use_redis"):
        queue.client()
