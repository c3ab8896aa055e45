/** The store that processes are killed over: small sizes on the real disk. */
import { performance } from 'node:perf_hooks';
import type { MonotonicMs, WallMs } from '../../src/domain/instant.ts';
import { NodeDisk } from '../../src/runtime/node-disk.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { opened } from '../unit/storage/store-fixture.ts';

export const KILL_KEYS = 300;

export function killBody(n: number): Buffer {
  return Buffer.alloc(100 + (n % 900), n & 255);
}

export function openKillStore(directory: string): Promise<ObjectStore> {
  return opened(new NodeDisk(), {
    directory, segmentBytes: 64 * 1024, upkeep: { checkpointBytes: 100_000, liveShareMin: 0.5, bytesPerSecond: 2 ** 30 }, recordCacheBytes: 0, bodyCacheBytes: 0,
  }, {
    onFailure: (error) => { throw error as Error; }, onDamage: (detail) => { throw new Error(detail); },
    clock: {
      monotonicNow: () => performance.now() as MonotonicMs, wallNow: () => Date.now() as WallMs,
      after: (delayMs, fn) => {
        const timer = setTimeout(fn, delayMs);
        return { cancel: () => { clearTimeout(timer); } };
      },
    },
  });
}
