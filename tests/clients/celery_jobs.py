"""The Celery application: broker in database 0, results in database 1, as its documentation has it."""

import celery
import redis
from harness import PORT, URL

app = celery.Celery("jobs", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(broker_connection_retry_on_startup=True, result_expires=600, worker_hijack_root_logger=False)


@app.task
def add(a, b):
    return a + b


@app.task(bind=True, max_retries=3)
def fails_twice(self, key):
    tries = redis.Redis(port=PORT, db=2).incr(key)
    if tries < 3:
        raise self.retry(countdown=0.2)
    return tries


@app.task
def total(numbers):
    return sum(numbers)
