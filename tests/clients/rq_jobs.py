"""What the workers of rq_check.py run: a module that both sides can import."""

import redis
from harness import PORT


def square(n):
    redis.Redis(port=PORT).incr("rq:done")
    return n * n


def fails_first(key):
    if redis.Redis(port=PORT).incr(key) == 1:
        raise RuntimeError("the first try fails, as it should")
    return "second try"
