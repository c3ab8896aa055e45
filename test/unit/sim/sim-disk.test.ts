import { describe, expect, test } from '@jest/globals';
import type { Disk, DiskFile } from '../../../src/ports/disk.ts';
import { SimDisk } from '../../../src/sim/sim-disk.ts';
import { testClock, testRandom, testSimDisk } from '../storage/test-disk.ts';

async function fileWith(disk: Disk, path: string, text: string): Promise<DiskFile> {
  const file = await disk.open(path, 'create');
  await file.write(0, [Buffer.from(text)]);
  return file;
}

/** What is at the path after each of many crashes. */
async function afterCrashes(prepare: (disk: Disk) => Promise<void>, path: string): Promise<ReadonlySet<string | undefined>> {
  const seen = new Set<string | undefined>();
  for (let seed = 0; seed < 60; seed++) {
    const machine = testSimDisk(`crash ${seed}`);
    const disk = machine.boot();
    await disk.makeDirectory('/d');
    await prepare(disk);
    machine.crash();
    seen.add(machine.snapshot().get(path)?.toString('latin1'));
  }
  return seen;
}

describe('a crash of the simulated disk', () => {
  test('keeps what was synced with its name', async () => {
    expect(await afterCrashes(async (disk) => {
      const file = await fileWith(disk, '/d/a', 'kept');
      await file.sync();
      await disk.syncDirectory('/d');
    }, '/d/a')).toEqual(new Set(['kept']));
  });

  test('keeps or loses a name that was not synced, and the content with it', async () => {
    expect(await afterCrashes(async (disk) => { await (await fileWith(disk, '/d/a', 'kept')).sync(); }, '/d/a')).toEqual(new Set([undefined, 'kept']));
  });

  test('keeps, loses or tears what was not synced, also a later write without an earlier one', async () => {
    const a = 'a'.repeat(512);
    const seen = await afterCrashes(async (disk) => {
      const file = await disk.open('/d/a', 'create');
      await disk.syncDirectory('/d');
      await file.write(0, [Buffer.from(a)]);
      await file.write(512, [Buffer.from('b'.repeat(1024))]);
    }, '/d/a');
    expect(seen).toContain('');
    expect(seen).toContain(a);
    expect(seen).toContain(a + 'b'.repeat(1024));
    expect(seen).toContain(a + 'b'.repeat(512));
    expect(seen).toContain('\0'.repeat(512) + 'b'.repeat(1024));
  });

  test('keeps or takes back an overwrite and a rename that were not synced', async () => {
    expect(await afterCrashes(async (disk) => {
      const file = await fileWith(disk, '/d/a', 'old');
      await file.sync();
      await disk.syncDirectory('/d');
      await file.write(0, [Buffer.from('new')]);
    }, '/d/a')).toEqual(new Set(['old', 'new']));
    expect(await afterCrashes(async (disk) => {
      for (const name of ['a', 'b']) await (await fileWith(disk, `/d/${name}`, name)).sync();
      await disk.syncDirectory('/d');
      await disk.rename('/d/a', '/d/b');
    }, '/d/b')).toEqual(new Set(['a', 'b']));
  });

  test('a sync covers what was written before it began, not what came while it ran', async () => {
    const seen = new Set<string | undefined>();
    for (let seed = 0; seed < 20; seed++) {
      const clock = testClock();
      const machine = new SimDisk(
        { clock, random: testRandom(`s${seed}`) },
        { capacityBytes: 2 ** 20, syncLatency: { minMs: 5, maxMs: 5 }, otherLatency: { minMs: 0, maxMs: 0 } },
      );
      const disk = machine.boot();
      await disk.makeDirectory('/d');
      const file = await fileWith(disk, '/d/a', 'one');
      const synced = Promise.all([disk.syncDirectory('/d'), file.sync()]);
      await file.write(3, [Buffer.from('two')]);
      clock.advance(5);
      await synced;
      machine.crash();
      seen.add(machine.snapshot().get('/d/a')?.toString());
    }
    expect(seen).toEqual(new Set(['one', 'onetwo']));
  });

  test('ends the process: its calls never settle, its lock is free, its timers are gone', async () => {
    const clock = testClock();
    const latency = { minMs: 1, maxMs: 1 };
    const machine = new SimDisk({ clock, random: testRandom('1') }, { capacityBytes: 2 ** 20, syncLatency: latency, otherLatency: latency });
    const dead = machine.boot();
    const finished = async <T>(work: Promise<T>): Promise<T> => {
      clock.advance(1);
      return work;
    };
    await finished(dead.makeDirectory('/d'));
    await finished(dead.lock('/d'));
    const settled: string[] = [];
    void dead.list('/d').then(() => settled.push('under way'));
    machine.crash();
    void dead.list('/d').then(() => settled.push('later'));
    clock.advance(10);
    const disk = machine.boot();
    await finished(disk.lock('/d'));
    expect(settled).toEqual([]);
  });

  test('is the same for the same seed', async () => {
    const run = async (): Promise<string[]> => {
      const machine = testSimDisk('same');
      const disk = machine.boot();
      await disk.makeDirectory('/d');
      for (let i = 0; i < 20; i++) await fileWith(disk, `/d/${i}`, 'x'.repeat(3000));
      machine.crash();
      return [...machine.snapshot()].map(([path, bytes]) => `${path} ${bytes.toString('latin1')}`);
    };
    expect(await run()).toEqual(await run());
  });
});

describe('faults of the simulated disk', () => {
  test('come when they are due, once', async () => {
    const machine = testSimDisk('1');
    const disk = machine.boot();
    await disk.makeDirectory('/d');
    const file = await fileWith(disk, '/d/a', 'x');
    machine.failNext('sync', 'EIO', 1);
    await file.sync();
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
    await file.sync();
  });

  test('a full disk refuses to grow files, not to overwrite them', async () => {
    const machine = testSimDisk('1');
    const disk = machine.boot();
    await disk.makeDirectory('/d');
    const file = await fileWith(disk, '/d/a', 'x'.repeat(100));
    machine.setCapacity(150);
    expect(await disk.space('/d')).toEqual({ totalBytes: 150, freeBytes: 50 });
    await expect(file.write(100, [Buffer.alloc(51)])).rejects.toMatchObject({ code: 'ENOSPC' });
    await file.write(0, [Buffer.alloc(100)]);
  });

  test('a flipped bit stays', async () => {
    const machine = testSimDisk('1');
    const disk = machine.boot();
    await disk.makeDirectory('/d');
    const file = await fileWith(disk, '/d/a', 'abc');
    machine.flipBit('/d/a', 1, 0);
    expect((await file.read(0, 3)).toString()).toBe('acc');
  });
});
