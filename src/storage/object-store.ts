/**
 * The local store: one log on disk, one index in memory, and a file for each large body. A change is appended to the log's open
 * batch and applied to the state in the same synchronous step; its promise is the batch's. Reads are one positioned read or none.
 *
 * Bodies are HeldBodies' business. Bytes that fail their checksum are never handed out: a body is then no longer held here, a
 * record makes its reader fail, and `onDamage` hears of both.
 *
 * Rejected: LevelDB, LMDB, SQLite, because their crash behaviour can't be tried in the simulator; a file for each small object,
 * because creating and syncing one takes twenty times as long as an append.
 * Source: protocol sections C.1 and F.2; rules R1, R6, R7.
 */
import type { BodyLimits } from '../domain/body-limits.ts';
import { equalBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import { must } from '../domain/assert.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyId, ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { CONTENT_TYPE_BYTES_MAX, EPOCH_MAX, META_BYTES_MAX, NAME_BYTES_MAX } from '../domain/limits.ts';
import type { ObjectKey, Position, RingArc } from '../domain/ring-position.ts';
import type { SpaceLevel } from '../domain/space-level.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskLock } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { fullDisk } from './body-disk.ts';
import { takeInventory, type Inventory } from './body-inventory.ts';
import { bucketOfKey, bucketsOf } from './bucket-table.ts';
import { ByteBoundedCache } from './byte-bounded-cache.ts';
import { HeldBodies } from './held-bodies.ts';
import { writeIdentity, type Identity } from './identity-file.ts';
import type { IndexEntry } from './key-index.ts';
import { Log, type Appended } from './log.ts';
import type { LogRecord } from './log-record.ts';
import { LogUpkeep, type LogUpkeepTuning, type UpkeepReport } from './log-upkeep.ts';
import type { BodyWriter, LayoutSlot, LoadedRecord, NamedEntry, NodeStateStore, RegisterHead, RegisterStore, ScanEntry, StoreTotals, TombstoneEntry } from './register-store.ts';
import { SpaceGuard, type SpaceTuning, type SpaceView } from './space-guard.ts';
import type { Verified } from './scrub.ts';
import { openStoreDirectory, type OpenRefusal, type StoreDirectory } from './store-directory.ts';
import { StoreState } from './store-state.ts';
import { parseAccepted } from './stored-record.ts';
import { readTwice } from './unreadable.ts';

export interface ObjectStoreDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: OperatorLog;
  readonly random: Random;
  /** Called once, when a write or sync failed: the process must end. */
  readonly onFailure: (error: unknown) => void;
  /** Stored bytes failed their checksum when they were read. `key`: the register that is no longer whole; null: none is. */
  readonly onDamage: (detail: string, key: ObjectKey | null) => void;
}

export interface ObjectStoreOptions {
  /** Absolute; belongs to this node alone. */
  readonly directory: string;
  /** `host:port`. */
  readonly name: string;
  readonly keyBits: number;
  /** Bytes after which the log begins a new file. Higher: fewer files, coarser reclaiming. */
  readonly segmentBytes: number;
  /** Bytes of memory for decoded records and for inline bodies. Higher: more reads without the disk. */
  readonly recordCacheBytes: number;
  readonly bodyCacheBytes: number;
  /** Bodies without a record that are kept. Higher: more writes under way, about 200 bytes of memory each. */
  readonly stagedBodiesMax: number;
  /** Chunks, time to live and time to linger of bodies. */
  readonly bodies: BodyLimits;
  /** Checkpoints, and what becomes of segments. */
  readonly upkeep: LogUpkeepTuning;
  /** How the volume is watched and what is kept free on it. */
  readonly space: SpaceTuning;
  /** True only in tests that show what acknowledging before the sync breaks. */
  readonly resolveBeforeSync: boolean;
  /** The same for removing a body's file before the record that replaces it is durable (rule R7). */
  readonly unlinkBeforeSync: boolean;
}

export type OpenOutcome =
  | { readonly kind: 'opened'; readonly store: ObjectStore }
  | Exclude<OpenRefusal, { kind: 'damaged' }>
  /** `addresses`: where members of its ring were, as far as can be read. */
  | (Extract<OpenRefusal, { kind: 'damaged' }> & { readonly addresses: readonly string[] });

/** About what a decoded record and an operation in it take in memory. */
const DECODED_BYTES = 1000;
const OP_BYTES = 250;

/** A read that fails tells nothing about what is stored; who asked is told, and asks another replica. */
function cannotRead(error: unknown): never {
  throw error instanceof DhtError ? error : new DhtError('DHT_ERR_DISK_FAILED', 'the disk failed to read', { cause: error });
}

interface RecordLocation {
  readonly position: number;
  readonly bytes: number;
}

export class ObjectStore implements RegisterStore, NodeStateStore {
  readonly #deps: ObjectStoreDeps;
  readonly #options: ObjectStoreOptions;
  readonly #state: StoreState;
  readonly #identity: Identity;
  readonly #lock: DiskLock;
  readonly #log: Log;
  readonly #upkeep: LogUpkeep;
  readonly #records: ByteBoundedCache<LoadedRecord>;
  readonly #bodies: HeldBodies;
  readonly #space: SpaceGuard;
  #marking: Promise<void> | null = null;
  /** Peers remembered since the last batch. */
  readonly #unwrittenPeers = new Set<NodeId>();
  readonly recoveredPosition: number;

  /** Rejects only with errors of the disk itself. */
  static async open(deps: ObjectStoreDeps, options: ObjectStoreOptions): Promise<OpenOutcome> {
    const states: StoreState[] = [];
    const newState = (): StoreState => {
      const state = new StoreState(options);
      states.push(state);
      return state;
    };
    const outcome = await openStoreDirectory({ ...deps, newState }, options);
    if (outcome.kind === 'damaged') {
      const known = states.flatMap(({ node }) => node.layout?.members.map(({ advertise }) => advertise) ?? []);
      return { ...outcome, addresses: [...new Set([...known, ...outcome.rejoin])] };
    }
    if (outcome.kind !== 'opened') return outcome;
    const { recovered, lock } = outcome.opened;
    try {
      const inventory = await takeInventory(deps.disk, options.directory, recovered.state.bodiesInFiles());
      const space = await SpaceGuard.open({ ...deps, random: deps.random.fork('ballast') }, { ...options.space, directory: options.directory });
      return { kind: 'opened', store: new ObjectStore(deps, options, outcome.opened, inventory, space) };
    } catch (error) {
      await recovered.segments.close();
      await lock.release();
      throw error;
    }
  }

  private constructor(deps: ObjectStoreDeps, options: ObjectStoreOptions, found: StoreDirectory, inventory: Inventory, space: SpaceGuard) {
    const { identity, lock, logDirectory, recovered } = found;
    const { state, segments, end } = recovered;
    const salt = Buffer.from(identity.logSalt, 'hex');
    this.#deps = deps;
    this.#options = options;
    this.#state = state;
    this.#identity = identity;
    this.#lock = lock;
    this.#space = space;
    this.#records = new ByteBoundedCache(options.recordCacheBytes, ({ name, record }) => DECODED_BYTES + 2 * name.length + OP_BYTES * record.ops.length);
    this.recoveredPosition = end.position;
    this.#log = new Log(
      {
        disk: deps.disk, onFailure: deps.onFailure, onSeal: () => { this.#appendPeers(); },
        onDurable: () => { this.#durable(); }, untilRoom: (write) => space.untilRoom(write),
      },
      { directory: logDirectory, nodeId: identity.nodeId, keyBits: identity.keyBits, salt, segmentBytes: options.segmentBytes },
      segments,
      end,
    );
    this.#upkeep = new LogUpkeep(
      { ...deps, operatorLog: deps.log, log: this.#log, state, onDamage: (detail, key) => { this.#reportDamage(detail, key); } },
      { ...options.upkeep, directory: logDirectory, nodeId: identity.nodeId, keyBits: identity.keyBits, salt },
      recovered,
    );
    this.#bodies = new HeldBodies({
      disk: deps.disk, clock: deps.clock, log: deps.log, state, onFailure: deps.onFailure,
      onDamage: (detail, key) => { this.#reportDamage(detail, key); },
      readLog: (position, length) => this.#log.read(position, length),
      logFile: (key, bodyId, size, sha256) => this.#change({ kind: 'body-file', key, bodyId, size, sha256 }, null, key),
    }, { directory: options.directory, bodies: options.bodies, cacheBytes: options.bodyCacheBytes });
    this.#bodies.takeOver(inventory);
  }

  /** Members of the ring that this renewed node has to join again; empty for all others. */
  get rejoin(): readonly string[] {
    return this.#identity.rejoin;
  }

  #durable(): void {
    this.#upkeep.batchDone();
    if (!this.#identity.hasLog) this.#marking ??= this.#markLog();
  }

  /** Once for each identity, as a rule: from now on a missing log is damage. */
  async #markLog(): Promise<void> {
    try {
      await writeIdentity(this.#deps.disk, this.#options.directory, { ...this.#identity, hasLog: true });
    } catch (error) {
      this.#deps.log.warn('the identity could not be written; the next start does it', { detail: String(error) });
    }
  }

  /** Changes that wait for room on a full volume fail, their outcome unknown; so does every later one that meets no room. */
  endWaiting(): Promise<void> {
    return this.#space.close();
  }

  async close(): Promise<void> {
    // First: what the bodies have in the background may wait for a change that waits for room.
    await this.endWaiting();
    await this.#bodies.close();
    await this.#upkeep.close();
    await this.#log.close();
    await this.#marking;
    await this.#lock.release();
  }

  // ------------------------------------------------------------------------------------------------- registers: reads

  head(key: ObjectKey): RegisterHead | null {
    const entry = this.#state.index.find(key);
    return entry === null ? null : headOf(entry);
  }

  floor(key: ObjectKey): Ballot {
    return this.#state.floors.get(bucketOfKey(key));
  }

  async load(key: ObjectKey, head: RegisterHead): Promise<LoadedRecord | null> {
    if (head.kind === 'none') return null;
    const { position, bytes } = this.#recordOf(key, head);
    const cached = this.#records.get(position);
    if (cached !== null) return cached;
    if (!this.#log.holds(position)) return null;
    const loaded = parseAccepted(await this.#log.read(position, bytes).catch(cannotRead), bytes);
    if (loaded === null) {
      this.#reportDamage(`the record at log position ${position} fails its checksum`, key);
      throw new DhtError('DHT_ERR_DATA_DAMAGED', `the record at log position ${position} fails its checksum`);
    }
    this.#records.put(position, loaded);
    return loaded;
  }

  /** The first register in key order, or the one behind `after`; null: there is none. */
  keyAfter(after: ObjectKey | null): ObjectKey | null {
    let next: ObjectKey | null = null;
    this.#state.index.walk({ first: 0, last: 2 ** 48 - 1 }, after, (key) => {
      next = key;
      return 'stop';
    });
    return next;
  }

  /** Reads everything of the register from the disk, past all caches. What is rotten counts as such from then on. */
  async verify(key: ObjectKey, pause: () => Promise<void>): Promise<Verified> {
    const entry = this.#state.index.find(key);
    if (entry === null || entry.kind === 'none') return { bytes: 0, isSound: true };
    const { recordAt, recordBytes, bodyId } = entry;
    const isSame = (): boolean => {
      const now = this.#state.index.find(key);
      return now !== null && now.recordAt === recordAt && equalBallots(now.accepted, entry.accepted);
    };
    const stored = this.#log.holds(recordAt) ? await readTwice(() => this.#log.read(recordAt, recordBytes), pause) : null;
    const loaded = stored === null ? null : parseAccepted(stored, recordBytes);
    if (loaded === null) {
      if (!isSame()) return { bytes: recordBytes, isSound: true };
      this.#records.delete(recordAt);
      this.#reportDamage(`the record at log position ${recordAt} fails its checksum`, null);
      return { bytes: recordBytes, isSound: false };
    }
    if (loaded.record.kind !== 'object' || bodyId === null) return { bytes: recordBytes, isSound: true };
    const isSound = await this.#bodies.verify(key, loaded.record.body, pause);
    return { bytes: recordBytes + loaded.record.body.size, isSound: isSound || !isSame() };
  }

  /** The name of an accepted register, also when its record can't be read. */
  async nameOf(key: ObjectKey): Promise<string | null> {
    const head = this.head(key);
    if (head === null || head.kind === 'none') return null;
    const loaded = await this.load(key, head).catch(() => null);
    if (loaded !== null) return loaded.name;
    let name: string | null = null;
    this.#state.names.walk('', null, (entry) => {
      if (entry.key !== key) return 'go-on';
      name = entry.name;
      return 'stop';
    });
    return name;
  }

  settled(key: ObjectKey): Promise<void> {
    return this.#options.resolveBeforeSync ? Promise.resolve() : this.#log.settled(key);
  }

  flushed(): Promise<void> {
    return this.#options.resolveBeforeSync ? Promise.resolve() : this.#log.commit();
  }

  holdsBody(key: ObjectKey, bodyId: BodyId): boolean {
    return this.#bodies.locate(key, bodyId) !== null;
  }

  readBody(key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number } | null> {
    return this.#bodies.read(key, bodyId, offset, length).catch(cannotRead);
  }

  scan(arc: RingArc, after: ObjectKey | null, limit: number): { readonly entries: readonly ScanEntry[]; readonly isLast: boolean } {
    const entries: ScanEntry[] = [];
    const ended = this.#state.walk(arc, after, (key, entry) => {
      if (entries.length === limit) return 'stop';
      entries.push({ key, ...headOf(entry) });
      return 'go-on';
    });
    return { entries, isLast: ended === 'end' };
  }

  scanNames(
    prefix: string, from: { readonly name: string; readonly isInclusive: boolean } | null, limit: number,
  ): { readonly entries: readonly NamedEntry[]; readonly isLast: boolean } {
    const entries: NamedEntry[] = [];
    const ended = this.#state.names.walk(prefix, from, ({ name, key }) => {
      if (entries.length === limit) return 'stop';
      const { accepted, version, kind, size } = must(this.#state.index.find(key), 'register of a live name');
      if (kind !== 'none') entries.push({ name, key, accepted, version, kind, size });
      return 'go-on';
    });
    return { entries, isLast: ended === 'end' };
  }

  floorOf(arc: RingArc): Ballot {
    return bucketsOf(arc, this.#options.keyBits).map((buckets) => this.#state.floors.highestOf(buckets)).reduce(maxBallot);
  }

  digests(arcs: readonly RingArc[], page: number | null): Uint32Array {
    return this.#state.digests(arcs, page);
  }

  objectsIn(arcs: readonly RingArc[]): number {
    return this.#state.objectsIn(arcs);
  }

  spaceLevel(): SpaceLevel {
    return this.#space.level;
  }

  /** What is left of the volume. */
  spaceView(): SpaceView {
    return this.#space.view();
  }

  scanTombstones(arc: RingArc, after: ObjectKey | null, looks: number): { readonly entries: readonly TombstoneEntry[]; readonly next: ObjectKey | null } {
    const entries: TombstoneEntry[] = [];
    let left = looks;
    let last: ObjectKey | null = null;
    const ended = this.#state.walk(arc, after, (key, { kind, accepted, version }) => {
      if (left-- === 0) return 'stop';
      last = key;
      if (kind === 'tombstone') entries.push({ key, accepted, version });
      return 'go-on';
    });
    return { entries, next: ended === 'end' ? null : last };
  }

  /** Of the files here, but for bodies that are coming in. */
  diskBytes(): number {
    return this.#log.bytes + this.#upkeep.report().checkpointBytes + this.#state.index.fileBytes + this.#space.view().ballastBytes;
  }

  totals(): StoreTotals {
    const { registers, objects, tombstones, bodyBytes } = this.#state.index;
    return { registers, objects, tombstones, bodyBytes, logBytes: this.#log.bytes };
  }

  /** What was rotten in the log is healed: a start from here on repeats none of it. */
  checkpointSoon(): void {
    this.#upkeep.checkpointSoon();
  }

  /** Checkpoints and compaction, as they are now. */
  upkeep(): UpkeepReport {
    return this.#upkeep.report();
  }

  // ----------------------------------------------------------------------------------------------- registers: changes

  promise(key: ObjectKey, name: string, ballot: Ballot, staged: { readonly bodyId: BodyId; readonly bytes: Buffer } | null): Promise<void> {
    return this.#change({ kind: 'promise', key, name, ballot, staged: staged?.bodyId ?? null }, staged?.bytes ?? null, key);
  }

  accept(key: ObjectKey, name: string, ballot: Ballot, record: ObjectRecord): Promise<void> {
    const bodyAt = record.kind === 'object' ? (this.#bodies.locate(key, record.body.bodyId)?.at ?? 0) : 0;
    return this.#change({ kind: 'accept', key, name, ballot, bodyAt, record }, null, key);
  }

  stage(key: ObjectKey, bodyId: BodyId, bytes: Buffer): Promise<void> {
    return this.#change({ kind: 'stage', key, bodyId }, bytes, key);
  }

  openBody(key: ObjectKey, bodyId: BodyId): Promise<BodyWriter | 'busy' | 'full'> {
    if (this.#space.level === 'read-only') return Promise.resolve('full');
    return this.#bodies.openWriter(key, bodyId);
  }

  raiseFloor(arc: RingArc, floor: Ballot): Promise<void> {
    return this.#change({ kind: 'floor', arc, floor }, null, 'all');
  }

  release(entries: readonly { readonly key: ObjectKey; readonly accepted: Ballot }[]): Promise<void> {
    const { index } = this.#state;
    const keys = entries.filter(({ key, accepted }) => equalBallots(index.find(key)?.accepted ?? ZERO_BALLOT, accepted)).map(({ key }) => key);
    return keys.length === 0 ? Promise.resolve() : this.#change({ kind: 'release', keys }, null, 'all');
  }

  async erase(entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[]): Promise<number> {
    const { index } = this.#state;
    const erased = entries.filter(({ key, ballot }) => {
      const entry = index.find(key);
      return entry !== null && entry.kind === 'tombstone' && equalBallots(entry.promised, ballot) && equalBallots(entry.accepted, ballot);
    });
    if (erased.length > 0) await this.#change({ kind: 'erase', entries: erased }, null, 'all');
    return erased.length;
  }

  // ------------------------------------------------------------------------------------------------------- node state

  get nodeId(): NodeId {
    return this.#identity.nodeId;
  }
  get incarnation(): number {
    return this.#identity.boot;
  }
  layout(): Layout | null {
    return this.#state.node.layout;
  }
  slot(): LayoutSlot {
    return this.#state.node.slot;
  }
  caught(): ReadonlySet<Position> {
    return this.#state.node.caught;
  }
  promisedFounder(): NodeId | null {
    return this.#state.node.promisedFounder;
  }
  remembered(peer: NodeId): { readonly boot: number; readonly position: number } | null {
    return this.#state.node.remembered(peer);
  }
  durablePosition(): number {
    return this.#log.durablePosition;
  }

  adoptLayout(layout: Layout, discards: readonly RingArc[]): Promise<void> {
    return this.#change({ kind: 'adopt-layout', layout, discards }, null, 'all');
  }
  saveSlot(slot: LayoutSlot): Promise<void> {
    return this.#change({ kind: 'slot', slot }, null, 'none');
  }
  saveCaught(epoch: Epoch, arcEnds: ReadonlySet<Position>): Promise<void> {
    return this.#change({ kind: 'caught', epoch, arcEnds: [...arcEnds] }, null, 'none');
  }
  savePromisedFounder(founder: NodeId): Promise<void> {
    return this.#change({ kind: 'promised-founder', founder }, null, 'none');
  }
  abandonLayout(clusterId: ClusterId): Promise<void> {
    return this.#change({ kind: 'abandon-layout', clusterId }, null, 'none');
  }
  remember(peer: NodeId, boot: number, position: number): void {
    if (this.#state.node.remember(peer, boot, position)) this.#unwrittenPeers.add(peer);
  }

  // ----------------------------------------------------------------------------------------------------------- inside

  /** Appends and applies in one step; rejects, with nothing changed, what can't be stored. */
  #change(record: LogRecord, body: Buffer | null, changes: ObjectKey | 'all' | 'none'): Promise<void> {
    if (this.#log.failure !== null) return Promise.reject(this.#log.failure);
    if (this.#isTooFullFor(record, body)) return Promise.reject(fullDisk());
    let at: Appended;
    try {
      checkBounds(record);
      at = this.#log.append(record, body, changes);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#state.apply(record, at, body?.length ?? 0, this.#deps.clock.monotonicNow());
    if (record.kind === 'accept') this.#records.put(at.recordAt, { name: record.name, record: record.record });
    if (body !== null) this.#bodies.keep(at.bodyAt, body);
    const done = this.#log.commit();
    this.#bodies.unlinkUnnamed(this.#options.unlinkBeforeSync ? Promise.resolve() : done);
    return this.#options.resolveBeforeSync ? Promise.resolve() : done;
  }

  /** Where the record of the head is now: it may have been moved since, or, when it was replaced, be gone. */
  #recordOf(key: ObjectKey, head: RegisterHead): RecordLocation {
    const entry = this.#state.index.find(key);
    if (entry === null || !equalBallots(entry.accepted, head.accepted)) return head.recordAt as RecordLocation;
    return { position: entry.recordAt, bytes: entry.recordBytes };
  }

  /** A read-only volume takes no bodies. While the log waits for space it takes only what the membership can't do without. */
  #isTooFullFor({ kind }: LogRecord, body: Buffer | null): boolean {
    const isRegisterChange = kind === 'promise' || kind === 'accept' || kind === 'stage';
    return (body !== null && this.#space.level === 'read-only') || (isRegisterChange && this.#space.isStalled);
  }

  #appendPeers(): void {
    for (const peer of this.#unwrittenPeers) {
      const known = this.#state.node.remembered(peer);
      if (known !== null) this.#log.append({ kind: 'remember', peer, boot: known.boot, position: known.position }, null, 'none');
    }
    this.#unwrittenPeers.clear();
  }

  #reportDamage(detail: string, key: ObjectKey | null): void {
    this.#deps.log.error('stored bytes fail their checksum', { detail });
    this.#deps.onDamage(detail, key);
  }
}

function headOf(entry: IndexEntry): RegisterHead {
  const { promised, accepted, kind, bodyId, size, recordAt, recordBytes } = entry;
  const location: RecordLocation = { position: recordAt, bytes: recordBytes };
  return { promised, accepted, kind, bodyId, size, recordAt: location };
}

/** What the log could write but recovery or the index couldn't take. */
function checkBounds(record: LogRecord): void {
  if (record.kind !== 'promise' && record.kind !== 'accept') return;
  if (Buffer.byteLength(record.name) > NAME_BYTES_MAX) throw new RangeError('the name is too long');
  if (record.ballot.epoch > EPOCH_MAX) throw new RangeError(`epoch ${record.ballot.epoch}`);
  if (record.kind !== 'accept' || record.record.kind !== 'object') return;
  const { contentType, meta } = record.record;
  // Records of early versions may come from others: what can be read is taken.
  const isReadable = Buffer.byteLength(contentType) <= 2 * CONTENT_TYPE_BYTES_MAX && meta.every((pair) => pair.every((text) => Buffer.byteLength(text) <= META_BYTES_MAX));
  if (!isReadable) throw new DhtError('DHT_ERR_REQUEST_INVALID', 'the Content-Type or the meta of the object is too long to be read back');
}
