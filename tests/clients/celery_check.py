"""Celery over kombu's Redis transport, with a worker of two processes."""

import os
import subprocess
import sys
import time

import celery
from celery_jobs import add, app, fails_twice, total
from harness import check, done, equal

here = os.path.dirname(os.path.abspath(__file__))
worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "celery_jobs", "worker", "--concurrency", "2", "--loglevel", "ERROR"],
                          cwd=os.environ["VARVE_SCRATCH"], env=dict(os.environ, PYTHONPATH=here, C_FORCE_ROOT="1"),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    @check("a worker answers a broadcast")
    def _():
        deadline = time.monotonic() + 30
        while not app.control.ping(timeout=1):
            assert time.monotonic() < deadline, "no worker"

    @check("200 jobs with their results")
    def _():
        results = [add.delay(n, n) for n in range(200)]
        equal([r.get(timeout=60) for r in results], [2 * n for n in range(200)])

    @check("retries and delayed jobs")
    def _():
        later, retried = add.apply_async((1, 2), countdown=1), fails_twice.delay("tries")
        equal([retried.get(timeout=30), later.get(timeout=30)], [3, 3])

    @check("groups, chains and chords")
    def _():
        equal(celery.group(add.s(n, 1) for n in range(20))().get(timeout=30), list(range(1, 21)))
        equal(celery.chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=30), 10)
        equal(celery.chord((add.s(n, n) for n in range(30)), total.s())().get(timeout=30), 870)

    @check("a revoked job does not run")
    def _():
        result = add.apply_async((1, 1), countdown=2)
        result.revoke()
        try:
            result.get(timeout=20)
            raise AssertionError("it ran")
        except celery.exceptions.TaskRevokedError:
            pass
finally:
    worker.terminate()
    try:
        worker.wait(20)
    except subprocess.TimeoutExpired:
        worker.kill()
done(celery.__version__)
