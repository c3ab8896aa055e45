/** Sectors that can't be read, for ever: they cost what is in them, and neither the process nor its next start. */
import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { Disk, DiskFile } from '../../../src/ports/disk.ts';
import type { SimDisk } from '../../../src/sim/sim-disk.ts';
import type { ObjectStore, ObjectStoreOptions } from '../../../src/storage/object-store.ts';
import { ballot, bodyId, keyAt, liveRecord, opened } from './store-fixture.ts';
import { testSimDisk } from './test-disk.ts';

const SECTOR_BYTES = 512;
const SEGMENT_BYTES = 8192;
const SIZE = 400;
const OPTIONS: Partial<ObjectStoreOptions> = {
  segmentBytes: SEGMENT_BYTES, recordCacheBytes: 0, bodyCacheBytes: 0, upkeep: { checkpointBytes: 20_000, liveShareMin: 0.5, bytesPerSecond: Infinity },
};
const noPause = (): Promise<void> => Promise.resolve();
const turns = async (count: number): Promise<void> => { for (let i = 0; i < count; i++) await new Promise((resolve) => { setImmediate(resolve); }); };

function withOne<T extends object>(whole: T, name: keyof T, replacement: unknown): T {
  return new Proxy(whole, {
    get: (target, wanted) => {
      const value: unknown = wanted === name ? replacement : Reflect.get(target, wanted);
      return typeof value === 'function' ? value.bind(target) as unknown : value;
    },
  });
}

class BadSectors {
  readonly #bad = new Set<string>();
  /** Errors to come; without an end by default. */
  left = Infinity;

  spoil(path: string, position: number): void {
    this.#bad.add(`${path}:${Math.floor(position / SECTOR_BYTES)}`);
  }

  under(disk: Disk): Disk {
    const open = async (path: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile> => {
      const file = await disk.open(path, mode);
      const read = (position: number, length: number): Promise<Buffer> => {
        for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < position + length; sector++) {
          if (this.#bad.has(`${path}:${sector}`) && this.left-- > 0) return Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }));
        }
        return file.read(position, length);
      };
      return withOne(file, 'read', read);
    };
    return withOne(disk, 'open', open);
  }
}

async function put(store: ObjectStore, n: number, at = n): Promise<void> {
  const bytes = Buffer.alloc(SIZE, n & 255);
  void store.promise(keyAt(at), `name ${at}`, ballot(n), { bodyId: bodyId(n), bytes });
  const record = liveRecord(ballot(n), bodyId(n), SIZE);
  await store.accept(keyAt(at), `name ${at}`, ballot(n), { ...record, body: { ...record.body, sha256: hash('sha256', bytes, 'hex') } });
}

/** Where in which segment the bytes are. */
function placeOf(disk: SimDisk, bytes: Buffer): { readonly path: string; readonly position: number } {
  for (const [path, content] of disk.snapshot()) {
    const position = path.endsWith('.seg') ? content.indexOf(bytes) : -1;
    if (position >= 0) return { path, position };
  }
  throw new Error('the bytes are nowhere');
}

describe('a sector that can not be read', () => {
  test('in a segment that no start repeats is no matter of the start', async () => {
    const disk = testSimDisk('bad');
    const sectors = new BadSectors();
    let store = await opened(disk.boot(), OPTIONS);
    for (let n = 1; n <= 60; n++) await put(store, n);
    await turns(20);
    const { path, position } = placeOf(disk, Buffer.alloc(SIZE, 1));
    expect(position).toBeLessThan(SEGMENT_BYTES);
    await store.close();
    sectors.spoil(path, position + SECTOR_BYTES);
    store = await opened(sectors.under(disk.boot()), OPTIONS);
    expect(store.totals().objects).toBe(60);
    await put(store, 61);
    await store.close();
  });

  test('keeps its segment when that is compacted, and the process goes on', async () => {
    const disk = testSimDisk('bad');
    const sectors = new BadSectors();
    const failures: unknown[] = [];
    const damaged = new Set<ObjectKey | null>();
    const store = await opened(sectors.under(disk.boot()), OPTIONS, { onFailure: (error) => failures.push(error), onDamage: (_, key) => damaged.add(key) });
    await put(store, 1);
    const { path, position } = placeOf(disk, Buffer.alloc(SIZE, 1));
    sectors.spoil(path, position);
    for (let n = 2; n <= 600; n++) await put(store, n, 2 + n % 20);
    await turns(50);
    expect(failures).toEqual([]);
    expect([...damaged]).toEqual([keyAt(1)]);
    expect(store.upkeep().removedSegments).toBeGreaterThan(5);
    expect([...disk.snapshot().keys()]).toContain(path);
    // Read again some day, it is all there.
    sectors.left = 0;
    expect((await store.readBody(keyAt(1), bodyId(1), 0, SIZE))?.bytes).toEqual(Buffer.alloc(SIZE, 1));
    await store.close();
  });

  test.each([
    ['twice: what was in it is rotten, to be healed', Infinity, false],
    ['once: nothing is given up', 1, true],
  ])('seen by the scrub %s', async (_, errors, isSound) => {
    const disk = testSimDisk('bad');
    const sectors = new BadSectors();
    const store = await opened(sectors.under(disk.boot()), OPTIONS);
    await put(store, 7);
    const { path, position } = placeOf(disk, Buffer.alloc(SIZE, 7));
    sectors.spoil(path, position + SECTOR_BYTES / 2);
    sectors.left = errors;
    expect(await store.verify(keyAt(7), noPause)).toMatchObject({ isSound });
    expect(store.holdsBody(keyAt(7), bodyId(7))).toBe(isSound);
    await store.close();
  });
});
