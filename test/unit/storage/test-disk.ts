/** A seeded Random, a clock that stands still and a simulated disk without delays, for tests of what uses a Disk. */
import { createHash } from 'node:crypto';
import type { MonotonicMs, WallMs } from '../../../src/domain/instant.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import type { Random } from '../../../src/ports/random.ts';
import { SimDisk, type SimDiskOperation } from '../../../src/sim/sim-disk.ts';

/** mulberry32. */
export function testRandom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32BE(0);
  const float = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(float() * bound);
  return {
    float,
    below,
    hex: (byteCount) => Array.from({ length: byteCount }, () => below(256).toString(16).padStart(2, '0')).join(''),
    fork: (label) => testRandom(`${seed}/${label}`),
  };
}

export interface TestClock extends Clock {
  /** Moves time on and runs what is due, in order. */
  advance(ms: number): void;
}

export function testClock(): TestClock {
  let now = 0;
  let due: { at: number; fn: () => void }[] = [];
  return {
    monotonicNow: () => now as MonotonicMs,
    wallNow: () => (1_700_000_000_000 + now) as WallMs,
    after: (delayMs, fn) => {
      const entry = { at: now + delayMs, fn };
      due.push(entry);
      return { cancel: () => { due = due.filter((other) => other !== entry); } };
    },
    advance: (ms) => {
      now += ms;
      const ready = due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
      due = due.filter(({ at }) => at > now);
      for (const { fn } of ready) fn();
    },
  };
}

export function testSimDisk(seed: string, onOperation?: (operation: SimDiskOperation, count: number) => void): SimDisk {
  const none = { minMs: 0, maxMs: 0 };
  return new SimDisk(
    { clock: testClock(), random: testRandom(seed), ...(onOperation === undefined ? {} : { onOperation }) },
    { capacityBytes: 2 ** 30, syncLatency: none, otherLatency: none },
  );
}
