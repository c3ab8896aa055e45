/**
 * A killed process leaves what it wrote in the page cache: its successor finds it, shows it to others, and has to have made it
 * durable before. So: end a life at every operation, start again, look, cut the power, and look once more.
 */
import { describe, expect, test } from '@jest/globals';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { SimDisk } from '../../../src/sim/sim-disk.ts';
import { ballot, bodyId, keyAt, liveRecord, opened } from './store-fixture.ts';
import { testClock, testRandom } from './test-disk.ts';

const KEYS = [1, 2, 3, 4, 5, 6].map((n) => keyAt(n * 1000));
const SMALL = { segmentBytes: 4096, recordCacheBytes: 0, bodyCacheBytes: 0 };
const NONE = { minMs: 0, maxMs: 0 };

function diskOf(seed: string, onOperation: (count: number) => void): SimDisk {
  return new SimDisk(
    { clock: testClock(), random: testRandom(seed), onOperation: (_operation, count) => { onOperation(count); } },
    { capacityBytes: 2 ** 30, syncLatency: NONE, otherLatency: NONE },
  );
}

/** Accepts one value after the other, each with a body of a kilobyte, so that segments turn over; ends with the disk's life. */
async function write(store: ObjectStore): Promise<void> {
  for (const [i, key] of KEYS.entries()) {
    await store.promise(key, 'n', ballot(i + 1), { bodyId: bodyId(i), bytes: Buffer.alloc(1000, i) });
    await store.accept(key, 'n', ballot(i + 1), liveRecord(ballot(i + 1), bodyId(i), 1000));
  }
}

/** What the store shows: position, promises and accepted ballots. */
const shown = (store: ObjectStore): readonly number[] =>
  [store.recoveredPosition, ...KEYS.flatMap((key) => [store.head(key)?.promised.hlc ?? 0, store.head(key)?.accepted.hlc ?? 0])];

describe('after the process was killed', () => {
  test.each(['killed', 'sync failed'])('what its successor shows survives a power failure (%s)', async (end) => {
    let operations = 0;
    const whole = diskOf('whole', (count) => { operations = count; });
    await write(await opened(whole.boot(), SMALL));
    expect(operations).toBeGreaterThan(30);
    for (let endAt = 1; endAt <= operations; endAt++) {
      const disk: SimDisk = diskOf(`${end} ${endAt}`, (count) => {
        if (count === endAt && end === 'killed') disk.kill();
        if (count === endAt && end === 'sync failed') disk.failNext('sync', 'EIO');
      });
      const life = opened(disk.boot(), SMALL).then(write).catch(() => undefined);
      const turns = async (): Promise<void> => { for (let i = 0; i < 2000; i++) await Promise.resolve(); };
      await Promise.race([life, turns()]);
      disk.kill();
      const seen = shown(await opened(disk.boot(), SMALL));
      disk.crash();
      const after = shown(await opened(disk.boot(), SMALL));
      for (const [i, value] of seen.entries()) expect({ endAt, i, isKept: (after[i] ?? 0) >= value }).toEqual({ endAt, i, isKept: true });
    }
  });
});
