/**
 * From texts to positions. `hasher` is the seed's function: SHA-256 as a big-endian integer, mod N = 2^M, so any
 * position can be checked by hand with `sha256sum`. An object's key carries 112 more bits of the same hash, because a
 * position only places an object and doesn't identify it.
 *
 * Cost: one SHA-256 of a short text, about 1 microsecond; `objectKey` runs once an operation.
 * Source: [Chord] "Consistent Hashing"; the seed's `hasher` and `key = hasher(host + port)`.
 */
import { hash } from 'node:crypto';
import type { NodeAddress } from '../domain/node-address.ts';
import { KEY_BITS_MAX, alignedPosition, type ObjectKey, type Position } from '../domain/ring-position.ts';

/** Hex digits of the last 48 bits of the hash: 12 of 64. */
const POSITION_DIGITS = KEY_BITS_MAX / 4;
/** Hex digits of the 14 bytes of the hash in an ObjectKey. */
const IDENTITY_DIGITS = 28;

/** SHA-256 of the text's UTF-8 bytes, as a big-endian integer, mod 2^keyBits. */
export function hasher(text: string, keyBits: number): Position {
  return positionIn(hash('sha256', text, 'hex'), keyBits);
}

/** The node's key and token 0: `hasher` of host and decimal port, written one after the other. */
export function nodeKey(address: NodeAddress, keyBits: number): Position {
  return hasher(`${address.host}${address.port}`, keyBits);
}

/** The key under which replicas keep the object of this name. */
export function objectKey(name: string, keyBits: number): ObjectKey {
  const digest = hash('sha256', name, 'hex');
  const prefix = keyBits === KEY_BITS_MAX
    ? digest.slice(-POSITION_DIGITS)
    : alignedPosition(positionIn(digest, keyBits), keyBits).toString(16).padStart(POSITION_DIGITS, '0');
  return (prefix + digest.slice(0, IDENTITY_DIGITS)) as ObjectKey;
}

/** 48 bits are a safe integer, and 2^M divides 2^48: the rest of the last 48 bits is the rest of the whole hash. */
function positionIn(digest: string, keyBits: number): Position {
  return (parseInt(digest.slice(-POSITION_DIGITS), 16) % 2 ** keyBits) as Position;
}
