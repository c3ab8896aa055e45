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

export interface PutRequest {
  readonly name: string;
  /** Up to INLINE_BODY_BYTES_MAX. Owned by the operation. */
  readonly body: Buffer;
  readonly contentType: string;
  readonly meta: readonly (readonly [string, string])[];
  readonly condition: WriteCondition;
  /** Given by a client that wants to retry safely; otherwise the coordinator picks one. */
  readonly opId: OpId | null;
}

export interface DeleteRequest {
  readonly name: string;
  readonly condition: WriteCondition;
  readonly opId: OpId | null;
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
  | { readonly kind: 'found'; readonly record: LiveRecord; readonly body: Buffer | null; readonly isStalePossible: boolean }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly code: ErrorCode; readonly detail: string };

