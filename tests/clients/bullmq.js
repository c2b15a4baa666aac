// BullMQ: queues made of large Lua scripts, blocking reads and streams of events, with workers in this process.
'use strict';
const { assert, check, done, eventually, main, port, range, versionOf } = require('./harness');
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };

main(async () => {
  const queue = new Queue('work', { connection });
  const events = new QueueEvents('work', { connection });
  const seen = new Map();
  const completed = new Set();
  events.on('completed', ({ jobId }) => completed.add(jobId));
  await events.waitUntilReady();
  const work = async (job) => {
    seen.set(job.id, (seen.get(job.id) || 0) + 1);
    if (job.name === 'flaky' && job.attemptsMade < 2) throw new Error('not yet');
    if (job.name === 'sum') return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
    await job.updateProgress(50);
    return job.data.n * 2;
  };
  const workers = range(2).map(() => new Worker('work', work, { connection, concurrency: 20 }));
  await Promise.all(workers.map((w) => w.waitUntilReady()));

  await check('400 jobs, each done once, with their results', async () => {
    const jobs = await queue.addBulk(range(400).map((n) => ({ name: 'double', data: { n } })));
    await eventually(async () => (await queue.getCompletedCount()) === 400, 40);
    await eventually(() => completed.size === 400);
    assert(jobs.every((job) => seen.get(job.id) === 1));
    assert.equal((await queue.getJob(jobs[123].id)).returnvalue, 246);
  });

  await check('delayed jobs and priorities', async () => {
    const start = Date.now();
    const job = await queue.add('double', { n: 5 }, { delay: 700 });
    assert.equal(await job.getState(), 'delayed');
    assert.equal(await job.waitUntilFinished(events, 15000), 10);
    assert(Date.now() - start >= 700);
    const urgent = await queue.add('double', { n: 6 }, { priority: 1 });
    assert.equal(await urgent.waitUntilFinished(events, 15000), 12);
  });

  await check('30 jobs that fail twice are tried three times', async () => {
    const jobs = await queue.addBulk(range(30).map((n) => ({ name: 'flaky', data: { n }, opts: { attempts: 3, backoff: { type: 'fixed', delay: 50 } } })));
    await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20000)));
    assert(jobs.every((job) => seen.get(job.id) === 3));
  });

  await check('a job that always fails ends among the failed', async () => {
    const job = await queue.add('flaky', { n: 1 }, { attempts: 1 });
    await assert.rejects(job.waitUntilFinished(events, 15000), /not yet/);
    assert.equal(await queue.getFailedCount(), 1);
  });

  await check('a flow: the parent runs after its 20 children', async () => {
    const flow = new FlowProducer({ connection });
    const tree = await flow.add({ name: 'sum', queueName: 'work', data: {}, children: range(20).map((n) => ({ name: 'double', queueName: 'work', data: { n } })) });
    assert.equal(await tree.job.waitUntilFinished(events, 20000), 380);
    await flow.close();
  });

  await check('repeated jobs, pause and resume, obliterate', async () => {
    await queue.upsertJobScheduler('tick', { every: 200 }, { name: 'double', data: { n: 1 } });
    const before = await queue.getCompletedCount();
    await eventually(async () => (await queue.getCompletedCount()) >= before + 3);
    await queue.removeJobScheduler('tick');
    await queue.pause();
    const job = await queue.add('double', { n: 9 });
    assert.equal(await queue.isPaused(), true);
    await queue.resume();
    assert.equal(await job.waitUntilFinished(events, 15000), 18);
    await Promise.all(workers.map((w) => w.close()));
    await queue.obliterate({ force: true });
    assert.equal(await queue.count(), 0);
  });

  done(versionOf('bullmq'));
});
