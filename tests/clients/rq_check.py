"""RQ: two workers of its own, which fork for each job."""

import datetime
import os
import subprocess
import sys

import redis
import rq
from harness import PORT, URL, check, done, equal, eventually
from rq_jobs import fails_first, square

r = redis.Redis(port=PORT)
queue = rq.Queue("work", connection=r)
environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.abspath(__file__)))
workers = [subprocess.Popen([sys.executable, "-m", "rq.cli", "worker", "--url", URL, "--with-scheduler", "--quiet", "work"],
                            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
try:
    @check("workers register")
    def _():
        eventually(lambda: rq.Worker.count(connection=r) == 2)

    @check("120 jobs, each done once, with their results")
    def _():
        jobs = [queue.enqueue(square, n) for n in range(120)]
        eventually(lambda: int(r.get("rq:done") or 0) == 120 and all(j.get_status(refresh=True) == "finished" for j in jobs), 60)
        equal([rq.job.Job.fetch(j.id, connection=r).result for j in jobs], [n * n for n in range(120)])

    @check("a job that fails is tried again")
    def _():
        job = queue.enqueue(fails_first, "rq:tries", retry=rq.Retry(max=2))
        eventually(lambda: job.get_status(refresh=True) == "finished", 20)
        equal(int(r.get("rq:tries")), 2)

    @check("jobs that depend on others, and delayed ones")
    def _():
        first = queue.enqueue(square, 1000)
        second = queue.enqueue(square, 1001, depends_on=first)
        later = queue.enqueue_in(datetime.timedelta(seconds=1), square, 1002)
        eventually(lambda: all(j.get_status(refresh=True) == "finished" for j in (first, second, later)), 30)

    @check("a failed job is found in its registry")
    def _():
        job = queue.enqueue(square, "text")
        eventually(lambda: job.get_status(refresh=True) == "failed", 20)
        equal(job.id in queue.failed_job_registry.get_job_ids(), True)
finally:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
done(rq.VERSION)
