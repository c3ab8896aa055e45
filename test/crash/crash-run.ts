/**
 * One run of a workload on a simulated disk, change by change, with a crash or an error of the disk at a chosen operation, then
 * a recovery that is cut off too, then a whole one; each time the store is held against the model.
 */
import { createHash } from 'node:crypto';
import { ZERO_BALLOT } from '../../src/domain/ballot.ts';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import { DhtError } from '../../src/domain/error-catalogue.ts';
import type { ClusterId } from '../../src/domain/ids.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { ObjectKey, Position } from '../../src/domain/ring-position.ts';
import type { Disk } from '../../src/ports/disk.ts';
import type { Random } from '../../src/ports/random.ts';
import type { SimDisk, SimDiskOperation } from '../../src/sim/sim-disk.ts';
import type { ObjectStore, ObjectStoreOptions } from '../../src/storage/object-store.ts';
import { arc, ballot, bodyId, keyAt, liveRecord, node, openStore, tombstone } from '../unit/storage/store-fixture.ts';
import { testClock, testRandom, testSimDisk } from '../unit/storage/test-disk.ts';

const KEYS = 8;
const CHUNK = 300;
const TURN_MS = 20;
const OPTIONS: Partial<ObjectStoreOptions> = {
  segmentBytes: 2048, recordCacheBytes: 0, bodyCacheBytes: 0, bodies: { ...BODY_LIMITS, inlineBytesMax: 300, chunkBytes: CHUNK, lagBytesMax: 1200 },
  upkeep: { checkpointBytes: 3000, liveShareMin: 0.5, bytesPerSecond: Infinity },
};

export interface CrashRunOptions {
  readonly steps: number;
  /** Number of the operation before which the power fails. */
  readonly crashAt: number;
  readonly fault: { readonly operation: SimDiskOperation; readonly code: string; readonly skip: number } | null;
  /** What the store gets in place of the disk. */
  readonly through: (disk: Disk) => Disk;
}

export interface CrashRunOutcome {
  readonly operations: number;
  /** What is not as it should be; null: all is well. */
  readonly wrong: string | null;
  /** How often each operation was begun. */
  readonly counts: ReadonlyMap<SimDiskOperation, number>;
  readonly checkpoints: number;
  readonly compactedSegments: number;
  readonly removedSegments: number;
}

interface Register {
  readonly promised: number;
  /** 0: nothing. */
  readonly accepted: number;
  readonly isTombstone: boolean;
}

/** What a store shows, as far as the workload knows. A value: each change makes a new one. */
interface Model {
  readonly registers: ReadonlyMap<number, Register>;
  /** Numbers of bodies that are held and that no record names. */
  readonly staged: ReadonlyMap<number, number>;
  readonly floor: number;
  readonly epoch: number;
}

const EMPTY: Model = { registers: new Map(), staged: new Map(), floor: 0, epoch: 0 };

type Change =
  | { readonly kind: 'promise' | 'stage' | 'stage-large' | 'delete'; readonly k: number; readonly n: number }
  /** The record of a body that is staged. */
  | { readonly kind: 'accept'; readonly k: number; readonly n: number; readonly body: number }
  | { readonly kind: 'release'; readonly k: number; readonly accepted: number }
  | { readonly kind: 'floor' | 'layout'; readonly n: number };

const keyOf = (k: number): ObjectKey => keyAt((k * 2 ** 45) + 1000, k);
const isLarge = (n: number): boolean => n % 4 === 3;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const EVERYTHING = arc(0, 0);
/** The arc whose registers a new layout discards: that of the last keys. */
const DISCARDED = arc(6 * 2 ** 45, 2 ** 48 - 1);
const isDiscarded = (k: number): boolean => k >= 6;

function bytesOf(n: number): Buffer {
  const bytes = Buffer.alloc(isLarge(n) ? 301 + ((n * 97) % 900) : (n * 37) % 300);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i + n;
  return bytes;
}

function layoutOf(epoch: number): Layout {
  return {
    clusterId: node(1) as string as ClusterId, epoch, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
    members: [{ nodeId: node(1), name: '127.0.0.1:7001', advertise: 'a.example:7001', tokens: [100 as Position], zone: '', weight: 1, state: 'member' }],
    voters: [node(1)], recoveries: [], phase: 'stable', arcs: [{ end: 100 as Position, old: [], new: [node(1)], since: new Map() }],
  };
}

function nextChange(model: Model, random: Random, n: number): Change {
  const k = random.below(KEYS);
  const staged = [...model.staged].filter(([, owner]) => owner < KEYS);
  const [body, owner] = staged[random.below(Math.max(1, staged.length))] ?? [0, 0];
  const register = model.registers.get(k);
  switch (random.below(12)) {
    case 0: return { kind: 'promise', k, n };
    case 1: return { kind: 'delete', k, n };
    case 2: return register === undefined ? { kind: 'floor', n } : { kind: 'release', k, accepted: register.accepted };
    case 3: return random.below(3) === 0 ? { kind: 'layout', n } : { kind: 'floor', n };
    default: return body === 0 || random.below(3) === 0 ? { kind: isLarge(n) ? 'stage-large' : 'stage', k, n } : { kind: 'accept', k: owner, n, body };
  }
}

function after(model: Model, change: Change): Model {
  const registers = new Map(model.registers);
  const staged = new Map(model.staged);
  switch (change.kind) {
    case 'promise': {
      const { accepted = 0, isTombstone = false } = registers.get(change.k) ?? {};
      return { ...model, registers: registers.set(change.k, { promised: change.n, accepted, isTombstone }) };
    }
    case 'delete':
      return { ...model, registers: registers.set(change.k, { promised: change.n, accepted: change.n, isTombstone: true }) };
    case 'stage':
    case 'stage-large':
      return { ...model, staged: staged.set(change.n, change.k) };
    case 'accept':
      staged.delete(change.body);
      return { ...model, staged, registers: registers.set(change.k, { promised: change.n, accepted: change.n * 1000 + change.body, isTombstone: false }) };
    case 'release':
      registers.delete(change.k);
      return { ...model, registers };
    case 'floor':
      return { ...model, floor: change.n };
    case 'layout':
      for (const [k, { accepted, isTombstone }] of model.registers) {
        if (!isDiscarded(k)) continue;
        registers.delete(k);
        // The body stays as a cache, under no key of the workload.
        if (accepted !== 0 && !isTombstone) staged.set(accepted % 1000, KEYS + k);
      }
      return { ...model, registers, staged, epoch: change.n };
  }
}

async function make(store: ObjectStore, change: Change): Promise<void> {
  switch (change.kind) {
    case 'promise': return store.promise(keyOf(change.k), `key ${change.k}`, ballot(change.n), null);
    case 'delete': return store.accept(keyOf(change.k), `key ${change.k}`, ballot(change.n), tombstone(ballot(change.n)));
    case 'stage': return store.stage(keyOf(change.k), bodyId(change.n), bytesOf(change.n));
    case 'stage-large': {
      const bytes = bytesOf(change.n);
      const writer = await store.openBody(keyOf(change.k), bodyId(change.n));
      if (typeof writer === 'string') throw new Error(writer);
      try {
        for (let at = writer.length; at < bytes.length; at += CHUNK) await writer.append(bytes.subarray(at, at + CHUNK));
        await writer.finish({ size: bytes.length, sha256: sha256(bytes) });
      } catch (error) {
        await writer.abort('drop');
        throw error;
      }
      return undefined;
    }
    case 'accept': {
      const bytes = bytesOf(change.body);
      const record = liveRecord(ballot(change.n), bodyId(change.body), bytes.length);
      return store.accept(keyOf(change.k), `key ${change.k}`, ballot(change.n), {
        ...record, body: { ...record.body, where: isLarge(change.body) ? 'file' : 'inline', sha256: sha256(bytes) },
      });
    }
    case 'release': {
      const accepted = change.accepted < 1000 ? change.accepted : Math.floor(change.accepted / 1000);
      return store.release([{ key: keyOf(change.k), accepted: accepted === 0 ? ZERO_BALLOT : ballot(accepted) }]);
    }
    case 'floor': return store.raiseFloor(EVERYTHING, ballot(change.n));
    case 'layout': return store.adoptLayout(layoutOf(change.n), [DISCARDED]);
  }
}

/** Null: the store shows exactly this. */
async function difference(store: ObjectStore, model: Model): Promise<string | null> {
  if ((store.layout()?.epoch ?? 0) !== model.epoch) return `epoch ${store.layout()?.epoch ?? 0} for ${model.epoch}`;
  // A layout discards the floors of whole buckets only in its arcs; this one is in none.
  if (store.floor(keyAt(5)).hlc !== model.floor) return `floor ${store.floor(keyAt(5)).hlc} for ${model.floor}`;
  const shown = store.scan(EVERYTHING, null, 1000).entries.map(({ key }) => key);
  const wanted = [...model.registers.keys()].map(keyOf).sort();
  if (shown.toSorted().join() !== wanted.join()) return `registers ${shown.join()} for ${wanted.join()}`;
  for (const [k, register] of model.registers) {
    const head = store.head(keyOf(k));
    const body = register.accepted >= 1000 && !register.isTombstone ? register.accepted % 1000 : null;
    const accepted = body === null ? register.accepted : Math.floor(register.accepted / 1000);
    if (head?.promised.hlc !== register.promised || head.accepted.hlc !== accepted) {
      return `key ${k}: ${head?.promised.hlc}, ${head?.accepted.hlc} for ${register.promised}, ${accepted}`;
    }
    if (accepted === 0) continue;
    const loaded = await store.load(keyOf(k), head);
    if (loaded?.name !== `key ${k}` || loaded.record.version.hlc !== accepted) return `record of key ${k}`;
    if (body !== null && !(await isHeld(store, k, body))) return `body ${body} of key ${k}`;
  }
  for (const [n, k] of model.staged) if (!(await isHeld(store, k, n))) return `staged body ${n}`;
  const names = store.scanNames('', null, 1000).entries.length;
  const named = [...model.registers.values()].filter(({ accepted }) => accepted !== 0).length;
  return names === named ? null : `${names} names for ${named}`;
}

async function isHeld(store: ObjectStore, k: number, n: number): Promise<boolean> {
  const wanted = bytesOf(n);
  return (await store.readBody(keyOf(k), bodyId(n), 0, 1e6))?.bytes.equals(wanted) === true;
}

/** From a start to a crash or an end in order. What a life that has ended still does counts for nothing. */
interface Life {
  hasEnded: boolean;
}

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

export class CrashRun {
  readonly #seed: string;
  readonly #options: CrashRunOptions;
  readonly #disk: SimDisk;
  #operations = 0;
  readonly #counts = new Map<SimDiskOperation, number>();
  #isFirst = true;
  #crashAt: number;
  #current: Life = { hasEnded: false };
  #before: Model = EMPTY;
  /** With the change that is under way. */
  #now: Model = EMPTY;
  #isDone = true;
  #upkeep = { checkpoints: 0, compactedSegments: 0, removedSegments: 0 };

  constructor(seed: string, options: Partial<CrashRunOptions> = {}) {
    this.#seed = seed;
    this.#options = { steps: 60, crashAt: Infinity, fault: null, through: (disk) => disk, ...options };
    this.#crashAt = this.#options.crashAt;
    this.#disk = testSimDisk(seed, (operation, count) => {
      this.#operations = count;
      this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
      if (count !== this.#crashAt) return;
      this.#end();
    });
  }

  async run(): Promise<CrashRunOutcome> {
    let wrong = await this.#life((store, life) => this.#work(store, life));
    const operations = this.#operations;
    const counts = new Map(this.#counts);
    this.#disk.forgiveFaults();
    this.#isFirst = false;
    if (wrong === null && (this.#crashAt !== Infinity || this.#options.fault !== null)) {
      // One more crash in the middle of the recovery, at another place each time; then a whole one.
      this.#crashAt = this.#operations + 1 + (operations * 7) % 25;
      wrong = await this.#life((store, life) => this.#check(store, life)) ?? await this.#life(async (store, life) => {
        const found = await this.#check(store, life);
        return found ?? this.#work(store, life, 5);
      });
    }
    return { operations, wrong, counts, ...this.#upkeep };
  }

  async #life(work: (store: ObjectStore, life: Life) => Promise<string | null>): Promise<string | null> {
    const life: Life = { hasEnded: false };
    this.#current = life;
    let outcome: string | null = null;
    let isOver = false;
    // A log without room waits and tries again, so time has to go on.
    const clock = testClock();
    const whole = (async () => {
      const opened = await openStore(this.#options.through(this.#disk.boot()), OPTIONS, {
        clock, onFailure: () => { if (!life.hasEnded) this.#end(); }, onDamage: (detail) => { outcome ??= detail; },
      });
      if (opened.kind !== 'opened') return `not opened: ${JSON.stringify(opened)}`;
      const { fault } = this.#options;
      if (fault !== null && this.#isFirst) this.#disk.failNext(fault.operation, fault.code, fault.skip);
      const found = await work(opened.store, life);
      await opened.store.close();
      return found;
    })().catch((error: unknown) => String(error)).then((found) => {
      if (!life.hasEnded) outcome ??= found;
      isOver = true;
    });
    while (!isOver && !life.hasEnded) {
      await turn();
      clock.advance(TURN_MS);
    }
    if (isOver) await whole;
    return outcome;
  }

  async #work(store: ObjectStore, life: Life, steps = this.#options.steps): Promise<string | null> {
    const random = testRandom(`${this.#seed} workload ${this.#operations}`);
    const first = this.#now === EMPTY ? 1 : 500;
    for (let n = first; n < first + steps; n++) {
      const change = nextChange(this.#now, random, n);
      this.#before = this.#now;
      this.#now = after(this.#now, change);
      this.#isDone = false;
      try {
        await make(store, change);
      } catch (error) {
        if (life.hasEnded) return null;
        // A large body whose file can't be written isn't held; a full disk takes no change; everything else ends the process.
        const isRefused = error instanceof DhtError && error.code === 'DHT_ERR_DISK_FULL';
        if (change.kind !== 'stage-large' && !isRefused) throw error;
        this.#now = this.#before;
      }
      if (life.hasEnded) return null;
      this.#isDone = true;
      if (n % 7 === 0) await turn();
      if (life.hasEnded) return null;
    }
    await turn();
    if (life.hasEnded) return null;
    this.#disk.forgiveFaults();
    this.#upkeep = store.upkeep();
    return difference(store, this.#now);
  }

  /** After a crash: the state with or without the change that was cut off. From then on that is what there is. */
  async #check(store: ObjectStore, life: Life): Promise<string | null> {
    const now = await difference(store, this.#now);
    if (now === null) return this.#settle(this.#now, life);
    if (this.#isDone) return now;
    const before = await difference(store, this.#before);
    return before === null ? this.#settle(this.#before, life) : `neither after the change: ${now}; nor before it: ${before}`;
  }

  #settle(model: Model, life: Life): null {
    if (life.hasEnded) return null;
    this.#before = model;
    this.#now = model;
    this.#isDone = true;
    return null;
  }

  #end(): void {
    this.#current.hasEnded = true;
    this.#disk.crash();
  }
}
