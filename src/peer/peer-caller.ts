/**
 * What the upper ranks see of the network: one call, one reply, or one reason why there is none. A node calls itself
 * through the same interface (handled without bytes), so no caller has a special case for its own replica.
 */
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { PeerIdentity, PeerTarget } from '../domain/peer-identity.ts';
import type { ReplyOf, RequestKind, RequestOf } from '../protocol/message.ts';

export type { PeerIdentity, PeerTarget };

export type CallFailure =
  /** The request never left this node: certainly not applied there. */
  | { readonly kind: 'not-sent'; readonly detail: string }
  /** It may have been received and applied; no answer came in time or the connection broke. */
  | { readonly kind: 'no-answer'; readonly detail: string }
  /** Someone else lives at that address now: another nodeId or another cluster. Not applied. */
  | { readonly kind: 'wrong-node'; readonly detail: string };

export type CallOutcome<K extends RequestKind> =
  | { readonly kind: 'reply'; readonly from: NodeId; readonly reply: ReplyOf<K> }
  | CallFailure;

export interface PeerCaller {
  /** Never rejects. `timeoutMs` bounds dialling, sending and waiting together and travels as the remaining deadline. */
  call<K extends RequestKind>(target: PeerTarget, request: RequestOf<K> & { readonly kind: K }, timeoutMs: number): Promise<CallOutcome<K>>;
}

/** The receiving side: the node's message router. Never rejects; a bug in a handler ends the process by assertion. */
export interface RequestHandler {
  /** `epoch`: of the sender's layout when it sent this. `deadlineMs`: what is left of the time that the caller waits. */
  handle<K extends RequestKind>(from: PeerIdentity, request: RequestOf<K> & { readonly kind: K }, deadlineMs: number, epoch: Epoch): Promise<ReplyOf<K>>;
}
