/**
 * What the demonstration stores: real files of this machine with sizes from nothing to tens of MiB, and one huge body that
 * is made from a seed as it is sent, so that it needs no file of its own.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';

/** Bodies above it are streamed to files of their own. */
export const INLINE_BYTES_MAX = 131_072;
const LARGE_BYTES_MAX = 100 * 2 ** 20;
const LARGE_FILES_MAX = 400;
const FILES_SEEN_MAX = 50_000;
const BLOCK_BYTES = 2 ** 20;

export interface Source {
  readonly name: string;
  readonly size: number;
  /** The body from its beginning, as often as it is asked for. */
  readonly open: () => Readable;
}

/**
 * About `count` files of the directories, at most `bytesMax` in all: large ones of all sizes first (a fifth of the count at
 * most), small ones for the rest.
 */
export async function realFiles(directories: readonly string[], count: number, bytesMax: number): Promise<Source[]> {
  const found = (await Promise.all(directories.map((top) => walk(top)))).flat();
  const small = found.filter(({ size }) => size <= INLINE_BYTES_MAX);
  const large = found.filter(({ size }) => size > INLINE_BYTES_MAX && size <= LARGE_BYTES_MAX).sort((a, b) => a.size - b.size);
  const largeMax = Math.min(large.length, LARGE_FILES_MAX, Math.floor(count / 5));
  const picked: Source[] = [];
  let bytes = 0;
  const take = (source: Source | undefined, limit: number): void => {
    if (source === undefined || bytes + source.size > limit) return;
    picked.push(source);
    bytes += source.size;
  };
  // Evenly over the sizes, the largest first, so that none is left out for want of room.
  for (let i = 0; i < largeMax; i++) take(large[large.length - 1 - Math.floor(i * large.length / largeMax)], 0.9 * bytesMax);
  for (let i = 0; i < small.length && picked.length < count; i++) take(small[i], bytesMax);
  return picked.sort((a, b) => (digestText(a.name) < digestText(b.name) ? -1 : 1));
}

async function walk(top: string): Promise<Source[]> {
  const found: Source[] = [];
  const pending = [top];
  for (let directory = pending.shift(); directory !== undefined && found.length < FILES_SEEN_MAX; directory = pending.shift()) {
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) pending.push(file);
      if (!entry.isFile()) continue;
      const size = (await stat(file)).size;
      found.push({ name: file.slice(1), size, open: () => createReadStream(file, { highWaterMark: BLOCK_BYTES }) });
    }
  }
  return found;
}

/** A body of `mib` MiB in which no block is like another. */
export function hugeBody(mib: number, seed: number): Source {
  const base = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += 32) createHash('sha256').update(`${seed} ${at}`).digest().copy(base, at);
  const blocks = function* (): Generator<Buffer> {
    for (let i = 0; i < mib; i++) {
      const block = Buffer.from(base);
      for (let at = 0; at < BLOCK_BYTES; at += 4096) block.writeDoubleLE(i * BLOCK_BYTES + at, at);
      yield block;
    }
  };
  return { name: `huge/${mib} MiB`, size: mib * BLOCK_BYTES, open: () => Readable.from(blocks(), { objectMode: true, highWaterMark: 2 }) };
}

export async function sha256Of(body: Readable): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of body) digest.update(piece as Buffer);
  return digest.digest('hex');
}

const digestText = (text: string): string => createHash('sha256').update(text).digest('hex');
