/**
 * What the upper ranks see of the local store. Every change is applied to the in-memory index *at once* (so that a
 * handler decides and changes in one synchronous step) and resolves when it is fsynced; a handler replies only after
 * that (rule R1), also for reads: `settled` waits for earlier changes of a key that are not durable yet.
 *
 * A change that is rejected with DHT_ERR_DISK_FULL or, when too many bodies wait for the disk, DHT_ERR_OVERLOADED changed nothing. Any other
 * rejection means that the disk failed: the process ends, because after a failed fsync nobody knows what the medium holds. Source: protocol sections C.1 and F.2; [FsyncFailures] "Can applications recover from fsync failures?".
 */
import type { Ballot } from '../domain/ballot.ts';
import type { BodyId, ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { ObjectKey, Position, RingArc } from '../domain/ring-position.ts';
import type { SpaceLevel } from '../domain/space-level.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';

export type { RingArc };

/** What the index knows of a key without touching the disk. An immutable snapshot. */
export interface RegisterHead {
  readonly promised: Ballot;
  /** ZERO_BALLOT: nothing accepted. */
  readonly accepted: Ballot;
  readonly kind: 'none' | 'object' | 'tombstone';
  /** Body of the accepted record. */
  readonly bodyId: BodyId | null;
  readonly size: number;
  /** Where the record is in the log; only the store looks inside. */
  readonly recordAt: unknown;
}

export interface ScanEntry extends RegisterHead {
  readonly key: ObjectKey;
}

export interface LoadedRecord {
  readonly name: string;
  readonly record: ObjectRecord;
}

/** Writes one large body. After `finish` or `abort` it is of no more use. */
export interface BodyWriter {
  /** Bytes already there and checked: above 0 when an earlier attempt was broken off. */
  readonly length: number;
  /** Appends; every piece but the last is CHUNK_BYTES long. Resolves when the disk took it, so awaiting is back-pressure. */
  append(bytes: Buffer): Promise<void>;
  /**
   * Checks length and SHA-256 of the whole, makes file and directories durable, and notes the body as staged in the log.
   * `mismatch`: it isn't that body; the file is dropped.
   */
  finish(expected: { readonly size: number; readonly sha256: string }): Promise<'held' | 'mismatch'>;
  /** Gives up. `keep`: what is there stays for a later attempt until STAGING_TTL_MS. */
  abort(keep: 'keep' | 'drop'): Promise<void>;
}

export interface TombstoneEntry {
  readonly key: ObjectKey;
  readonly accepted: Ballot;
  /** The ballot of the delete. */
  readonly version: Ballot;
}

export interface StoreTotals {
  /** Objects, tombstones and bare promises in the index. */
  readonly registers: number;
  readonly objects: number;
  readonly tombstones: number;
  /** Bytes of live bodies. */
  readonly bodyBytes: number;
  readonly logBytes: number;
}

/** What a listing shows of one register: live objects and tombstones, so that a newer tombstone hides an older object. */
export interface NamedEntry {
  readonly name: string;
  readonly key: ObjectKey;
  /** The accepted ballot: the highest among the replicas counts. */
  readonly accepted: Ballot;
  /** The record's version: ETag, and Last-Modified. */
  readonly version: Ballot;
  readonly kind: 'object' | 'tombstone';
  readonly size: number;
}

export interface RegisterStore {
  /** Null: the key was never seen here. */
  head(key: ObjectKey): RegisterHead | null;
  /** Floor of the key's bucket. */
  floor(key: ObjectKey): Ballot;
  /**
   * The record that the head points at (from a bounded cache or one positioned read). Null when kind is none, or when the
   * record was replaced so long ago that its place in the log is gone: no head of the same moment finds that. Rejects with
   * DHT_ERR_DATA_DAMAGED when its bytes have rotted: answering "no value" would lose an acknowledged write.
   */
  load(key: ObjectKey, head: RegisterHead): Promise<LoadedRecord | null>;
  /** Resolves when all changes of this key so far are durable. */
  settled(key: ObjectKey): Promise<void>;
  /** Resolves when everything applied so far is durable, whatever the key: for replies that show many registers. */
  flushed(): Promise<void>;

  /** Raises `promised`. With `staged`, the body goes into the same batch; its bytes belong to the store from now on. */
  promise(key: ObjectKey, name: string, ballot: Ballot, staged: { readonly bodyId: BodyId; readonly bytes: Buffer } | null): Promise<void>;
  /** Sets promised = accepted = ballot and the record. Its body has to be held here already (rule R6). */
  accept(key: ObjectKey, name: string, ballot: Ballot, record: ObjectRecord): Promise<void>;
  /** Keeps a body that no record names yet, until STAGING_TTL_MS. The bytes belong to the store from now on. */
  stage(key: ObjectKey, bodyId: BodyId, bytes: Buffer): Promise<void>;
  /**
   * Begins, or goes on with, a large body: its bytes go to a file of its own under `staging/`, in order, and count as held
   * only once `finish` resolved with `held`. One writer a body at a time. `busy`: another writer has it. `full`: no space.
   */
  openBody(key: ObjectKey, bodyId: BodyId): Promise<BodyWriter | 'busy' | 'full'>;
  /** Whether the body is here, staged or named by the accepted record (applied; durable after `settled`). */
  holdsBody(key: ObjectKey, bodyId: BodyId): boolean;
  /**
   * Bytes [offset, offset + length) of a held body, CRC-checked; null when it isn't held, or no longer because it has rotted.
   * A large body that was replaced while it was read can still be read for the time to linger, though it isn't held any more.
   */
  readBody(key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number } | null>;

  /** Registers of the arc after the cursor in key order, clockwise from `arc.from`; at most `limit`. */
  scan(arc: RingArc, after: ObjectKey | null, limit: number): { readonly entries: readonly ScanEntry[]; readonly isLast: boolean };
  /**
   * Accepted registers by name in UTF-8 byte order, from `from` on (inclusive) or behind it (exclusive), as long as the
   * name begins with `prefix`; at most `limit`. From memory, no disk. Bytes of names and entries are what it costs.
   */
  scanNames(prefix: string, from: { readonly name: string; readonly isInclusive: boolean } | null, limit: number): { readonly entries: readonly NamedEntry[]; readonly isLast: boolean };

  /** Tombstones of the arc after the cursor in key order, among the next `looks` registers. `next`: where to go on; null: at the end. */
  scanTombstones(arc: RingArc, after: ObjectKey | null, looks: number): { readonly entries: readonly TombstoneEntry[]; readonly next: ObjectKey | null };
  /**
   * Forgets tombstones, each only if it still is promised and accepted at this very ballot, and raises the floor of its bucket to
   * that ballot in the same durable step (rule R13). Resolves with how many went.
   */
  erase(entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[]): Promise<number>;

  /** Highest floor of the buckets the arc touches. */
  floorOf(arc: RingArc): Ballot;
  /** Raises the floor of the buckets that the arc touches (catch-up takes over the highest floor, R11). */
  raiseFloor(arc: RingArc, floor: Ballot): Promise<void>;
  /** Drops registers that this node no longer has to hold (rule R15), each only if `accepted` is still the same. */
  release(entries: readonly { readonly key: ObjectKey; readonly accepted: Ballot }[]): Promise<void>;

  /**
   * Digests of what is accepted in the arcs, which must not overlap: of each of the PAGE_COUNT pages, or, with `page`, of each
   * of its PAGE_BUCKETS buckets; DIGEST_WORDS words each (hash-tree.ts). Equal digests, equal accepted ballots.
   */
  digests(arcs: readonly RingArc[], page: number | null): Uint32Array;
  /** Live objects in the arcs. */
  objectsIn(arcs: readonly RingArc[]): number;

  /**
   * How full the volume is. From `read-only` on the store itself refuses bodies: `openBody` gives `full`, `promise` with a body
   * and `stage` reject with DHT_ERR_DISK_FULL, which changes nothing and is no failure; everything else goes on. When not even
   * the log has room, `promise` and `accept` reject so too.
   */
  spaceLevel(): SpaceLevel;

  totals(): StoreTotals;
}

/** The acceptor slot of the layout chain for instance layout.epoch + 1. */
export interface LayoutSlot {
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly value: Layout } | null;
}

/** What a node must not forget besides registers. Same contract: applied at once, resolves when durable. */
export interface NodeStateStore {
  readonly nodeId: NodeId;
  /** This boot's number: incremented and fsynced before the store is handed out. */
  readonly incarnation: number;
  layout(): Layout | null;
  slot(): LayoutSlot;
  /** Ends of arcs caught up in the present epoch. */
  caught(): ReadonlySet<Position>;
  promisedFounder(): NodeId | null;
  /** Highest (boot, fsynced log position) remembered of each peer (rule R16). */
  remembered(peer: NodeId): { readonly boot: number; readonly position: number } | null;

  /**
   * Takes over a newer layout and discards, in the same log record, the registers of `discards` (A.4, 10; R14). A bucket's
   * floor is dropped only when the whole bucket lies in the discarded arcs. Clears slot and caught.
   */
  adoptLayout(layout: Layout, discards: readonly RingArc[]): Promise<void>;
  saveSlot(slot: LayoutSlot): Promise<void>;
  saveCaught(epoch: Epoch, arcEnds: ReadonlySet<Position>): Promise<void>;
  savePromisedFounder(founder: NodeId): Promise<void>;
  /** Written with the next batch; never waited for. */
  remember(peer: NodeId, boot: number, position: number): void;
  /** Gives up a ring of one that never stored anything: layout and promised founder become null. */
  abandonLayout(clusterId: ClusterId): Promise<void>;
  /** Bytes ever appended to the log and known durable; one number that only grows. */
  durablePosition(): number;
  /** What recovery found: `durablePosition` of the log as read back at start. */
  readonly recoveredPosition: number;
}
