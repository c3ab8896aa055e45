/**
 * The vocabulary of object operations: what the gateway asks of the coordinator and every way it can end. An outcome
 * is never a guess: `unknown` says that the write may be there, `not-applied` that it certainly isn't.
 */
import type { Ballot } from './ballot.ts';
import type { ErrorCode } from './error-catalogue.ts';
import type { OpId } from './ids.ts';
import type { LiveRecord } from './stored-object.ts';

/** Evaluated inside the round, on the highest accepted value. */
export type WriteCondition =
  | { readonly kind: 'none' }
  /** If-None-Match: * — only when there is no live object. */
  | { readonly kind: 'absent' }
  /** If-Match: * — only when there is a live object. */
  | { readonly kind: 'present' }
  /** If-Match: "<etag>" — only when the live object has one of these versions. */
  | { readonly kind: 'version'; readonly versions: readonly Ballot[] };

/**
 * Whether the client still waits for the outcome of a write. One that has gone may have sent it again elsewhere, so a write that
 * is not proposed yet by then is not applied any more: it could come long after the retry, and after other writes.
 */
export type IsAwaited = () => boolean;

export const ALWAYS_AWAITED: IsAwaited = () => true;

export interface PutRequest {
  readonly name: string;
  /** Up to INLINE_BODY_BYTES_MAX. Owned by the operation. */
  readonly body: Buffer;
  readonly contentType: string;
  readonly meta: readonly (readonly [string, string])[];
  readonly condition: WriteCondition;
  /** Given by a client that wants to retry safely; otherwise the coordinator picks one. */
  readonly opId: OpId | null;
  /** Always, when left out. */
  readonly isAwaited?: IsAwaited;
}

/** A body that comes piece by piece; whoever reads sets the pace. */
export interface BodySource {
  /** The next bytes, of any length; null at the end. Rejects when the sender breaks off: then nothing is stored. */
  next(): Promise<Buffer | null>;
}

export interface PutStreamRequest extends Omit<PutRequest, 'body'> {
  readonly source: BodySource;
  /** Bytes announced by the client; null when unknown. Another length at the end is refused. */
  readonly expectedSize: number | null;
  /**
   * Asked after the last byte and before anything is committed: null to go on, or why not (a digest that doesn't match).
   */
  readonly verify: () => { readonly code: ErrorCode; readonly detail: string } | null;
}

/** A stored body, read in order; whoever reads sets the pace. */
export interface BodyReader {
  /** The next bytes; null at the end. Rejects when no replica can give them any more, or the whole fails its SHA-256. */
  next(): Promise<Buffer | null>;
  /** The reader is of no more interest: what is on its way is dropped. */
  cancel(): void;
}

/** Bytes [offset, offset + length) of an object. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface ListRequest {
  readonly prefix: string;
  /** Names that go on behind the prefix with this text in them are shown as one common prefix; null: all names. */
  readonly delimiter: string | null;
  /** 1 to LIST_PAGE_MAX entries and common prefixes together. */
  readonly limit: number;
  /** As the page before returned it; null: from the beginning. */
  readonly cursor: string | null;
}

export interface ListedObject {
  readonly name: string;
  readonly size: number;
  /** Strong, with its quotes. */
  readonly etag: string;
  /** RFC 3339. */
  readonly modified: string;
}

export type ListOutcome =
  | { readonly kind: 'page'; readonly objects: readonly ListedObject[]; readonly commonPrefixes: readonly string[]; readonly cursor: string | null }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };

export interface DeleteRequest {
  readonly name: string;
  readonly condition: WriteCondition;
  readonly opId: OpId | null;
  readonly isAwaited?: IsAwaited;
}

export interface GetRequest {
  readonly name: string;
  /** one: the nearest copy, may be stale, and the answer says so. */
  readonly consistency: 'linearizable' | 'one';
  /** HEAD: the record alone. */
  readonly wantBody: boolean;
}

/** What the ring really held when the operation was answered. */
export interface Receipt {
  readonly name: string;
  /** Position on the ring. */
  readonly key: number;
  readonly size: number;
  readonly sha256: string;
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly version: string;
  /** Name (`host:port`) of the owner. */
  readonly owner: string;
  readonly replicas: readonly { readonly node: string; readonly durable: boolean }[];
  readonly replicationFactor: number;
  readonly durableCopies: number;
}

export type WriteFailure =
  | { readonly kind: 'precondition-failed'; readonly current: Ballot | null }
  /** Certainly nothing changed: no ACCEPT left this node, or it is proven that it took no effect. */
  | { readonly kind: 'not-applied'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'unknown'; readonly detail: string };

export type PutOutcome = { readonly kind: 'stored'; readonly isCreated: boolean; readonly receipt: Receipt } | WriteFailure;
export type DeleteOutcome = { readonly kind: 'deleted'; readonly wasPresent: boolean } | WriteFailure;
export type GetOutcome =
  | {
    readonly kind: 'found';
    readonly record: LiveRecord;
    /** The bytes of an inline body when they were wanted; null: not wanted, or large. */
    readonly body: Buffer | null;
    /** Reads a large body, or a range of it; throws nothing, opens nothing before the first `next`. */
    readonly open: (range: ByteRange) => BodyReader;
    readonly isStalePossible: boolean;
  }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly code: ErrorCode; readonly detail: string };

