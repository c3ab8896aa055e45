/**
 * The state of the store in memory, as a function of the log's records: registers, their names, floors, staged bodies, node
 * state. Live changes and recovery both come through `apply`, so a restart can't disagree with the run before it. Nothing here waits.
 *
 * Source: protocol section C.1 "State and rules"; A.4 (10); rules R6, R7, R14.
 */
import { assertNever } from '../domain/assert.ts';
import type { BodyLimits } from '../domain/body-limits.ts';
import { maxBallot, ZERO_BALLOT } from '../domain/ballot.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';
import type { ObjectKey, RingArc } from '../domain/ring-position.ts';
import { BUCKET_COUNT, bucketOfAligned, bucketOfKey, bucketsOf, spansOf, wholeBucketsOf } from './bucket-table.ts';
import { FloorMap } from './floor-map.ts';
import { addDigest, digestOf, DIGEST_WORDS, PAGE_BUCKETS, PAGE_COUNT } from './hash-tree.ts';
import { visitStretches } from './hash-stretches.ts';
import { KeyIndex, namesOf, NOTHING_ACCEPTED, visitPlaces, type IndexEntry } from './key-index.ts';
import type { Appended } from './log.ts';
import { BODY_IN_FILE } from './log-format.ts';
import type { LogRecord } from './log-record.ts';
import { NameIndex } from './name-index.ts';
import { NodeState } from './node-state.ts';
import { StagedBodies, type BodyLocation } from './staged-bodies.ts';

export interface StoreStateOptions {
  readonly keyBits: number;
  readonly stagedBodiesMax: number;
  readonly bodies: BodyLimits;
}

/** Released registers for each block of names that is swept: a tenth of a listing's names at most are of registers that went. */
const RELEASES_PER_SWEPT_BLOCK = 8;

const NO_BODIES: readonly BodyId[] = [];

export class StoreState {
  readonly index = new KeyIndex();
  readonly floors = new FloorMap();
  readonly node = new NodeState();
  readonly names: NameIndex;
  readonly #staged: StagedBodies;
  /** Bodies in files that nothing names any more. */
  #unnamed = new Set<BodyId>();
  readonly #keyBits: number;

  constructor(options: StoreStateOptions) {
    this.#keyBits = options.keyBits;
    this.names = new NameIndex((bytes, at) => this.index.isAccepted(bytes, at));
    this.#staged = new StagedBodies({
      countMax: options.stagedBodiesMax,
      timeToLiveMs: options.bodies.stagingTtlMs,
      onDrop: (bodyId, { at }) => { if (at === BODY_IN_FILE) this.#unnamed.add(bodyId); },
    });
  }

  /** `at`, `bodyBytes`: where the log has the record, and the size of the body behind it. */
  apply(record: LogRecord, at: Appended, bodyBytes: number, now: MonotonicMs): void {
    switch (record.kind) {
      case 'promise': {
        const promised = this.index.find(record.key)?.promised ?? ZERO_BALLOT;
        this.index.setPromised(record.key, maxBallot(promised, record.ballot));
        if (record.staged !== null) this.#staged.add(record.staged, { at: at.bodyAt, size: bodyBytes }, now);
        return;
      }
      case 'accept':
        this.#accept(record, at);
        return;
      case 'move-record':
        this.index.moveRecord(record.key, record.from, at.recordAt, at.recordBytes);
        return;
      case 'move-body':
        this.#moveBody(record, at.bodyAt);
        return;
      case 'stage':
        this.#staged.add(record.bodyId, { at: at.bodyAt, size: bodyBytes }, now);
        return;
      case 'floor':
        for (const buckets of bucketsOf(record.arc, this.#keyBits)) this.floors.raise(buckets, record.floor);
        return;
      case 'release':
        for (const key of record.keys) this.#release(key);
        this.names.sweep(Math.ceil(record.keys.length / RELEASES_PER_SWEPT_BLOCK));
        return;
      case 'erase':
        for (const { key, ballot } of record.entries) {
          this.#release(key);
          const bucket = bucketOfKey(key);
          this.floors.raise({ first: bucket, last: bucket }, ballot);
        }
        this.names.sweep(Math.ceil(record.entries.length / RELEASES_PER_SWEPT_BLOCK));
        return;
      case 'adopt-layout':
        this.#discard(record.discards, now);
        this.node.adoptLayout(record.layout);
        return;
      case 'slot':
        this.node.slot = record.slot;
        return;
      case 'caught':
        this.node.setCaught(record.epoch, record.arcEnds);
        return;
      case 'promised-founder':
        this.node.promisedFounder = record.founder;
        return;
      case 'remember':
        this.node.remember(record.peer, record.boot, record.position);
        return;
      case 'abandon-layout':
        this.node.abandonLayout(record.clusterId);
        return;
      case 'body-file':
        this.#unnamed.delete(record.bodyId);
        if (this.index.find(record.key)?.bodyId === record.bodyId) this.index.setBodyAt(record.key, BODY_IN_FILE);
        else this.#staged.add(record.bodyId, { at: BODY_IN_FILE, size: record.size }, now);
        return;
      default:
        assertNever(record);
    }
  }

  /** The staged bodies as they are now, oldest first: references only. */
  stagedNow(): { readonly ids: readonly BodyId[]; readonly locations: readonly BodyLocation[] } {
    return this.#staged.now();
  }

  /** A staged body of a checkpoint. */
  loadStaged(bodyId: BodyId, location: BodyLocation, now: MonotonicMs): void {
    this.#staged.add(bodyId, location, now);
  }

  /** Where the body is, staged or named by the accepted record; null when it isn't held. */
  bodyLocation(key: ObjectKey, bodyId: BodyId, now: MonotonicMs): BodyLocation | null {
    const staged = this.#staged.get(bodyId, now);
    if (staged !== null) return staged;
    const entry = this.index.find(key);
    return entry !== null && entry.bodyId === bodyId && entry.bodyAt !== 0 ? { at: entry.bodyAt, size: entry.size } : null;
  }

  /** Whether the body is at that position of the log, staged or, with `key`, named by the accepted record. */
  isBodyAt(key: ObjectKey | null, bodyId: BodyId, at: number): boolean {
    if (this.#staged.locationOf(bodyId)?.at === at) return true;
    const entry = key === null ? null : this.index.find(key);
    return entry !== null && entry.bodyId === bodyId && entry.bodyAt === at;
  }

  /** The body's bytes are rotten or missing: it is no longer held. `key` null: it was staged. */
  forgetBody(key: ObjectKey | null, bodyId: BodyId, at: number): void {
    this.#staged.delete(bodyId);
    const entry = key === null ? null : this.index.find(key);
    if (key !== null && entry?.bodyId === bodyId && entry.bodyAt === at) this.index.setBodyAt(key, 0);
  }

  /** The register has another body by now, or none. */
  isReplaced(key: ObjectKey, bodyId: BodyId): boolean {
    return this.index.find(key)?.bodyId !== bodyId;
  }

  /** Bodies in files that lost their last name since the call before. */
  takeUnnamed(): readonly BodyId[] {
    if (this.#unnamed.size === 0) return NO_BODIES;
    const unnamed = [...this.#unnamed];
    this.#unnamed = new Set();
    return unnamed;
  }

  /** Staged bodies end after their time to live. */
  dropExpired(now: MonotonicMs): void {
    this.#staged.dropExpired(now);
  }

  /** Bodies in files: each with the key whose accepted record names it, or null when it is staged. */
  bodiesInFiles(): ReadonlyMap<BodyId, ObjectKey | null> {
    const bodies = new Map<BodyId, ObjectKey | null>();
    for (const [bodyId, { at }] of this.#staged.entries()) if (at === BODY_IN_FILE) bodies.set(bodyId, null);
    for (let bucket = this.index.nextBucket(0); bucket < BUCKET_COUNT; bucket = this.index.nextBucket(bucket + 1)) {
      const entries = this.index.entriesOf(bucket);
      visitPlaces(entries, (_recordAt, _recordBytes, bodyAt, _bodyBytes, at) => {
        if (bodyAt !== BODY_IN_FILE) return;
        const { key, bodyId } = namesOf(bucket, entries, at);
        bodies.set(bodyId, key);
      });
    }
    return bodies;
  }

  /** Keys of the arc after the cursor, clockwise, until `visit` says stop. */
  walk(arc: RingArc, after: ObjectKey | null, visit: (key: ObjectKey, entry: IndexEntry) => 'go-on' | 'stop'): 'end' | 'stopped' {
    let spans = spansOf(arc, this.#keyBits);
    if (after !== null) {
      const position = parseInt(after.slice(0, 12), 16);
      const reached = spans.findIndex(({ first, last }) => position >= first && position <= last);
      spans = spans.slice(Math.max(0, reached));
    }
    for (const [index, span] of spans.entries()) {
      if (this.index.walk(span, index === 0 ? after : null, visit) === 'stopped') return 'stopped';
    }
    return 'end';
  }

  /** Digests of what is accepted in the arcs (which don't overlap): of the pages, or, with `page`, of the buckets of that page. */
  digests(arcs: readonly RingArc[], page: number | null): Uint32Array {
    const { tree } = this.index;
    const digests = new Uint32Array((page === null ? PAGE_COUNT : PAGE_BUCKETS) * DIGEST_WORDS);
    const childOf = (bucket: number): number => (page === null ? bucket >>> 8 : bucket & 255);
    visitStretches(arcs.flatMap((arc) => spansOf(arc, this.#keyBits)), page, {
      page: page === null ? (number) => { tree.addPage(number, digests, number); } : null,
      bucket: (number) => { tree.addBucket(number, digests, childOf(number)); },
      part: (span) => {
        this.index.walk(span, null, (key, { kind, accepted }) => {
          if (kind !== 'none') addDigest(digestOf(key, accepted), 0, digests, childOf(bucketOfAligned(span.first)));
          return 'go-on';
        });
      },
    });
    return digests;
  }

  /** Live objects in the arcs. */
  objectsIn(arcs: readonly RingArc[]): number {
    const { tree } = this.index;
    let objects = 0;
    visitStretches(arcs.flatMap((arc) => spansOf(arc, this.#keyBits)), null, {
      page: (number) => { objects += tree.objectsInPage(number); },
      bucket: (number) => { objects += tree.objectsInBucket(number); },
      part: (span) => {
        this.index.walk(span, null, (_key, { kind }) => {
          if (kind === 'object') objects++;
          return 'go-on';
        });
      },
    });
    return objects;
  }

  #accept(record: LogRecord & { kind: 'accept' }, at: Appended): void {
    const { key, ballot: accepted, bodyAt, record: value } = record;
    const place = { ...NOTHING_ACCEPTED, accepted, version: value.version, kind: value.kind, recordAt: at.recordAt, recordBytes: at.recordBytes };
    const body = value.kind === 'object' ? value.body : null;
    const before = this.index.setAccepted(key, body === null ? place : { ...place, bodyAt, bodyId: body.bodyId, size: body.size });
    if (!before.wasAccepted) this.names.add(record.name, key);
    if (before.fileBodyId !== null && before.fileBodyId !== body?.bodyId) this.#unnamed.add(before.fileBodyId);
    if (body !== null && bodyAt !== 0) this.#staged.delete(body.bodyId);
  }

  #moveBody({ key, bodyId, from }: LogRecord & { kind: 'move-body' }, to: number): void {
    if (this.#staged.locationOf(bodyId)?.at === from) this.#staged.move(bodyId, to);
    const entry = key === null ? null : this.index.find(key);
    if (key !== null && entry !== null && entry.bodyId === bodyId && entry.bodyAt === from) this.index.setBodyAt(key, to);
  }

  #release(key: ObjectKey): void {
    const { fileBodyId } = this.index.remove(key);
    if (fileBodyId !== null) this.#unnamed.add(fileBodyId);
  }

  /** Registers of the arcs go, their bodies stay as a cache, floors go only with their whole bucket. */
  #discard(arcs: readonly RingArc[], now: MonotonicMs): void {
    const discarded: ObjectKey[] = [];
    for (const arc of arcs) {
      this.walk(arc, null, (key, entry) => {
        discarded.push(key);
        if (entry.bodyId !== null && entry.bodyAt !== 0) this.#staged.add(entry.bodyId, { at: entry.bodyAt, size: entry.size }, now);
        return 'go-on';
      });
    }
    for (const key of discarded) this.index.remove(key);
    this.names.sweep(Math.ceil(discarded.length / RELEASES_PER_SWEPT_BLOCK));
    for (const buckets of wholeBucketsOf(arcs, this.#keyBits)) this.floors.clear(buckets);
  }
}
