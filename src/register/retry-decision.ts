/**
 * Retry decision: what a new round may conclude about this operation's earlier ACCEPTs, from the highest accepted value
 * that its quorum reports. To retry blindly after an ACCEPT has left is the commonest bug of all: the first one may have
 * been chosen, and overwritten, before.
 *
 * `not-applied` allows to propose again; it isn't final until that proposal is chosen, because a replica outside the
 * quorum may still hold the earlier one.
 * Source: protocol rule R9, whose order of questions matters.
 */
import { compareBallots, equalBallots, type Ballot } from '../domain/ballot.ts';
import type { OpId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import { OPS_KEPT_MAX, type ObjectRecord, type OpResult } from '../domain/stored-object.ts';
import { findOp } from './proposal.ts';

/** What this operation sent: the ballot of its first ACCEPT, and the version its latest proposal was built on. */
export interface SentProposal {
  readonly firstBallot: Ballot;
  /** Null: the key was absent. */
  readonly baseVersion: Ballot | null;
}

export type RetryDecision =
  | { readonly kind: 'applied'; readonly op: OpResult }
  | { readonly kind: 'not-applied' }
  | { readonly kind: 'unknown' };

const NOT_APPLIED: RetryDecision = { kind: 'not-applied' };
const UNKNOWN: RetryDecision = { kind: 'unknown' };

/** `current`: highest accepted value of the quorum; `floor`: the highest floor it reported. */
export function decideRetry(opId: OpId, sent: SentProposal, current: ObjectRecord | null, floor: Ballot, rules: Rules): RetryDecision {
  const op = findOp(current, opId);
  if (op !== null) return { kind: 'applied', op };
  if (rules.retryAsksLineage && compareBallots(current?.lineageFloor ?? floor, sent.firstBallot) >= 0) return UNKNOWN;
  if (current === null) return sent.baseVersion === null ? NOT_APPLIED : UNKNOWN;
  if (sent.baseVersion !== null && equalBallots(current.version, sent.baseVersion)) return NOT_APPLIED;
  return isKnownSince(current, sent.firstBallot) ? NOT_APPLIED : UNKNOWN;
}

/**
 * Whether the record's history holds every operation since `ballot`: none was dropped yet, or the oldest that is left is older.
 * Along a lineage versions rise without gaps in the history, for each write goes above what it builds on. A key that was
 * written often has a full history for good: without the second question one other write in between made its outcome unknown.
 */
export function isKnownSince({ ops }: ObjectRecord, ballot: Ballot): boolean {
  const [oldest] = ops;
  return ops.length < OPS_KEPT_MAX || (oldest !== undefined && compareBallots(oldest.version, ballot) < 0);
}
