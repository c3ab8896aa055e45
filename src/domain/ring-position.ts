/**
 * Positions on the ring of N = 2^M points. A position is a safe integer in [0, N); M is 8 to 48. It only places an
 * object or a token: an object's identity is its full name, and the index keeps 160 bits (ObjectKey).
 * Source: [Chord] "The Base Chord Protocol"; the seed's `N = 2^M`.
 */
import type { Brand } from './ids.ts';

export type Position = Brand<number, 'Position'>;

export const KEY_BITS_MIN = 8;
export const KEY_BITS_MAX = 48;

/** N = 2^M. */
export function ringSize(keyBits: number): number {
  return 2 ** keyBits;
}

/** Whether `x` lies in the arc (from, to], clockwise; from === to is the whole ring. */
export function isInArc(x: number, from: number, to: number): boolean {
  if (from < to) return x > from && x <= to;
  return x > from || x <= to;
}

/** (from, to] on the ring; from === to is the whole ring. */
export interface RingArc {
  readonly from: Position;
  readonly to: Position;
}

/** Steps clockwise from `from` to `to`: 0 when equal. */
export function clockwiseDistance(from: number, to: number, keyBits: number): number {
  const d = to - from;
  return d >= 0 ? d : d + ringSize(keyBits);
}

/**
 * ObjectKey: 20 bytes as 40 lower-case hex digits = position (6 bytes, big-endian, left-aligned in 48 bits) followed
 * by the first 14 bytes of SHA-256 of the name. Hex so that it sorts like its bytes and serves as a Map key.
 */
export type ObjectKey = Brand<string, 'ObjectKey'>;

/** A position as the key's 48-bit left-aligned prefix (what ObjectKeys are sorted by). */
export function alignedPosition(position: number, keyBits: number): number {
  return position * 2 ** (KEY_BITS_MAX - keyBits);
}

/** The ring position inside an ObjectKey. */
export function positionOfKey(key: ObjectKey, keyBits: number): Position {
  return Math.floor(parseInt(key.slice(0, 12), 16) / 2 ** (KEY_BITS_MAX - keyBits)) as Position;
}
