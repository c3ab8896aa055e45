/**
 * Membership notes: what the machine tells whoever counts (metrics). Nothing of it comes back, so a machine does the same
 * whether anybody listens or not. Called in the middle of a step: only to be counted.
 */
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { Answer } from './exchange.ts';

/** direct: this node's own ping. indirect: another node was asked to try. */
export type ProbeKind = 'direct' | 'indirect';
/** error: it never left, or somebody else lives at that address. */
export type ProbeResult = 'ack' | 'timeout' | 'error';
/** no_ring: that seed knows none. rejected: a ring doesn't want this node, or it is another ring. */
export type JoinAttempt = 'ok' | 'no_ring' | 'rejected' | 'unreachable';

export interface MembershipNotes {
  probed(kind: ProbeKind, result: ProbeResult, durationMs: number): void;
  /** A member counts as suspect here from now on, by this node's finding or another's. */
  suspected(): void;
  /** A suspect, or one held for down, turned out to live: the same process said so. */
  refuted(): void;
  /** A member counts as down here from now on. */
  down(): void;
  /** A member that this node pings is avoided here from now on; `silentMs`: since its last sign of life. */
  detected(silentMs: number): void;
  joinAttempted(result: JoinAttempt): void;
}

/** What this node makes of another member, for a gauge of each. */
export interface PeerSuspicion {
  readonly nodeId: NodeId;
  /** 0: trusted. Up to 1: which part of the misses in a row it has that make it silent; 1 also while it is suspect. 2: down. */
  readonly level: number;
  /** Null: no sign of life in this process life. */
  readonly heardAt: MonotonicMs | null;
}

/** `isAnswered`: the member that the probe was for did answer. */
export function probeResult(answer: Answer<'ping' | 'probe'>, isAnswered: boolean): ProbeResult {
  if (isAnswered) return 'ack';
  return answer.kind === 'reply' || answer.failure === 'no-answer' ? 'timeout' : 'error';
}

const IGNORE = (): void => {};

export const NO_NOTES: MembershipNotes = { probed: IGNORE, suspected: IGNORE, refuted: IGNORE, down: IGNORE, detected: IGNORE, joinAttempted: IGNORE };
