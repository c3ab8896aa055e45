/**
 * The value in a key's register: the small metadata record of an object or of a tombstone. The body is immutable and
 * named by a random id, so two writers never share one, and a record is complete without it (size, digest, place).
 * Source: protocol section C.1 "Durable per replica".
 */
import type { Ballot } from './ballot.ts';
import type { BodyId, OpId } from './ids.ts';

/** What an operation did, kept so that a retry gets the same answer (rule R9). */
export interface OpResult {
  readonly opId: OpId;
  /** The version that the operation made (its first ACCEPT's proposal). */
  readonly version: Ballot;
  readonly kind: 'created' | 'replaced' | 'deleted';
}

/** Where the body's bytes are: beside the record in the log, or in a body file (large bodies). */
export type BodyPlace = 'inline' | 'file';

export interface RecordBody {
  readonly bodyId: BodyId;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex of the whole body. */
  readonly sha256: string;
  readonly where: BodyPlace;
  /** CRC32 of each chunk of 256 KiB, for bodies in files; empty for inline bodies (the log record has its own). */
  readonly chunkCrcs: readonly number[];
}

interface RecordBase {
  /** The ballot of the write that made this value: ETag and token of conditional writes. */
  readonly version: Ballot;
  /** The latest operations on this key, oldest first, at most OPS_KEPT_MAX. */
  readonly ops: readonly OpResult[];
  /** The highest floor reported when the record arose from an absent key; later values copy it (rule R9). */
  readonly lineageFloor: Ballot;
}

export interface LiveRecord extends RecordBase {
  readonly kind: 'object';
  readonly body: RecordBody;
  readonly contentType: string;
  /** User metadata: lower-case names without the `x-dht-meta-` prefix. */
  readonly meta: readonly (readonly [string, string])[];
  /** Wall milliseconds of the object's first creation under this name. */
  readonly createdMs: number;
}

export interface TombstoneRecord extends RecordBase {
  readonly kind: 'tombstone';
}

export type ObjectRecord = LiveRecord | TombstoneRecord;

/** Operations remembered in a record (protocol C.1: at most 8). */
export const OPS_KEPT_MAX = 8;

/** What one replica holds for a key. `accepted` null: no value here (a promise alone doesn't count). */
export interface RegisterState {
  /** ZERO_BALLOT when nothing was promised. */
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly record: ObjectRecord } | null;
  /** The floor of the key's bucket; ZERO_BALLOT when none. */
  readonly floor: Ballot;
}
