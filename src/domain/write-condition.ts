/** Conditions of a write: evaluated inside the register's round, on the highest accepted value. */
import type { Ballot } from './ballot.ts';

export type WriteCondition =
  | { readonly kind: 'none' }
  /** If-None-Match: * — only when there is no live object. */
  | { readonly kind: 'absent' }
  /** If-Match: * — only when there is a live object. */
  | { readonly kind: 'present' }
  /** If-Match: "<etag>" — only when the live object has one of these versions. */
  | { readonly kind: 'version'; readonly versions: readonly Ballot[] };
