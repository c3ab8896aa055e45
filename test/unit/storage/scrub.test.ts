import { expect, test } from '@jest/globals';
import type { Timer } from '../../../src/ports/clock.ts';
import { Scrub } from '../../../src/storage/scrub.ts';
import { keyAt } from './store-fixture.ts';
import { testClock, testSimDisk } from './test-disk.ts';

const DAY_MS = 24 * 3600 * 1000;
const PASS_MS = 14 * DAY_MS;

test.each([
  ['one object, all of it name and meta', 1, 0, 3305],
  ['one empty object', 1, 0, 200],
  ['two objects', 2, 1_000_000, 500_000],
])('a pause is never longer than a pass: %s', async (_, registers, bodyBytes, bytes) => {
  const clock = testClock();
  const pauses: number[] = [];
  const after = (delayMs: number, fn: () => void): Timer => {
    pauses.push(delayMs);
    return clock.after(delayMs, fn);
  };
  const scrub = new Scrub({
    disk: testSimDisk('1').boot(), clock: { wallNow: () => clock.wallNow(), monotonicNow: () => clock.monotonicNow(), after }, next: () => keyAt(1),
    verify: () => Promise.resolve({ bytes, isSound: true }), totals: () => ({ registers, bodyBytes }), onVerified: () => undefined, onRot: () => undefined,
  }, { directory: '/data', passMs: PASS_MS, pieceMs: 1000, noteMs: DAY_MS });
  scrub.start();
  while (pauses.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(pauses[0]).toBeGreaterThan(PASS_MS / registers / 100);
  expect(pauses[0]).toBeLessThanOrEqual(PASS_MS);
  await scrub.stop();
});
