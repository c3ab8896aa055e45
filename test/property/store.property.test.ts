/**
 * The store against a model map, with commands that fast-check draws and shrinks: every change by itself, several at once,
 * restarts, crashes between changes (nothing acknowledged may be lost, nothing else may have changed) and in the middle of
 * one (it is there as a whole or not at all). After each command everything a reader can ask for is compared: heads,
 * records, bodies, floors, the scan by key and the scan by name.
 */
import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import { compareNames } from '../../src/domain/name-order.ts';
import type { ObjectKey } from '../../src/domain/ring-position.ts';
import type { ObjectRecord } from '../../src/domain/stored-object.ts';
import type { SimDisk } from '../../src/sim/sim-disk.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { arc, ballot, bodyId, keyAt, liveRecord, opened, tombstone } from '../unit/storage/store-fixture.ts';
import { testSimDisk } from '../unit/storage/test-disk.ts';

const CHUNK = 1024;
const OPTIONS = { segmentBytes: 8192, recordCacheBytes: 2000, bodyCacheBytes: 2000, bodies: { ...BODY_LIMITS, inlineBytesMax: 512, chunkBytes: CHUNK, lagBytesMax: 4096 } };
const KEYS = 6;

interface Register {
  promised: Ballot;
  accepted: Ballot;
  record: ObjectRecord | null;
}

/** What the store has to show. */
interface Model {
  readonly registers: Map<number, Register>;
  /** Bodies held by key, staged or named. */
  readonly bodies: Map<number, Map<BodyId, Buffer>>;
  floor: Ballot;
  /** Grows with each change: ballots and bodies of their own. */
  count: number;
}

interface Real {
  readonly disk: SimDisk;
  store: ObjectStore;
}

const keyOf = (k: number): ObjectKey => keyAt((k * 0x2aaaaaaaaaaa + 5) % 2 ** 48, k);
const nameOf = (k: number): string => ['a', 'a/b', 'ä', 'b', 'b\u{10000}', 'b\uffff'][k] ?? '';
const bytesOf = (n: number, size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8) * 13 + n * 31) & 255));

function register(model: Model, k: number): Register {
  const found = model.registers.get(k) ?? { promised: ZERO_BALLOT, accepted: ZERO_BALLOT, record: null };
  model.registers.set(k, found);
  return found;
}

function bodiesOf(model: Model, k: number): Map<BodyId, Buffer> {
  const found = model.bodies.get(k) ?? new Map<BodyId, Buffer>();
  model.bodies.set(k, found);
  return found;
}

/** A change: what it does to the store and, once it is durable, to the model. */
interface Change {
  readonly begin: (store: ObjectStore) => Promise<unknown>;
  readonly apply: (model: Model) => void;
}

type Kind = 'promise' | 'promise with body' | 'stage' | 'accept object' | 'accept large' | 'accept tombstone' | 'release' | 'raise floor';
interface Wish {
  readonly kind: Kind;
  readonly k: number;
  readonly size: number;
}

const wish = fc.record<Wish>({
  kind: fc.constantFrom('promise', 'promise with body', 'stage', 'accept object', 'accept object', 'accept large', 'accept tombstone', 'release', 'raise floor'),
  k: fc.nat(KEYS - 1), size: fc.constantFrom(0, 1, 100, 512),
});

/** The change that a wish means now; the model's count makes its ballot higher than all before. */
function changeOf({ kind, k, size }: Wish, model: Model): Change {
  const n = ++model.count;
  const [key, name, b, id] = [keyOf(k), nameOf(k), ballot(n), bodyId(n)];
  const accept = (at: Model, record: ObjectRecord): void => {
    const bodies = bodiesOf(at, k);
    const named = record.kind === 'object' ? record.body.bodyId : null;
    const before = register(at, k).record;
    // R7: the replaced record's body goes; staged ones of later writes stay until their time is over.
    if (before?.kind === 'object' && before.body.bodyId !== named) bodies.delete(before.body.bodyId);
    Object.assign(register(at, k), { promised: b, accepted: b, record });
  };
  switch (kind) {
    case 'promise':
      return { begin: (store) => store.promise(key, name, b, null), apply: (at) => void Object.assign(register(at, k), { promised: b }) };
    case 'promise with body': {
      const bytes = bytesOf(n, size);
      return { begin: (store) => store.promise(key, name, b, { bodyId: id, bytes: Buffer.from(bytes) }), apply: (at) => { register(at, k).promised = b; bodiesOf(at, k).set(id, bytes); } };
    }
    case 'stage': {
      const bytes = bytesOf(n, size);
      return { begin: (store) => store.stage(key, id, Buffer.from(bytes)), apply: (at) => void bodiesOf(at, k).set(id, bytes) };
    }
    case 'accept object': {
      const bytes = bytesOf(n, size);
      const record = liveRecord(b, id, size);
      return {
        begin: async (store) => { await store.stage(key, id, Buffer.from(bytes)); await store.accept(key, name, b, record); },
        apply: (at) => { accept(at, record); bodiesOf(at, k).set(id, bytes); },
      };
    }
    case 'accept large': {
      const bytes = bytesOf(n, 513 + 5 * size);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const plain = liveRecord(b, id, bytes.length);
      const record: ObjectRecord = { ...plain, body: { ...plain.body, sha256, where: 'file' } };
      return {
        begin: async (store) => {
          const writer = await store.openBody(key, id);
          if (typeof writer === 'string') throw new Error(writer);
          for (let at = 0; at < bytes.length; at += CHUNK) await writer.append(bytes.subarray(at, at + CHUNK));
          expect(await writer.finish({ size: bytes.length, sha256 })).toBe('held');
          await store.accept(key, name, b, record);
        },
        apply: (at) => { accept(at, record); bodiesOf(at, k).set(id, bytes); },
      };
    }
    case 'accept tombstone':
      return { begin: (store) => store.accept(key, name, b, tombstone(b)), apply: (at) => accept(at, tombstone(b)) };
    case 'release': {
      const accepted = register(model, k).accepted;
      return {
        begin: (store) => store.release([{ key, accepted }]),
        apply: (at) => {
          const { record } = register(at, k);
          if (record?.kind === 'object') bodiesOf(at, k).delete(record.body.bodyId);
          at.registers.delete(k);
        },
      };
    }
    default:
      return { begin: (store) => store.raiseFloor(arc(0, 0), b), apply: (at) => { at.floor = maxBallot(at.floor, b); } };
  }
}

async function compare(model: Model, { store }: Real): Promise<void> {
  expect(store.floor(keyOf(0))).toEqual(model.floor);
  const accepted = [...model.registers].filter(([, { record }]) => record !== null);
  for (let k = 0; k < KEYS; k++) {
    const key = keyOf(k);
    const wanted = model.registers.get(k) ?? null;
    const head = store.head(key);
    expect(compareBallots(head?.promised ?? ZERO_BALLOT, wanted?.promised ?? ZERO_BALLOT)).toBe(0);
    expect(compareBallots(head?.accepted ?? ZERO_BALLOT, wanted?.accepted ?? ZERO_BALLOT)).toBe(0);
    if (head !== null) expect((await store.load(key, head))?.record ?? null).toEqual(wanted?.record ?? null);
    for (const [id, bytes] of model.bodies.get(k) ?? []) {
      expect(store.holdsBody(key, id)).toBe(true);
      const read = await store.readBody(key, id, 0, 10_000);
      expect(read?.bytes.equals(bytes)).toBe(true);
    }
  }
  const scanned = store.scan(arc(0, 0), null, 100).entries.filter(({ kind }) => kind !== 'none').map(({ key }) => key);
  expect(scanned).toEqual(accepted.map(([k]) => keyOf(k)).sort());
  const names = store.scanNames('', null, 100).entries.map(({ name, kind }) => `${name} ${kind}`);
  expect(names).toEqual(accepted.sort(([a], [b]) => compareNames(nameOf(a), nameOf(b))).map(([k, { record }]) => `${nameOf(k)} ${record?.kind}`));
}

type StoreCommand = fc.AsyncCommand<Model, Real>;

class ChangeCommand implements StoreCommand {
  readonly #wishes: readonly Wish[];

  constructor(wishes: readonly Wish[]) {
    this.#wishes = wishes;
  }

  check = (): boolean => true;

  /** All at once, each of a key of its own; the log writes them in groups. */
  async run(model: Model, real: Real): Promise<void> {
    const changes = [...new Map(this.#wishes.map((each) => [each.k, each])).values()].map((each) => changeOf(each, model));
    await Promise.all(changes.map(({ begin }) => begin(real.store)));
    for (const { apply } of changes) apply(model);
    await compare(model, real);
  }

  toString = (): string => this.#wishes.map(({ kind, k, size }) => `${kind} ${k} (${size})`).join(' + ');
}

class RestartCommand implements StoreCommand {
  check = (): boolean => true;

  async run(model: Model, real: Real): Promise<void> {
    await real.store.close();
    real.store = await opened(real.disk.boot(), OPTIONS);
    await compare(model, real);
  }

  toString = (): string => 'restart';
}

class CrashCommand implements StoreCommand {
  check = (): boolean => true;

  async run(model: Model, real: Real): Promise<void> {
    real.disk.crash();
    real.store = await opened(real.disk.boot(), OPTIONS);
    await compare(model, real);
  }

  toString = (): string => 'crash';
}

/** A crash while a promise, an acceptance or a floor is on its way: after recovery it is there or it isn't. */
class CrashInChangeCommand implements StoreCommand {
  readonly #wish: Wish;
  readonly #turns: number;

  constructor(one: Wish, turns: number) {
    this.#wish = one;
    this.#turns = turns;
  }

  check = (): boolean => true;

  async run(model: Model, real: Real): Promise<void> {
    const { k } = this.#wish;
    const change = changeOf(this.#wish, model);
    change.begin(real.store).catch(() => undefined);
    for (let i = 0; i < this.#turns; i++) await new Promise((resolve) => { setImmediate(resolve); });
    real.disk.crash();
    real.store = await opened(real.disk.boot(), OPTIONS);
    const head = real.store.head(keyOf(k));
    const n = model.count;
    if (compareBallots(head?.promised ?? ZERO_BALLOT, ballot(n)) === 0 || compareBallots(real.store.floor(keyOf(0)), ballot(n)) === 0) change.apply(model);
    else if (real.store.holdsBody(keyOf(k), bodyId(n))) {
      // Staged and not yet named.
      const read = await real.store.readBody(keyOf(k), bodyId(n), 0, 10_000);
      bodiesOf(model, k).set(bodyId(n), read?.bytes ?? Buffer.alloc(0));
    }
    await compare(model, real);
  }

  toString = (): string => `crash in ${this.#wish.kind} ${this.#wish.k} (${this.#wish.size}) after ${this.#turns} turns`;
}

test('the store is its model, whatever changes, restarts and crashes come in whatever order', async () => {
  const commands = fc.commands([
    fc.array(wish, { minLength: 1, maxLength: 4 }).map((wishes) => new ChangeCommand(wishes)),
    fc.array(wish, { minLength: 1, maxLength: 1 }).map((wishes) => new ChangeCommand(wishes)),
    fc.constant(new RestartCommand()),
    fc.constant(new CrashCommand()),
    fc.record({ one: wish.filter(({ kind }) => kind !== 'release'), turns: fc.nat(6) }).map(({ one, turns }) => new CrashInChangeCommand(one, turns)),
  ], { maxCommands: 40 });
  await fc.assert(fc.asyncProperty(commands, fc.nat(1000), async (list, seed) => {
    const disk = testSimDisk(`model ${seed}`);
    const real: Real = { disk, store: await opened(disk.boot(), OPTIONS) };
    const model: Model = { registers: new Map(), bodies: new Map(), floor: ZERO_BALLOT, count: 0 };
    await fc.asyncModelRun(() => ({ model, real }), list);
  }), { numRuns: 150 });
}, 120_000);
