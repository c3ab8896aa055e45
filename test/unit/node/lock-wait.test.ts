import { describe, expect, test } from '@jest/globals';
import { openWhenFree } from '../../../src/node/lock-wait.ts';
import { SimDisk } from '../../../src/sim/sim-disk.ts';
import { testClock, testRandom } from '../storage/test-disk.ts';

const OPTIONS = { waitMs: 1_000, retryMs: 250 };

/** A directory that another process of the same machine holds. */
async function heldDirectory() {
  const clock = testClock();
  const latency = { minMs: 0, maxMs: 0 };
  const disk = new SimDisk({ clock, random: testRandom('disk') }, { capacityBytes: 2 ** 20, syncLatency: latency, otherLatency: latency }).boot();
  await disk.makeDirectory('/data');
  const lock = await disk.lock('/data');
  const waits: string[] = [];
  const open = (): Promise<{ kind: string }> => disk.lock('/data').then(() => ({ kind: 'opened' }), () => ({ kind: 'in-use' }));
  const pass = async (ms: number): Promise<void> => {
    for (let past = 0; past < ms; past += OPTIONS.retryMs) {
      clock.advance(OPTIONS.retryMs);
      for (let i = 0; i < 100; i++) await Promise.resolve();
    }
  };
  return { lock, pass, waits, opening: openWhenFree(clock, OPTIONS, open, () => { waits.push('waits'); }) };
}

describe('a directory in use', () => {
  test('is opened when the other process lets go of it', async () => {
    const { lock, pass, waits, opening } = await heldDirectory();
    await pass(500);
    await lock.release();
    await pass(500);
    expect(await opening).toMatchObject({ kind: 'opened' });
    expect(waits).toEqual(['waits']);
  });

  test('is given up when the other process keeps it', async () => {
    const { pass, opening } = await heldDirectory();
    await pass(1_500);
    expect(await opening).toEqual({ kind: 'in-use' });
  });
});
