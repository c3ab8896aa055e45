/**
 * Bodies that prove themselves: a line that names set, object, version and length, then bytes that follow from that line.
 * Whoever reads one computes it again, so a flipped byte, a mixture or another object's body shows without any memory of
 * what was written.
 */
import { createHash, hash } from 'node:crypto';

export interface PayloadName {
  /** Of the whole set: two sets never make the same bytes. */
  readonly seed: string;
  /** The object's name. */
  readonly object: string;
  readonly version: number;
}

const HEAD = /^dht-canary ([0-9a-f]{1,64}) (\S{1,200}) (\d{1,15}) (\d{1,9})\n/;
const HEAD_BYTES_MAX = 320;

/** A body of at least the line that names it. */
export function payload({ seed, object, version }: PayloadName, size: number): Buffer {
  const line = Buffer.from(`dht-canary ${seed} ${object} ${version} ${size}\n`);
  const rest = Math.max(0, size - line.length);
  if (rest === 0) return line;
  return Buffer.concat([line, createHash('shake256', { outputLength: rest }).update(line).digest()]);
}

/** The version of a body that is whole and this object's; null: it is corrupt. */
export function versionIn(body: Buffer, seed: string, object: string): number | null {
  const [, foundSeed, foundObject, version, size] = HEAD.exec(body.toString('latin1', 0, HEAD_BYTES_MAX)) ?? [];
  if (foundSeed !== seed || foundObject !== object) return null;
  const name = { seed, object, version: Number(version) };
  // The length is part of what may be damaged: not more is made than was read.
  return Number(size) <= body.length && payload(name, Number(size)).equals(body) ? name.version : null;
}

/** The length of a version: most small, one in eight up to the most, so that inline and streamed bodies both occur. */
export function sizeOf({ seed, object, version }: PayloadName, sizeMax: number): number {
  const dice = Number.parseInt(hash('sha256', `${seed} ${object} ${version}`, 'hex').slice(0, 8), 16);
  const most = dice % 8 === 0 ? sizeMax : Math.min(sizeMax, SMALL_BYTES);
  return 1 + Math.floor(dice / 8) % most;
}

/** Bytes of most bodies at most. */
const SMALL_BYTES = 16 * 1024;

/** As `Repr-Digest` and `Content-Digest` have it. */
export function digestHeader(body: Buffer): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`;
}
