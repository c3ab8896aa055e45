/**
 * Leave or restart? Nobody tells a pod why it is stopped: a rolling update, a drain, an uninstall and scaling down all
 * send the same SIGTERM. Leaving is only an optimisation (an unfinished or wrong one costs time, never data), so the
 * node leaves only when a fresh read of its own StatefulSet proves that its ordinal is no longer wanted; every doubt is a
 * restart, which keeps the data and the membership.
 *
 *   wanted: gone, unknown, being deleted, zero replicas, another set than at the start  --> restart
 *   ordinal inside the range                                                            --> restart
 *   ordinal beyond it, an arc without majority                                          --> restart: data would be lost with the disk
 *   ordinal beyond it, the last member                                                  --> restart: it just stops and keeps its data
 *   ordinal beyond it                                                                   --> leave
 *
 * Rejected: preStop hooks (not run on a crash, maybe run twice), owner references of the volume claim (only with
 * whenScaled=Delete), a cached or watched read (stale exactly when it matters).
 */
import type { DesiredNodes } from '../ports/cluster-info.ts';

/** auto: as above. never, always: whatever is wanted. */

export type LeavePolicy = 'auto' | 'never' | 'always';

export interface ShutdownEvidence {
  readonly policy: LeavePolicy;
  /** Null: the pod's name has none. */
  readonly ordinal: number | null;
  /** Of the set when this process started; null: it wasn't known then. */
  readonly uidAtStart: string | null;
  readonly desired: DesiredNodes;
  /** Whether every arc has a live majority. */
  readonly isEveryArcAvailable: boolean;
  readonly memberCount: number;
}

export interface ShutdownDecision {
  readonly kind: 'leave' | 'restart';
  readonly reason: string;
}

export function decideShutdown(evidence: ShutdownEvidence): ShutdownDecision {
  const { policy, ordinal, uidAtStart, desired, isEveryArcAvailable, memberCount } = evidence;
  if (policy === 'never') return restart('the leave policy is never');
  if (policy === 'auto') {
    if (ordinal === null) return restart('the name of this pod has no ordinal');
    if (desired.kind === 'gone') return restart('the StatefulSet is gone: an uninstall keeps the data');
    if (desired.kind === 'unknown') return restart(`it is not known how many nodes are wanted: ${desired.detail}`);
    if (desired.isDeleting) return restart('the StatefulSet is being deleted: an uninstall keeps the data');
    if (desired.replicas === 0) return restart('zero nodes are wanted: the ring sleeps and keeps its data');
    if (uidAtStart !== null && desired.uid !== uidAtStart) return restart('another StatefulSet has taken the name');
    if (ordinal < desired.firstOrdinal + desired.replicas) return restart(`ordinal ${ordinal} is one of the ${desired.replicas} wanted`);
  }
  if (memberCount <= 1) return restart('the last member stops and keeps its data');
  if (!isEveryArcAvailable) return restart('an arc has no majority: its data stays on this volume');
  return { kind: 'leave', reason: policy === 'always' ? 'the leave policy is always' : `ordinal ${ordinal ?? ''} is beyond the nodes wanted` };
}

function restart(reason: string): ShutdownDecision {
  return { kind: 'restart', reason };
}
