'use strict';
// Runs named checks one after the other and says how many held.

const assert = require('node:assert/strict');

const checks = [];

/** Registers a check; `body` throws or rejects when it does not hold. */
function check(name, body) {
  checks.push({ name, body });
}

/** Runs all checks; resolves to the number that failed. */
async function runChecks(prefix) {
  let failed = 0;
  for (const { name, body } of checks) {
    try {
      await body();
      console.log(`${prefix} ok      ${name}`);
    } catch (error) {
      failed++;
      console.log(`${prefix} FAILED  ${name}: ${error.stack}`);
    }
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed;
}

/** Asks again until `condition` holds; fails after 10 s with what was waited for. */
async function until(what, condition) {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `waited 10 s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

module.exports = { check, runChecks, until };
