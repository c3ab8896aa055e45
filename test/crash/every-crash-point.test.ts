/**
 * Every crash point of short workloads with all that a store does: promises, puts, deletes, staged and large bodies, floors,
 * release, a new layout, segments that turn over, checkpoints and compaction. After each crash, and after one more crash in the
 * middle of the recovery, the store shows exactly what it showed before the change that was cut off, or after it: nothing that
 * was acknowledged is missing, nothing appears that was never written.
 *
 * The same with errors of the disk in place of crashes. And the harness is held against itself: disks that leave out a sync
 * must be noticed.
 */
import { describe, expect, test } from '@jest/globals';
import type { Disk } from '../../src/ports/disk.ts';
import type { SimDiskOperation } from '../../src/sim/sim-disk.ts';
import { CrashRun } from './crash-run.ts';

/** Leaves out a sync that the log or its checkpoints need. */
function forgetful(what: 'sync of checkpoints' | 'sync of directories'): (disk: Disk) => Disk {
  return (disk) => ({
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      if (what !== 'sync of checkpoints' || !path.includes('.ckpt')) return file;
      return {
        read: (position, length) => file.read(position, length),
        write: (position, chunks) => file.write(position, chunks),
        writeDurably: (position, chunks) => file.write(position, chunks),
        sync: () => Promise.resolve(),
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: () => file.close(),
      };
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => (what === 'sync of directories' && path.endsWith('/log') ? Promise.resolve() : disk.syncDirectory(path)),
    space: (path) => disk.space(path),
    lock: (directory) => disk.lock(directory),
  });
}

describe('a crash', () => {
  test.each([1, 2, 3])('at any operation, and one more at any of the recovery, leaves the state before or after the change that was cut off (workload %i)', async (workload) => {
    const whole = await new CrashRun(`every ${workload}`).run();
    expect(whole.wrong).toBeNull();
    expect(whole.checkpoints).toBeGreaterThan(2);
    expect(whole.compactedSegments).toBeGreaterThan(0);
    expect(whole.removedSegments).toBeGreaterThan(0);
    expect(whole.operations).toBeGreaterThan(150);
    for (let crashAt = 1; crashAt <= whole.operations; crashAt++) {
      const outcome = await new CrashRun(`every ${workload}`, { crashAt }).run();
      expect({ crashAt, wrong: outcome.wrong }).toEqual({ crashAt, wrong: null });
    }
  }, 120_000);

  test('anywhere in long workloads does the same', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const outcome = await new CrashRun(`long ${seed}`, { steps: 150, crashAt: 100 + ((seed * 7919) % 1500) }).run();
      expect({ seed, wrong: outcome.wrong }).toEqual({ seed, wrong: null });
    }
  }, 120_000);
});

describe('an error of the disk', () => {
  const OPERATIONS: readonly SimDiskOperation[] = ['write', 'sync', 'open', 'rename', 'remove', 'sync-directory'];

  test.each(['EIO', 'ENOSPC'])('%s at any call costs no acknowledged change', async (code) => {
    for (const operation of OPERATIONS) {
      const { counts } = await new CrashRun(`errors ${operation}`).run();
      const count = counts.get(operation) ?? 0;
      expect(count).toBeGreaterThan(0);
      for (let skip = 0; skip < count; skip += Math.ceil(count / 40)) {
        const { wrong } = await new CrashRun(`errors ${operation}`, { fault: { operation, code, skip } }).run();
        expect({ operation, skip, wrong }).toEqual({ operation, skip, wrong: null });
      }
    }
  }, 120_000);
});

describe('is noticed', () => {
  test.each(['sync of checkpoints', 'sync of directories'] as const)('when the %s is left out', async (what) => {
    const options = { through: forgetful(what) };
    const { operations } = await new CrashRun('forgetful', options).run();
    let found = 0;
    for (let crashAt = 20; crashAt <= operations; crashAt++) {
      if ((await new CrashRun('forgetful', { ...options, crashAt }).run()).wrong !== null) found++;
    }
    expect(found).toBeGreaterThan(0);
  }, 120_000);
});
