import { describe, expect, test } from '@jest/globals';
import { SimDisk } from '../../../src/sim/sim-disk.ts';
import { DiskWatch } from '../../../src/storage/disk-watch.ts';
import { testClock, testRandom, type TestClock } from './test-disk.ts';

const OPTIONS = { slowMs: 1_000, calmMs: 10_000, stuckMs: 10_000, lookMs: 250, probeMs: 5_000 };

interface Watched {
  readonly clock: TestClock;
  readonly latency: { minMs: number; maxMs: number };
  readonly watch: DiskWatch;
  readonly failures: unknown[];
  readonly syncs: number[];
  pass(ms: number): Promise<void>;
}

async function watched(): Promise<Watched> {
  const clock = testClock();
  const latency = { minMs: 0, maxMs: 0 };
  const disk = new SimDisk({ clock, random: testRandom('disk') }, { capacityBytes: 2 ** 20, syncLatency: latency, otherLatency: { minMs: 0, maxMs: 0 } });
  const door = disk.boot();
  await door.makeDirectory('/data');
  const failures: unknown[] = [];
  const syncs: number[] = [];
  const watch = new DiskWatch({ disk: door, clock, onSync: (ms) => { syncs.push(ms); }, onFailure: (error) => { failures.push(error); } }, OPTIONS);
  const pass = async (ms: number): Promise<void> => {
    for (let past = 0; past < ms; past += OPTIONS.lookMs) {
      clock.advance(OPTIONS.lookMs);
      for (let i = 0; i < 20; i++) await Promise.resolve();
    }
  };
  return { clock, latency, watch, failures, syncs, pass };
}

describe('the watch of a disk', () => {
  test('calls it slow while and after a sync takes more than a second, and then ok again', async () => {
    const { watch, latency, pass, failures, syncs } = await watched();
    const file = await watch.disk.open('/data/file', 'create');
    await file.sync();
    expect(watch.isSlow).toBe(false);
    Object.assign(latency, { minMs: 3_000, maxMs: 3_000 });
    const syncing = file.sync();
    await pass(1_500);
    expect(watch.isSlow).toBe(true);
    await pass(2_000);
    await syncing;
    Object.assign(latency, { minMs: 0, maxMs: 0 });
    await pass(9_000);
    expect(watch.isSlow).toBe(true);
    await pass(2_000);
    expect(watch.isSlow).toBe(false);
    expect(failures).toEqual([]);
    expect(syncs).toEqual([0, 3_000]);
    await watch.stop();
  });

  test('gives a sync up that takes more than ten seconds, once', async () => {
    const { watch, latency, pass, failures } = await watched();
    const file = await watch.disk.open('/data/file', 'create');
    Object.assign(latency, { minMs: 60_000, maxMs: 60_000 });
    void file.writeDurably(0, [Buffer.from('x')]);
    await pass(10_000);
    expect(failures).toEqual([]);
    await pass(1_000);
    expect(failures.map(String)).toEqual(['Error: the disk has not answered a sync for 10 s']);
    await pass(30_000);
    expect(failures.length).toBe(1);
  });

  test('a process that stood still accuses nobody', async () => {
    const { watch, latency, pass, clock, failures } = await watched();
    const file = await watch.disk.open('/data/file', 'create');
    Object.assign(latency, { minMs: 32_000, maxMs: 32_000 });
    void file.sync();
    const before = clock.monotonicNow;
    clock.monotonicNow = () => (before() + 25_000) as ReturnType<typeof before>;
    await pass(500);
    expect(failures).toEqual([]);
  });

  test('tries a disk that nobody uses', async () => {
    const { watch, latency, pass, failures, syncs } = await watched();
    watch.probeIn('/data');
    await pass(5_500);
    expect(syncs.length).toBe(1);
    Object.assign(latency, { minMs: 60_000, maxMs: 60_000 });
    await pass(20_000);
    expect(failures.length).toBe(1);
  });
});
