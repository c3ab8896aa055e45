/**
 * Where bodies are cut and how long their transfers are waited for, as one value, so that the simulator can run the very
 * same code with bodies of a few kilobytes on both sides of every limit. A real node always runs with BODY_LIMITS.
 */
import { assert } from './assert.ts';
import { BODY_LAG_BYTES_MAX, BODY_LINGER_MS, BODY_PROGRESS_MS, CHUNK_BYTES, INLINE_BODY_BYTES_MAX, STAGING_TTL_MS } from './limits.ts';

export interface BodyLimits {
  /** Bytes of a body that travels in a frame and lives in the log. At most a chunk. */
  readonly inlineBytesMax: number;
  /** Bytes of a chunk: unit of checksums, of ranges and of going on at another replica. */
  readonly chunkBytes: number;
  /** Bytes by which a replica may be behind the sender before it is cut and repaired later. At least two chunks. */
  readonly lagBytesMax: number;
  /** Milliseconds without progress after which a transfer is given up. */
  readonly progressMs: number;
  /** Milliseconds that a replaced body stays readable after it was last read. */
  readonly lingerMs: number;
  /** Milliseconds that a staged body without a record is kept. */
  readonly stagingTtlMs: number;
}

export const BODY_LIMITS: BodyLimits = {
  inlineBytesMax: INLINE_BODY_BYTES_MAX,
  chunkBytes: CHUNK_BYTES,
  lagBytesMax: BODY_LAG_BYTES_MAX,
  progressMs: BODY_PROGRESS_MS,
  lingerMs: BODY_LINGER_MS,
  stagingTtlMs: STAGING_TTL_MS,
};

/** Throws when they contradict each other. */
export function assertBodyLimits({ inlineBytesMax, chunkBytes, lagBytesMax }: BodyLimits): void {
  assert(inlineBytesMax <= chunkBytes, 'an inline body is at most one chunk');
  assert(2 * chunkBytes <= lagBytesMax, 'a replica may be a chunk behind without being cut');
}
