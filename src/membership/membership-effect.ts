/**
 * What the membership machine wants done. The shell in node/ carries effects out in order; writes go to the node's
 * durable state, and what depends on them waits for `persisted`.
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { ClusterId, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { RingArc } from '../domain/ring-position.ts';
import type { LogFields } from '../ports/log.ts';
import type { PeerReply } from '../protocol/message.ts';
import type { LayoutSlot } from '../layout/chain-acceptor.ts';
import type { MembershipRequest } from './membership-event.ts';

export type MembershipEffect =
  /** Answered by one event `reply` or `no-reply` with the tag. A target that is this node itself is served as well. */
  | { readonly kind: 'send'; readonly tag: number; readonly target: PeerTarget; readonly request: MembershipRequest; readonly timeoutMs: number }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: PeerReply }
  /** Writes, each answered by `persisted`. adopt: discards registers of the arcs and clears slot and caught with it. */
  | { readonly kind: 'adopt'; readonly tag: number; readonly layout: Layout; readonly discards: readonly RingArc[] }
  | { readonly kind: 'save-slot'; readonly tag: number; readonly slot: LayoutSlot }
  | { readonly kind: 'save-founder'; readonly tag: number; readonly founder: NodeId }
  /** Gives up a ring of one. The shell looks once more whether nothing is stored, or answers `abandon-refused`. */
  | { readonly kind: 'abandon'; readonly tag: number; readonly clusterId: ClusterId }
  /** What a peer said of its own log (rule R16). */
  | { readonly kind: 'remember'; readonly peer: NodeId; readonly boot: number; readonly position: number }
  /** All is ready to found a ring, and nobody permitted it yet. Answered, when it is, by the event `founding-permitted` or `founding-refused`. */
  | { readonly kind: 'ask-to-found' }
  /** The command join or found is fulfilled, or never will be. */
  | { readonly kind: 'joined' }
  | { readonly kind: 'join-failed'; readonly code: ErrorCode; readonly detail: string }
  /** The command recover: done, or why not. */
  | { readonly kind: 'recovered'; readonly layout: Layout }
  | { readonly kind: 'recover-refused'; readonly detail: string }
  /** Another process speaks as this node: one of them has to end. */
  | { readonly kind: 'identity-doubled'; readonly detail: string }
  /** The ring needs this node no more; it may stop once its records have receipts. */
  | { readonly kind: 'left' }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly message: string; readonly fields: LogFields };
