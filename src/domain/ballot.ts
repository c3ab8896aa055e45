/**
 * Ballot: (epoch, hlc, nodeId), compared in this order. The epoch stands first so that a round begun in an older
 * layout can never outrank one of a newer layout, whatever the clocks say. The ballot of the write that made a value
 * is also that value's *version* and its ETag; internal re-accepts change the accepted ballot, not the version.
 *
 * hlc is a hybrid logical clock in one safe integer: milliseconds * 1024 + counter (good until the year 2248).
 * Source: [CASPaxos] "Ballot numbers"; [HLC] "Hybrid Logical Clocks"; protocol rule R2.
 */
import type { Epoch, NodeId } from './ids.ts';
import { isIdText } from './ids.ts';

export interface Ballot {
  readonly epoch: Epoch;
  readonly hlc: number;
  readonly nodeId: NodeId;
}

/** Counter steps within one millisecond of the hybrid clock. */
export const HLC_STEPS_PER_MS = 1024;

/** Below every real ballot. */
export const ZERO_BALLOT: Ballot = { epoch: 0, hlc: 0, nodeId: '0'.repeat(32) as NodeId };

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.hlc !== b.hlc) return a.hlc - b.hlc;
  return a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0;
}

export function equalBallots(a: Ballot, b: Ballot): boolean {
  return a.hlc === b.hlc && a.epoch === b.epoch && a.nodeId === b.nodeId;
}

export function maxBallot(a: Ballot, b: Ballot): Ballot {
  return compareBallots(a, b) >= 0 ? a : b;
}

export function isZeroBallot(a: Ballot): boolean {
  return equalBallots(a, ZERO_BALLOT);
}

/** Milliseconds since 1970 in the clock part: an object's Last-Modified. */
export function ballotWallMs(a: Ballot): number {
  return Math.floor(a.hlc / HLC_STEPS_PER_MS);
}

/** Text form `epoch-hlc-nodeId` in hex: the ETag's inside and `x-dht-version`. */
export function ballotText(a: Ballot): string {
  return `${a.epoch.toString(16)}-${a.hlc.toString(16)}-${a.nodeId}`;
}

/** Reads what `ballotText` wrote; null for anything else. */
export function parseBallot(text: string): Ballot | null {
  const match = /^([0-9a-f]{1,12})-([0-9a-f]{1,14})-([0-9a-f]{32})$/.exec(text);
  if (match === null) return null;
  const epoch = parseInt(match[1] ?? '', 16);
  const hlc = parseInt(match[2] ?? '', 16);
  const nodeId = match[3] ?? '';
  if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(hlc) || !isIdText(nodeId)) return null;
  return { epoch, hlc, nodeId: nodeId as NodeId };
}
