"""Whether the Redis that the user has named answers: asked before anything is started, and said in one line."""

from __future__ import annotations

from urllib.parse import urlsplit

from launch.problems import StartError

ANSWER_SECONDS = 5.0
REMEDY = "Correct PORTAL_REDIS_URL, or leave it out: then a Redis of our own is started."


def check_redis(url: str) -> None:
    """Raises `StartError`. The address may hold a password, so of it only host and port are shown."""
    import redis  # not before `make run` has installed it

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS) as client:
            client.ping()
    except ValueError as error:
        raise StartError(f"PORTAL_REDIS_URL must look like redis://127.0.0.1:6379/0. {REMEDY}") from error
    except redis.AuthenticationError as error:
        raise StartError(f"The Redis at {_place(url)} does not take the password. {REMEDY}") from error
    except (redis.RedisError, OSError) as error:
        raise StartError(f"No Redis answers at {_place(url)}. {REMEDY}") from error


def _place(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or urlsplit(url).path
