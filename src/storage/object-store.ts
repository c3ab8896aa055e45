/**
 * The local store: one log on disk, one index in memory, nothing else. A change is appended to the log's open batch and
 * applied to the index in the same synchronous step; its promise is the batch's. Reads are one positioned read or none.
 *
 * Start: take the directory, read the identity, repeat the log into an empty index, count the boot, cut a torn tail. Whatever
 * can't be read ends the start with the reason; the store never begins empty where something was. Live changes and recovery go
 * through the same `#apply`, so a restart can't disagree with the run before it.
 *
 * Bodies stay where the log got them; an accept only names the position. Bytes that fail their checksum are never handed out:
 * a body is then no longer held here, a record makes its reader fail, and `onDamage` hears of both.
 * Source: protocol sections C.1, F.2, A.4 (10); rules R1, R6, R7, R14, R16.
 */
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import { assert, assertNever } from '../domain/assert.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyId, ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import { NAME_BYTES_MAX, STAGING_TTL_MS } from '../domain/limits.ts';
import type { ObjectKey, Position, RingArc } from '../domain/ring-position.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';
import { BinaryReader, DecodeError } from '../encoding/binary-reader.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskLock } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { bucketsOf, spansOf, wholeBucketsOf } from './bucket-table.ts';
import { ByteBoundedCache } from './byte-bounded-cache.ts';
import { FloorMap } from './floor-map.ts';
import { readIdentity, writeIdentity, type Identity } from './identity-file.ts';
import { KeyIndex, NOTHING_ACCEPTED, type IndexEntry } from './key-index.ts';
import { checkBody, Log, type Appended } from './log.ts';
import { BODY_PREFIX_BYTES, parseSegmentName, RECORD_HEADER_BYTES, recordCrc, SALT_BYTES } from './log-format.ts';
import { recoverLog, type LogRecoveryOutcome } from './log-recovery.ts';
import { readLogRecord, type LogRecord } from './log-record.ts';
import { NodeState } from './node-state.ts';
import type { LayoutSlot, LoadedRecord, NodeStateStore, RegisterHead, RegisterStore, ScanEntry } from './register-store.ts';
import { StagedBodies } from './staged-bodies.ts';

export interface ObjectStoreDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: OperatorLog;
  readonly random: Random;
  /** Called once, when a write or sync failed: the process must end. */
  readonly onFailure: (error: unknown) => void;
  /** Stored bytes failed their checksum when they were read. */
  readonly onDamage: (detail: string) => void;
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
  /** True only in tests that show what acknowledging before the sync breaks. */
  readonly resolveBeforeSync: boolean;
}

export type OpenOutcome =
  | { readonly kind: 'opened'; readonly store: ObjectStore }
  /** The directory of the node `name` with M = `keyBits`. */
  | { readonly kind: 'foreign'; readonly name: string; readonly keyBits: number }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'in-use' }
  | { readonly kind: 'damaged'; readonly file: string; readonly offset: number; readonly detail: string };

/** About what a decoded record, an operation in it and a buffer take in memory. */
const DECODED_BYTES = 1000;
const OP_BYTES = 250;
const BUFFER_BYTES = 200;
/** A ballot's epoch takes 4 bytes in the index. */
const EPOCH_MAX = 2 ** 32 - 1;

interface RecordLocation {
  readonly position: number;
  readonly bytes: number;
}

export class ObjectStore implements RegisterStore, NodeStateStore {
  readonly #deps: ObjectStoreDeps;
  readonly #options: ObjectStoreOptions;
  readonly #index = new KeyIndex();
  readonly #floors = new FloorMap();
  readonly #staged: StagedBodies;
  readonly #state = new NodeState();
  readonly #records: ByteBoundedCache<LoadedRecord>;
  readonly #bodies: ByteBoundedCache<Buffer>;
  /** Peers remembered since the last batch. */
  readonly #unwrittenPeers = new Set<NodeId>();
  #identity: Identity;
  #log: Log | null = null;
  #lock: DiskLock | null = null;
  recoveredPosition = 0;

  private constructor(deps: ObjectStoreDeps, options: ObjectStoreOptions, identity: Identity) {
    this.#deps = deps;
    this.#options = options;
    this.#identity = identity;
    this.#staged = new StagedBodies({ countMax: options.stagedBodiesMax, timeToLiveMs: STAGING_TTL_MS });
    this.#records = new ByteBoundedCache(options.recordCacheBytes, ({ name, record }) => DECODED_BYTES + 2 * name.length + OP_BYTES * record.ops.length);
    this.#bodies = new ByteBoundedCache(options.bodyCacheBytes, (body) => BUFFER_BYTES + body.length);
  }

  /** Rejects only with errors of the disk itself. */
  static async open(deps: ObjectStoreDeps, options: ObjectStoreOptions): Promise<OpenOutcome> {
    const { disk } = deps;
    await disk.makeDirectory(options.directory);
    let lock: DiskLock;
    try {
      lock = await disk.lock(options.directory);
    } catch (error) {
      if (error instanceof DhtError && error.code === 'DHT_ERR_DATA_DIR_IN_USE') return { kind: 'in-use' };
      throw error;
    }
    let outcome: OpenOutcome | null = null;
    try {
      outcome = await ObjectStore.#openLocked(deps, options);
    } finally {
      if (outcome?.kind === 'opened') outcome.store.#lock = lock;
      else await lock.release();
    }
    return outcome;
  }

  static async #openLocked(deps: ObjectStoreDeps, options: ObjectStoreOptions): Promise<OpenOutcome> {
    const { disk, random } = deps;
    const { directory, name, keyBits } = options;
    const found = await readIdentity(disk, directory);
    if (found.kind === 'newer') return found;
    if (found.kind === 'damaged') return { ...found, offset: 0 };
    if (found.kind === 'identity' && (found.identity.name !== name || found.identity.keyBits !== keyBits)) {
      return { kind: 'foreign', name: found.identity.name, keyBits: found.identity.keyBits };
    }
    const logDirectory = `${directory}/log`;
    if (found.kind === 'missing' && (await disk.list(logDirectory)).some((file) => parseSegmentName(file) !== null)) {
      return { kind: 'damaged', file: `${directory}/node.json`, offset: 0, detail: 'it is missing, but there is a log' };
    }
    const before: Identity = found.kind === 'identity'
      ? found.identity
      : { name, keyBits, nodeId: random.hex(16) as NodeId, boot: 0, logSalt: random.hex(SALT_BYTES) };
    const store = new ObjectStore(deps, options, { ...before, boot: before.boot + 1 });
    const salt = Buffer.from(before.logSalt, 'hex');
    await disk.makeDirectory(logDirectory);
    const recovered = await recoverLog(disk, { directory: logDirectory, keyBits, salt }, (record, at, bodyBytes) => {
      store.#apply(record, at, bodyBytes);
    });
    if (recovered.kind !== 'recovered') return recovered;
    try {
      await writeIdentity(disk, directory, store.#identity);
      await store.#begin(recovered, logDirectory, salt);
      return { kind: 'opened', store };
    } catch (error) {
      for (const { file } of recovered.segments) await file.close();
      throw error;
    }
  }

  /** Cuts what recovery found torn and makes the log ready to append. */
  async #begin(recovered: LogRecoveryOutcome & { kind: 'recovered' }, directory: string, salt: Buffer): Promise<void> {
    const { disk } = this.#deps;
    const { segments, end, cutBytes, unborn } = recovered;
    const { segmentBytes, keyBits } = this.#options;
    if (unborn !== null) {
      await disk.remove(unborn);
      await disk.syncDirectory(directory);
    }
    const last = segments.at(-1);
    if (last !== undefined && cutBytes !== null) {
      this.#deps.log.warn('a torn write at the end of the log was cut off', { segment: last.number, bytes: cutBytes });
      await last.file.truncate(cutBytes);
      await last.file.sync();
    }
    this.recoveredPosition = end.position;
    this.#log = new Log(
      {
        disk,
        onSeal: () => { this.#appendPeers(); },
        onFailure: (error) => { this.#deps.onFailure(error); },
      },
      { directory, nodeId: this.#identity.nodeId, keyBits, salt, segmentBytes },
      segments,
      end,
    );
  }

  async close(): Promise<void> {
    await this.#openLog.close();
    await this.#lock?.release();
    this.#lock = null;
  }

  // ------------------------------------------------------------------------------------------------- registers: reads

  head(key: ObjectKey): RegisterHead | null {
    const entry = this.#index.find(key);
    return entry === null ? null : headOf(entry);
  }

  floor(key: ObjectKey): Ballot {
    return this.#floors.get(parseInt(key.slice(0, 4), 16));
  }

  async load(_key: ObjectKey, head: RegisterHead): Promise<LoadedRecord | null> {
    if (head.kind === 'none') return null;
    const { position, bytes } = head.recordAt as RecordLocation;
    const cached = this.#records.get(position);
    if (cached !== null) return cached;
    const stored = await this.#openLog.read(position, bytes);
    const loaded = parseAccept(stored, bytes);
    if (loaded === null) {
      this.#reportDamage(`the record at log position ${position} fails its checksum`);
      throw new DhtError('DHT_ERR_DATA_DAMAGED', `the record at log position ${position} fails its checksum`);
    }
    this.#records.put(position, loaded);
    return loaded;
  }

  settled(key: ObjectKey): Promise<void> {
    return this.#options.resolveBeforeSync ? Promise.resolve() : this.#openLog.settled(key);
  }

  flushed(): Promise<void> {
    return this.#options.resolveBeforeSync ? Promise.resolve() : this.#openLog.commit();
  }

  holdsBody(key: ObjectKey, bodyId: BodyId): boolean {
    return this.#bodyLocation(key, bodyId) !== null;
  }

  async readBody(key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number } | null> {
    const location = this.#bodyLocation(key, bodyId);
    if (location === null) return null;
    const { at, size } = location;
    let body = this.#bodies.get(at);
    if (body === null) {
      body = checkBody(await this.#openLog.read(at, BODY_PREFIX_BYTES + size), size);
      if (body === null) {
        this.#staged.delete(bodyId);
        this.#index.forgetBody(key, at);
        this.#reportDamage(`the body at log position ${at} fails its checksum`);
        return null;
      }
      this.#bodies.put(at, body);
    }
    return { bytes: body.subarray(offset, offset + length), size };
  }

  scan(arc: RingArc, after: ObjectKey | null, limit: number): { readonly entries: readonly ScanEntry[]; readonly isLast: boolean } {
    const entries: ScanEntry[] = [];
    let spans = spansOf(arc, this.#options.keyBits);
    if (after !== null) {
      const position = parseInt(after.slice(0, 12), 16);
      const reached = spans.findIndex(({ first, last }) => position >= first && position <= last);
      spans = spans.slice(Math.max(0, reached));
    }
    for (const [index, span] of spans.entries()) {
      const ended = this.#index.walk(span, index === 0 ? after : null, (key, entry) => {
        if (entries.length === limit) return 'stop';
        entries.push({ key, ...headOf(entry) });
        return 'go-on';
      });
      if (ended === 'stopped') return { entries, isLast: false };
    }
    return { entries, isLast: true };
  }

  floorOf(arc: RingArc): Ballot {
    return bucketsOf(arc, this.#options.keyBits).map((buckets) => this.#floors.highestOf(buckets)).reduce(maxBallot);
  }

  totals(): { readonly registers: number; readonly objects: number; readonly bodyBytes: number; readonly logBytes: number } {
    const { registers, objects, bodyBytes } = this.#index;
    return { registers, objects, bodyBytes, logBytes: this.#openLog.bytes };
  }

  // ----------------------------------------------------------------------------------------------- registers: changes

  promise(key: ObjectKey, name: string, ballot: Ballot, staged: { readonly bodyId: BodyId; readonly bytes: Buffer } | null): Promise<void> {
    return this.#change({ kind: 'promise', key, name, ballot, staged: staged?.bodyId ?? null }, staged?.bytes ?? null, key);
  }

  accept(key: ObjectKey, name: string, ballot: Ballot, record: ObjectRecord): Promise<void> {
    const bodyAt = record.kind === 'object' ? (this.#bodyLocation(key, record.body.bodyId)?.at ?? 0) : 0;
    return this.#change({ kind: 'accept', key, name, ballot, bodyAt, record }, null, key);
  }

  stage(key: ObjectKey, bodyId: BodyId, bytes: Buffer): Promise<void> {
    return this.#change({ kind: 'stage', key, bodyId }, bytes, key);
  }

  raiseFloor(arc: RingArc, floor: Ballot): Promise<void> {
    return this.#change({ kind: 'floor', arc, floor }, null, 'all');
  }

  release(entries: readonly { readonly key: ObjectKey; readonly accepted: Ballot }[]): Promise<void> {
    const keys = entries
      .filter(({ key, accepted }) => compareBallots(this.#index.find(key)?.accepted ?? ZERO_BALLOT, accepted) === 0)
      .map(({ key }) => key);
    return keys.length === 0 ? Promise.resolve() : this.#change({ kind: 'release', keys }, null, 'all');
  }

  // ------------------------------------------------------------------------------------------------------- node state

  get nodeId(): NodeId {
    return this.#identity.nodeId;
  }
  get incarnation(): number {
    return this.#identity.boot;
  }
  layout(): Layout | null {
    return this.#state.layout;
  }
  slot(): LayoutSlot {
    return this.#state.slot;
  }
  caught(): ReadonlySet<Position> {
    return this.#state.caught;
  }
  promisedFounder(): NodeId | null {
    return this.#state.promisedFounder;
  }
  remembered(peer: NodeId): { readonly boot: number; readonly position: number } | null {
    return this.#state.remembered(peer);
  }
  durablePosition(): number {
    return this.#openLog.durablePosition;
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
    if (this.#state.remember(peer, boot, position)) this.#unwrittenPeers.add(peer);
  }

  // ---------------------------------------------------------------------------------------------------------- inside

  get #openLog(): Log {
    assert(this.#log !== null, 'a store that was handed out has a log');
    return this.#log;
  }

  /** Appends and applies in one step; rejects, with nothing changed, what can't be stored. */
  #change(record: LogRecord, body: Buffer | null, changes: ObjectKey | 'all' | 'none'): Promise<void> {
    const log = this.#openLog;
    if (log.failure !== null) return Promise.reject(log.failure);
    let at: Appended;
    try {
      checkBounds(record);
      at = log.append(record, body, changes);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#apply(record, at, body?.length ?? 0);
    if (record.kind === 'accept') this.#records.put(at.recordAt, { name: record.name, record: record.record });
    if (body !== null) this.#bodies.put(at.bodyAt, compact(body));
    const done = log.commit();
    return this.#options.resolveBeforeSync ? Promise.resolve() : done;
  }

  #apply(record: LogRecord, at: Appended, bodyBytes: number): void {
    switch (record.kind) {
      case 'promise': {
        const promised = this.#index.find(record.key)?.promised ?? ZERO_BALLOT;
        this.#index.setPromised(record.key, maxBallot(promised, record.ballot));
        if (record.staged !== null) this.#stage(record.staged, at.bodyAt, bodyBytes);
        return;
      }
      case 'accept':
        this.#applyAccept(record, at);
        return;
      case 'stage':
        this.#stage(record.bodyId, at.bodyAt, bodyBytes);
        return;
      case 'floor':
        for (const buckets of bucketsOf(record.arc, this.#options.keyBits)) this.#floors.raise(buckets, record.floor);
        return;
      case 'release':
        for (const key of record.keys) this.#index.remove(key);
        return;
      case 'adopt-layout':
        this.#discard(record.discards);
        this.#state.adoptLayout(record.layout);
        return;
      case 'slot':
        this.#state.slot = record.slot;
        return;
      case 'caught':
        this.#state.setCaught(record.epoch, record.arcEnds);
        return;
      case 'promised-founder':
        this.#state.promisedFounder = record.founder;
        return;
      case 'remember':
        this.#state.remember(record.peer, record.boot, record.position);
        return;
      case 'abandon-layout':
        this.#state.abandonLayout(record.clusterId);
        return;
      default:
        assertNever(record);
    }
  }

  #applyAccept(record: LogRecord & { kind: 'accept' }, at: Appended): void {
    const value = record.record;
    const place = { ...NOTHING_ACCEPTED, accepted: record.ballot, kind: value.kind, recordAt: at.recordAt, recordBytes: at.recordBytes };
    if (value.kind === 'tombstone') {
      this.#index.setAccepted(record.key, place);
      return;
    }
    this.#index.setAccepted(record.key, { ...place, bodyAt: record.bodyAt, bodyId: value.body.bodyId, size: value.body.size });
    if (record.bodyAt !== 0) this.#staged.delete(value.body.bodyId);
  }

  #stage(bodyId: BodyId, at: number, size: number): void {
    this.#staged.add(bodyId, { at, size }, this.#deps.clock.monotonicNow());
  }

  /** Registers of the arcs go, their bodies stay as a cache, floors go only with their whole bucket. */
  #discard(arcs: readonly RingArc[]): void {
    const discarded: ObjectKey[] = [];
    for (const span of arcs.flatMap((arc) => spansOf(arc, this.#options.keyBits))) {
      this.#index.walk(span, null, (key, entry) => {
        discarded.push(key);
        if (entry.bodyId !== null && entry.bodyAt !== 0) this.#stage(entry.bodyId, entry.bodyAt, entry.size);
        return 'go-on';
      });
    }
    for (const key of discarded) this.#index.remove(key);
    for (const buckets of wholeBucketsOf(arcs, this.#options.keyBits)) this.#floors.clear(buckets);
  }

  #bodyLocation(key: ObjectKey, bodyId: BodyId): { readonly at: number; readonly size: number } | null {
    const staged = this.#staged.get(bodyId, this.#deps.clock.monotonicNow());
    if (staged !== null) return staged;
    const entry = this.#index.find(key);
    return entry !== null && entry.bodyId === bodyId && entry.bodyAt !== 0 ? { at: entry.bodyAt, size: entry.size } : null;
  }

  #appendPeers(): void {
    for (const peer of this.#unwrittenPeers) {
      const known = this.#state.remembered(peer);
      if (known !== null) this.#openLog.append({ kind: 'remember', peer, boot: known.boot, position: known.position }, null, 'none');
    }
    this.#unwrittenPeers.clear();
  }

  #reportDamage(detail: string): void {
    this.#deps.log.error('stored bytes fail their checksum', { detail });
    this.#deps.onDamage(detail);
  }
}

/** The bytes without a larger buffer behind them: a received chunk isn't kept for the sake of a part of it. */
function compact(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > 2 * bytes.length ? Buffer.from(bytes) : bytes;
}

function headOf(entry: IndexEntry): RegisterHead {
  const { promised, accepted, kind, bodyId, size, recordAt, recordBytes } = entry;
  const location: RecordLocation = { position: recordAt, bytes: recordBytes };
  return { promised, accepted, kind, bodyId, size, recordAt: location };
}

/** Null: not the accept record that was written there. */
function parseAccept(stored: Buffer, bytes: number): LoadedRecord | null {
  if (stored.length !== bytes || recordCrc(stored) !== stored.readUInt32BE(0)) return null;
  try {
    const record = readLogRecord(stored[4] ?? 0, new BinaryReader(stored, RECORD_HEADER_BYTES));
    return record.kind === 'accept' ? { name: record.name, record: record.record } : null;
  } catch (error) {
    if (error instanceof DecodeError) return null;
    throw error;
  }
}

/** What the log could write but recovery or the index couldn't take. */
function checkBounds(record: LogRecord): void {
  if (record.kind !== 'promise' && record.kind !== 'accept') return;
  if (Buffer.byteLength(record.name) > NAME_BYTES_MAX) throw new RangeError('the name is too long');
  if (record.ballot.epoch > EPOCH_MAX) throw new RangeError(`epoch ${record.ballot.epoch}`);
}
