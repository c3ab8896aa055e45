/**
 * An arc as one or two pieces that don't wrap over 0, so that within a piece the order of keys is the order of their
 * bytes and a cursor is a plain comparison.
 */
import { ringSize, type Position, type RingArc } from '../domain/ring-position.ts';

export function linearArcs(arc: RingArc, keyBits: number): readonly RingArc[] {
  const last = (ringSize(keyBits) - 1) as Position;
  if (arc.from < arc.to || arc.from === last) return [arc];
  return [{ from: arc.from, to: last }, { from: last, to: arc.to }];
}
