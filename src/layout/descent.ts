/**
 * Descent: whether one layout follows another. Mostly the higher epoch of the same cluster does. A recovery (recovery.ts)
 * breaks that: it makes a layout without the votes that would forbid another one beside it, so two parts of a cut ring may
 * each make theirs, and epochs alone would let the one with the higher number swallow the other.
 *
 * So each layout carries its recoveries, and follows another only if it continues the other's list, and if the first
 * recovery beyond it started at or above the other's epoch. Everything else is a *fork*: two rings that must never merge
 * by themselves, because writes were acknowledged in both.
 *
 * ```
 *   e7 -- e8 -- e9 --recovery from e9--> e123 -- e124       e9 is followed by e124 (recovered)
 *                \-- e10 -- e11                             e10 and e124 are forked
 * ```
 * Rejected: a new clusterId for each recovery, because then a node that was only away can't tell its own ring from a
 * foreign one.
 */
import type { Layout, RecoveryRecord } from '../domain/layout.ts';

/** older: equal too. follows: newer, decided by votes. recovered: newer, by a recovery that this one didn't see. */
export type Descent = 'older' | 'follows' | 'recovered' | 'forked' | 'foreign';

/** What `shown` is to a node that has `present`. */
export function descentOf(shown: Layout, present: Layout): Descent {
  if (shown.clusterId !== present.clusterId) return 'foreign';
  const common = Math.min(shown.recoveries.length, present.recoveries.length);
  for (let i = 0; i < common; i++) if (!isSame(shown.recoveries[i], present.recoveries[i])) return 'forked';
  const further = shown.recoveries[common];
  if (further !== undefined) return further.fromEpoch >= present.epoch ? 'recovered' : 'forked';
  const known = present.recoveries[common];
  if (known !== undefined) return known.fromEpoch >= shown.epoch ? 'older' : 'forked';
  return shown.epoch > present.epoch ? 'follows' : 'older';
}

/** Whether the layout is the very one that a recovery made. */
export function isRecoveryMove(layout: Layout): boolean {
  return layout.recoveries.at(-1)?.epoch === layout.epoch;
}

function isSame(a: RecoveryRecord | undefined, b: RecoveryRecord | undefined): boolean {
  return a?.epoch === b?.epoch && a?.fromEpoch === b?.fromEpoch && a?.by === b?.by && a?.atMs === b?.atMs;
}
