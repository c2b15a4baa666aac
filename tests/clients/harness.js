// What the clients under Node.js share; what they say to scripts/real-clients is told in README.md.
'use strict';
const assert = require('assert');
const readline = require('readline');

const port = Number(process.env.VARVE_PORT);
let failed = false;
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function check(name, run) {
  try {
    await run();
    console.log('check ' + name);
  } catch (error) {
    failed = true;
    console.log(`failed ${name} :: ${String(error.stack).split('\n').slice(0, 12).join(' | ')}`);
  }
}

async function eventually(condition, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert(Date.now() < deadline, 'it did not come to be in time');
    await sleep(20);
  }
}

// how: 'term' or 'kill'. Resolves when the server is back.
async function restartServer(how) {
  console.log('restart ' + how);
  await lines.next();
}

function versionOf(...packages) {
  return packages.map((name) => {
    const path = require('path');
    for (const place of require.resolve.paths(name)) {
      try {
        return require(path.join(place, name, 'package.json')).version;
      } catch (error) { /* the next place */ }
    }
    return '?';
  }).join(' ');
}

function done(version) {
  console.log('version ' + version);
  process.exit(failed ? 1 : 0);
}

const range = (n, from = 0) => Array.from({ length: n }, (_, i) => i + from);

// Top-level errors are failures too.
function main(run) {
  run().catch((error) => {
    console.log(`failed outside of the checks :: ${String(error.stack).split('\n').slice(0, 4).join(' | ')}`);
    process.exit(1);
  });
}

module.exports = { assert, check, done, eventually, main, port, range, restartServer, sleep, versionOf };
