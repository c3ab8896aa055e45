/**
 * The state of the store in memory, as a function of the log's records: registers, floors, staged bodies, node state. Live
 * changes and recovery both come through `apply`, so a restart can't disagree with the run before it. Nothing here waits.
 *
 * Source: protocol section C.1 "State and rules"; A.4 (10); rules R6, R7, R14.
 */
import { assertNever } from '../domain/assert.ts';
import { maxBallot, ZERO_BALLOT } from '../domain/ballot.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';
import { STAGING_TTL_MS } from '../domain/limits.ts';
import type { ObjectKey, RingArc } from '../domain/ring-position.ts';
import { bucketsOf, spansOf, wholeBucketsOf } from './bucket-table.ts';
import { FloorMap } from './floor-map.ts';
import { KeyIndex, NOTHING_ACCEPTED, type IndexEntry } from './key-index.ts';
import type { Appended } from './log.ts';
import type { LogRecord } from './log-record.ts';
import { NodeState } from './node-state.ts';
import { StagedBodies, type BodyLocation } from './staged-bodies.ts';

export interface StoreStateOptions {
  readonly keyBits: number;
  readonly stagedBodiesMax: number;
}

export class StoreState {
  readonly index = new KeyIndex();
  readonly floors = new FloorMap();
  readonly node = new NodeState();
  readonly #staged: StagedBodies;
  readonly #keyBits: number;

  constructor(options: StoreStateOptions) {
    this.#keyBits = options.keyBits;
    this.#staged = new StagedBodies({ countMax: options.stagedBodiesMax, timeToLiveMs: STAGING_TTL_MS });
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
      case 'stage':
        this.#staged.add(record.bodyId, { at: at.bodyAt, size: bodyBytes }, now);
        return;
      case 'floor':
        for (const buckets of bucketsOf(record.arc, this.#keyBits)) this.floors.raise(buckets, record.floor);
        return;
      case 'release':
        for (const key of record.keys) this.index.remove(key);
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
      default:
        assertNever(record);
    }
  }

  /** Where the log has the body, staged or named by the accepted record; null when it isn't held. */
  bodyLocation(key: ObjectKey, bodyId: BodyId, now: MonotonicMs): BodyLocation | null {
    const staged = this.#staged.get(bodyId, now);
    if (staged !== null) return staged;
    const entry = this.index.find(key);
    return entry !== null && entry.bodyId === bodyId && entry.bodyAt !== 0 ? { at: entry.bodyAt, size: entry.size } : null;
  }

  /** The body's bytes have rotted: it is no longer held. */
  forgetBody(key: ObjectKey, bodyId: BodyId, at: number): void {
    this.#staged.delete(bodyId);
    this.index.forgetBody(key, at);
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

  #accept(record: LogRecord & { kind: 'accept' }, at: Appended): void {
    const value = record.record;
    const place = { ...NOTHING_ACCEPTED, accepted: record.ballot, kind: value.kind, recordAt: at.recordAt, recordBytes: at.recordBytes };
    if (value.kind === 'tombstone') {
      this.index.setAccepted(record.key, place);
      return;
    }
    this.index.setAccepted(record.key, { ...place, bodyAt: record.bodyAt, bodyId: value.body.bodyId, size: value.body.size });
    if (record.bodyAt !== 0) this.#staged.delete(value.body.bodyId);
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
    for (const buckets of wholeBucketsOf(arcs, this.#keyBits)) this.floors.clear(buckets);
  }
}
