/**
 * Crashes at every point of short workloads and at random points of long ones, against a model: whatever was promised is
 * there after recovery, and a crash alone is never taken for damage. Then rot: a bit flipped in acknowledged bytes is reported
 * or cut off with the last batch, and never served.
 */
import { describe, expect, test } from '@jest/globals';
import { compareBallots, ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import type { Random } from '../../../src/ports/random.ts';
import { SimDisk } from '../../../src/sim/sim-disk.ts';
import { BATCH_HEADER_BYTES, recordCrc, SEGMENT_HEADER_BYTES } from '../../../src/storage/log-format.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { arc, ballot, bodyId, DIRECTORY, keyAt, liveRecord, node, opened, openStore, tombstone } from './store-fixture.ts';
import { testClock, testRandom } from './test-disk.ts';
import { silentLog } from '../../support/silent-log.ts';

const SMALL = { segmentBytes: 4096, recordCacheBytes: 0, bodyCacheBytes: 0, upkeep: { checkpointBytes: 5000, liveShareMin: 0.5, bytesPerSecond: Infinity } };

interface RegisterModel {
  promised: Ballot;
  accepted: Ballot;
  bodyId: BodyId | null;
}

/** What the store has to hold at least: updated only when a change's promise resolved. */
class Model {
  readonly registers = new Map<ObjectKey, RegisterModel>();
  readonly staged = new Map<ObjectKey, Set<BodyId>>();
  remembered = 0;
  floor = ZERO_BALLOT;
  position = 0;
  boots = 0;

  register(key: ObjectKey): RegisterModel {
    const register = this.registers.get(key) ?? { promised: ZERO_BALLOT, accepted: ZERO_BALLOT, bodyId: null };
    this.registers.set(key, register);
    return register;
  }
}

const bodyOf = (n: number): Buffer => Buffer.alloc(1 + ((n * 977) % 3000), n & 255);
const keyOf = (n: number): ObjectKey => keyAt((n * 0x100000001) % 2 ** 48, n);

/** One step of a workload: starts changes of different keys at once and waits for them. */
async function step(store: ObjectStore, model: Model, n: number, random: Random): Promise<void> {
  const changes = Array.from({ length: 1 + random.below(3) }, async (_, i) => {
    const id = n * 10 + i;
    const key = keyOf(random.below(4) * 3 + i);
    const version = ballot(id);
    const register = model.register(key);
    switch (random.below(6)) {
      case 0:
        await store.promise(key, 'n', version, null);
        break;
      case 1:
        await store.raiseFloor(arc(0, 0), version);
        model.floor = version;
        return;
      case 2:
        store.remember(node(2), id, id);
        await store.accept(key, 'n', version, tombstone(version));
        model.remembered = Math.max(model.remembered, id);
        if (compareBallots(version, register.accepted) > 0) Object.assign(register, { accepted: version, bodyId: null });
        break;
      default: {
        const bytes = bodyOf(id);
        await store.promise(key, 'n', version, { bodyId: bodyId(id), bytes });
        await store.accept(key, 'n', version, liveRecord(version, bodyId(id), bytes.length));
        if (compareBallots(version, register.accepted) > 0) Object.assign(register, { accepted: version, bodyId: bodyId(id) });
      }
    }
    if (compareBallots(version, register.promised) > 0) register.promised = version;
  });
  await Promise.all(changes);
  model.position = Math.max(model.position, store.durablePosition());
}

/** Everything the model knows is in the store. Later, unacknowledged changes may be there too. */
async function check(store: ObjectStore, model: Model): Promise<void> {
  expect(store.recoveredPosition).toBeGreaterThanOrEqual(model.position);
  expect(store.incarnation).toBeGreaterThan(model.boots);
  model.boots = store.incarnation;
  for (const [key, wanted] of model.registers) {
    const head = store.head(key);
    expect(compareBallots(head?.promised ?? ZERO_BALLOT, wanted.promised)).toBeGreaterThanOrEqual(0);
    expect(compareBallots(head?.accepted ?? ZERO_BALLOT, wanted.accepted)).toBeGreaterThanOrEqual(0);
    if (head === null || head.kind === 'none') continue;
    const loaded = await store.load(key, head);
    expect(loaded?.record.version).toEqual(head.accepted);
    if (head.bodyId !== null) {
      const read = await store.readBody(key, head.bodyId, 0, 1e6);
      expect(read?.bytes.equals(bodyOf(Number(`0x${head.bodyId}`)))).toBe(true);
    }
  }
  expect(compareBallots(store.floor(keyOf(0)), model.floor)).toBeGreaterThanOrEqual(0);
  expect(store.remembered(node(2))?.boot ?? 0).toBeGreaterThanOrEqual(model.remembered);
}

function simDisk(seed: string, onOperation?: (count: number) => void): SimDisk {
  const none = { minMs: 0, maxMs: 0 };
  return new SimDisk(
    { clock: testClock(), random: testRandom(seed), onOperation: (_operation, count) => onOperation?.(count) },
    { capacityBytes: 2 ** 30, syncLatency: none, otherLatency: none },
  );
}

/** Runs the workload until it ends or the machine crashes (then its promises never settle). */
async function runLife(disk: SimDisk, model: Model, random: Random, firstStep: number, steps: number, hasCrashed: () => boolean): Promise<void> {
  let isOver = false;
  const life = (async () => {
    const store = await opened(disk.boot(), SMALL);
    await check(store, model);
    for (let n = firstStep; n < firstStep + steps; n++) await step(store, model, n, random);
  })().finally(() => { isOver = true; });
  while (!isOver && !hasCrashed()) await new Promise((resolve) => setImmediate(resolve));
  if (isOver) await life;
}

/** Crashes before operation `crashAt`; the number of operations that the undisturbed run takes is returned by `Infinity`. */
async function crashRun(seed: string, crashAt: number, steps: number): Promise<number> {
  let operations = 0;
  let hasCrashed = false;
  const disk = simDisk(seed, (count) => {
    operations = count;
    if (count !== crashAt) return;
    hasCrashed = true;
    disk.crash();
  });
  const model = new Model();
  await runLife(disk, model, testRandom(`${seed} workload`), 1, steps, () => hasCrashed);
  if (crashAt === Infinity) return operations;
  hasCrashed = false;
  await runLife(disk, model, testRandom(`${seed} second`), 1000, 2, () => false);
  await runLife(disk, model, testRandom(`${seed} third`), 2000, 0, () => false);
  return operations;
}

describe('crashes', () => {
  test.each([1, 2, 3, 4])('at every operation of a short workload nothing promised is lost (workload %i)', async (workload) => {
    const operations = await crashRun(`short ${workload}`, Infinity, 8);
    expect(operations).toBeGreaterThan(20);
    for (let crashAt = 1; crashAt <= operations; crashAt++) await crashRun(`short ${workload}`, crashAt, 8);
  });

  test('life after life of long workloads nothing promised is lost', async () => {
    for (let seed = 0; seed < 20; seed++) {
      let crashAt = Infinity;
      let hasCrashed = false;
      const disk = simDisk(`long ${seed}`, (count) => {
        if (count < crashAt) return;
        crashAt = Infinity;
        hasCrashed = true;
        disk.crash();
      });
      let operations = 0;
      const random = testRandom(`long ${seed} workload`);
      const model = new Model();
      for (let life = 0; life < 12; life++) {
        hasCrashed = false;
        operations += 200;
        crashAt = random.below(2) === 0 ? operations + random.below(150) : Infinity;
        await runLife(disk, model, random, life * 1000, 25, () => hasCrashed);
      }
    }
  });

  test('torn writes do occur and are cut off', async () => {
    const warnings: string[] = [];
    for (let seed = 0; seed < 150; seed++) {
      let crashAt = Infinity;
      let hasCrashed = false;
      const disk = simDisk(`torn ${seed}`, (count) => {
        if (count < crashAt) return;
        crashAt = Infinity;
        hasCrashed = true;
        disk.crash();
      });
      const model = new Model();
      crashAt = 20 + (seed % 40);
      await runLife(disk, model, testRandom(`torn ${seed}`), 1, 50, () => hasCrashed);
      const store = await opened(disk.boot(), SMALL, { log: { ...silentLog, warn: (message) => warnings.push(message) } });
      await check(store, model);
      await store.close();
      const cutCount = warnings.length;
      await (await opened(disk.boot(), SMALL, { log: { ...silentLog, warn: (message) => warnings.push(message) } })).close();
      expect(warnings.length).toBe(cutCount);
    }
    expect(warnings.length).toBeGreaterThan(3);
  });
});

describe('rot', () => {
  const LOG = `${DIRECTORY}/log/000001.seg`;

  /** Three batches with one object each. */
  async function threeBatches(): Promise<{ disk: SimDisk; ends: number[] }> {
    const disk = simDisk('rot');
    const store = await opened(disk.boot());
    const ends: number[] = [];
    for (const n of [1, 2, 3]) {
      await store.promise(keyOf(n), 'n', ballot(n), { bodyId: bodyId(n), bytes: bodyOf(n) });
      ends.push(store.durablePosition() + SEGMENT_HEADER_BYTES);
    }
    await store.close();
    return { disk, ends };
  }

  test('of any byte before the last batch is damage, with the place of it, and nothing is changed on disk', async () => {
    const { ends } = await threeBatches();
    const lastBatchAt = ends[1] ?? 0;
    for (let position = 0; position < lastBatchAt; position += position < 200 ? 3 : 61) {
      const { disk } = await threeBatches();
      disk.flipBit(LOG, position, position % 8);
      const before = disk.snapshot().get(LOG);
      const outcome = await openStore(disk.boot());
      expect(outcome).toMatchObject({ kind: 'damaged', file: LOG });
      expect(before !== undefined && disk.snapshot().get(LOG)?.equals(before)).toBe(true);
    }
  });

  test('of the last batch looks like a torn write: its changes are gone, and the position tells', async () => {
    const { ends } = await threeBatches();
    for (const position of [ends[1] ?? 0, (ends[1] ?? 0) + BATCH_HEADER_BYTES + 3, (ends[2] ?? 0) - 1]) {
      const { disk } = await threeBatches();
      disk.flipBit(LOG, position, 3);
      const store = await opened(disk.boot());
      expect([1, 2, 3].map((n) => store.head(keyOf(n)) !== null)).toEqual([true, true, false]);
      expect(store.recoveredPosition + SEGMENT_HEADER_BYTES).toBe(ends[1]);
    }
  });

  test('of the identity is damage', async () => {
    for (const position of [2, 30, 60, 100, 140]) {
      const { disk } = await threeBatches();
      disk.flipBit(`${DIRECTORY}/node.json`, position, 0);
      expect(await openStore(disk.boot())).toMatchObject({ kind: 'damaged', file: `${DIRECTORY}/node.json` });
    }
  });

  test('of a running store is never served: the body is no longer held, the record fails its reader, both are told', async () => {
    const damages: string[] = [];
    const disk = simDisk('running');
    const store = await opened(disk.boot(), SMALL, { onDamage: (detail) => damages.push(detail) });
    const bytes = bodyOf(1);
    await store.promise(keyOf(1), 'n', ballot(1), { bodyId: bodyId(1), bytes });
    const bodyEnd = store.durablePosition() + SEGMENT_HEADER_BYTES;
    await store.accept(keyOf(1), 'n', ballot(1), liveRecord(ballot(1), bodyId(1), bytes.length));
    disk.flipBit(LOG, bodyEnd - 5, 1);
    expect(await store.readBody(keyOf(1), bodyId(1), 0, 10)).toBeNull();
    expect(store.holdsBody(keyOf(1), bodyId(1))).toBe(false);
    disk.flipBit(LOG, store.durablePosition() + SEGMENT_HEADER_BYTES - 5, 1);
    const head = store.head(keyOf(1));
    await expect(head === null ? null : store.load(keyOf(1), head)).rejects.toMatchObject({ code: 'DHT_ERR_DATA_DAMAGED' });
    expect(damages.length).toBe(2);
  });

  test('a body that looks like a batch of the log does not make a torn tail look rotten', async () => {
    const { disk, ends } = await threeBatches();
    const copied = disk.snapshot().get(LOG)?.subarray(SEGMENT_HEADER_BYTES, ends[2]) ?? Buffer.alloc(0);
    const other = simDisk('other');
    const store = await opened(other.boot(), {}, { random: testRandom('another salt') });
    await store.promise(keyOf(1), 'n', ballot(1), { bodyId: bodyId(1), bytes: copied });
    await store.close();
    other.flipBit(LOG, SEGMENT_HEADER_BYTES + BATCH_HEADER_BYTES + 20, 1);
    expect((await openStore(other.boot(), {}, { random: testRandom('another salt') })).kind).toBe('opened');
  });

  test('a record of a type that this version does not know is refused, not skipped', async () => {
    const { disk } = await threeBatches();
    const door = disk.boot();
    const file = await door.open(LOG, 'update');
    const at = SEGMENT_HEADER_BYTES + BATCH_HEADER_BYTES;
    const metaBytes = (await file.read(at + 6, 4)).readUInt32BE(0);
    const record = await file.read(at, 10 + metaBytes);
    record[4] = 99;
    record.writeUInt32BE(recordCrc(record), 0);
    await file.write(at, [record]);
    await file.sync();
    expect(await openStore(disk.boot())).toMatchObject({ kind: 'damaged', detail: 'unknown type 99 of log record', offset: at });
  });
});
