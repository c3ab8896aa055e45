/**
 * Orphans: members whose ordinal is no longer wanted and that are down for good. A pod that was killed, evicted or cut off
 * before it could leave never comes back once the set is smaller, and it would count as a lost copy for ever. The others
 * remove it after a delay, on the evidence of two fresh reads at least a minute apart. Members inside the range are replaced
 * by the ring's own rule, like anywhere.
 * Source: protocol sections A.4 (11) and D.1.
 */
import type { DesiredNodes } from '../ports/cluster-info.ts';
import { ordinalOf } from './ordinal.ts';

/** Milliseconds between the two reads. */
export const READS_APART_MS = 60_000;

export interface OrphanEvidence {
  readonly statefulSet: string;
  readonly reapAfterMs: number;
  /** The last read, and one at least READS_APART_MS before it; null: there was none yet. */
  readonly now: DesiredNodes;
  readonly before: DesiredNodes | null;
  readonly uidAtStart: string | null;
  readonly members: readonly { readonly host: string; readonly name: string; readonly downMs: number | null }[];
}

/** Names of the members that may be removed now. */
export function orphanMembers(evidence: OrphanEvidence): readonly string[] {
  const { now, before, uidAtStart, statefulSet, reapAfterMs, members } = evidence;
  const ends = [now, before].map((desired) => {
    if (desired?.kind !== 'known' || desired.isDeleting || desired.replicas === 0) return null;
    if (uidAtStart !== null && desired.uid !== uidAtStart) return null;
    return desired.firstOrdinal + desired.replicas;
  });
  return members
    .filter(({ host, downMs }) => {
      const ordinal = ordinalOf(host, statefulSet);
      return ordinal !== null && downMs !== null && downMs >= reapAfterMs && ends.every((end) => end !== null && ordinal >= end);
    })
    .map(({ name }) => name);
}
