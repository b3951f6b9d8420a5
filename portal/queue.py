"""The doorbell: tells a worker that a merchant has something due. It may be lost; the database is the truth.

Ringing never fails and never waits long: a Redis that is down or stalled costs one short time-out every few seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)

DELIVERIES = "deliveries"
CARDS = "cards"
PUSHES = "pushes"
PROFILES = "profiles"
UPKEEP = "upkeep"
CAMPAIGNS = "campaigns"
IMPORTS = "imports"
# Somebody waits for what is on the first three; the others come after them, but never after all of it.
PROMPT = (DELIVERIES, PUSHES, CARDS)
PATIENT = (PROFILES, UPKEEP, CAMPAIGNS, IMPORTS)
# Workers drain every queue named here.
QUEUES = PROMPT + PATIENT

DRAIN = "portal.jobs.deliveries.drain"
PUBLISH = "portal.jobs.cards.publish"
SEND = "portal.jobs.pushes.send"
SYNC = "portal.jobs.profiles.sync"
DRIFT = "portal.jobs.drift.check"
REVOKE = "portal.jobs.tokens.revoke"
CHECK = "portal.jobs.checks.check"
REVIEW = "portal.jobs.reviews.review"
ERASE = "portal.jobs.erasures.pass_on"
EXAMPLES = "portal.jobs.examples.send"
CAMPAIGN = "portal.jobs.campaigns.advance"
IMPORT = "portal.jobs.imports.advance"

# A queue that is rung for has one job: a turn for one merchant.
BELLS = {DELIVERIES: DRAIN, CARDS: PUBLISH, PUSHES: SEND, PROFILES: SYNC}

TIMEOUT_SECONDS = 0.25
SILENCE_SECONDS = 5.0
# A ring counts as answered after this long, whatever became of its job.
RING_MS = 5_000
JOB_TIMEOUT_SECONDS = 120

# After so much of a worker's time for the prompt queues a patient one comes first, once.
PATIENCE_SECONDS = 10.0

_silent_until = 0.0
_client: Redis | None = None


def use_redis(redis_url: str) -> None:
    """Name the Redis of this process (called once, by `create_app`)."""
    global _client, _silent_until
    _client, _silent_until = impatient(redis_url), 0.0


def impatient(redis_url: str) -> Redis:
    """A client that gives up after a quarter of a second and never retries: for requests and for pacing."""
    return Redis.from_url(
        redis_url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def patient(redis_url: str) -> Redis:
    """A client for a worker, which blocks on its queue for minutes."""
    return Redis.from_url(redis_url, socket_connect_timeout=5, health_check_interval=30)


def queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def ring(merchant_id: int, bell: str = DELIVERIES) -> bool:
    """Ask for a turn of this merchant's, unless one is already asked for. False when Redis could not be told."""
    return _tell(lambda redis: _ring(redis, merchant_id, bell))


def answer(merchant_id: int, bell: str = DELIVERIES) -> None:
    """A turn begins: what is committed from here on needs a ring of its own."""
    _tell(lambda redis: redis.delete(_ring_key(merchant_id, bell)))


def enqueue(queue_name: str, job: str, *ids: int) -> bool:
    """Put a job on a queue; ids only. False when Redis could not be told."""
    return _tell(lambda redis: _enqueue(redis, queue_name, job, *ids))


def _ring_key(merchant_id: int, bell: str) -> str:
    return f"portal:ring:{bell}:{merchant_id}"


def _ring(redis: Redis, merchant_id: int, bell: str) -> None:
    if redis.set(_ring_key(merchant_id, bell), "1", nx=True, px=RING_MS):
        _enqueue(redis, bell, BELLS[bell], merchant_id)


def _enqueue(redis: Redis, queue_name: str, job: str, *ids: int) -> None:
    queue(queue_name, redis).enqueue(job, *ids, result_ttl=0, failure_ttl=3600, job_timeout=JOB_TIMEOUT_SECONDS)


class Shares:
    """In which order one worker asks its queues: the prompt ones in turn, the patient ones after them, but not after all of it.

    In a fixed order a queue that never runs dry keeps those behind it waiting: pushes that keep coming, the cards that show them.
    """

    def __init__(self) -> None:
        self._prompt, self._patient = list(PROMPT), list(PATIENT)
        self._waited = 0.0

    def note(self, name: str, seconds: float) -> None:
        """A job of this queue's has just taken so long."""
        among = self._prompt if name in PROMPT else self._patient
        among.remove(name)
        among.append(name)
        self._waited = self._waited + seconds if name in PROMPT else 0.0

    def order(self) -> list[str]:
        if self._waited < PATIENCE_SECONDS:
            return self._prompt + self._patient
        return self._patient + self._prompt


def client() -> Redis:
    """This process's impatient client."""
    if _client is None:
        raise RuntimeError("queue.use_redis() has not been called")
    return _client


def _tell(message: Callable[[Redis], object]) -> bool:
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    if _silent_until:  # it was away: one thread finds out whether it is back, and the others do not wait with it
        _silent_until = time.monotonic() + SILENCE_SECONDS
    try:
        message(client())
    except (RedisError, OSError) as error:
        _silent_until = time.monotonic() + SILENCE_SECONDS
        log.warning("redis unreachable", extra={"error": type(error).__name__})
        return False
    _silent_until = 0.0
    return True
