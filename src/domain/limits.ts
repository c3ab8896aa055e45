/**
 * Every limit that two modules have to agree on, with its unit and its reason. Limits of one module alone stay in its
 * options. The relations between them are asserted at start-up (`assertLimits`).
 */
import { assert } from './assert.ts';

/** Bytes of an object's name in UTF-8. S3's limit; it fits a frame head with room to spare. */
export const NAME_BYTES_MAX = 1024;
/** Bytes of a body that travels in a frame and lives in the log (protocol C.2). */
export const INLINE_BODY_BYTES_MAX = 128 * 1024;
/** Bytes of a body chunk: unit of checksums, of ranges and of going on at another replica. */
export const CHUNK_BYTES = 256 * 1024;
/** Bytes of the largest object: 5 TiB, S3's limit. One object has to fit each of its replicas' disks. */
export const OBJECT_BYTES_MAX = 5 * 2 ** 40;
/** Bytes by which a replica may be behind the sender of a large body before it is cut and repaired later (protocol C.2). */
export const BODY_LAG_BYTES_MAX = 8 * 1024 * 1024;
/** Milliseconds that a replaced large body stays readable after it was last read: above any pause of a slow reader. */
export const BODY_LINGER_MS = 60_000;
/** Milliseconds without progress after which the transfer of a large body is given up. */
export const BODY_PROGRESS_MS = 30_000;
/** Names in one page of a listing. */
export const LIST_PAGE_MAX = 1000;
/** Bytes of a frame's head (protocol G). */
export const FRAME_HEAD_BYTES_MAX = 64 * 1024;
/** Bytes of a frame's body (protocol G). */
export const FRAME_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes of all user metadata names and values together, as S3 has it. */
export const META_BYTES_MAX = 2048;
/** Bytes of a content type. */
export const CONTENT_TYPE_BYTES_MAX = 256;
/** Milliseconds between pings: the seed's 0.5 s. */
export const PING_INTERVAL_MS = 500;
/** Milliseconds until a ping counts as missed. */
export const PING_TIMEOUT_MS = 500;
/** Unanswered pings until a neighbour counts as down: the seed's rule. */
export const PING_MISSES_MAX = 3;
/** Nodes in the successor list. */
export const SUCCESSORS_MAX = 4;
/** Milliseconds a small operation may take in all (protocol, Parameters). */
export const OPERATION_DEADLINE_MS = 30_000;
/** Milliseconds a staged body that no record names is kept (24 h): far above every operation's deadline (R7). */
export const STAGING_TTL_MS = 24 * 3600 * 1000;
/** Milliseconds by which a refused ballot may be ahead and still move this node's clock (R2). */
export const HLC_SKEW_MAX_MS = 60_000;
/** Names in one page of `files` and `backUpFiles`. */
export const FILES_PAGE_MAX = 10_000;
/** Highest number of a layout: the index keeps four bytes of it in every ballot. A change a second fills them in 136 years. */
export const EPOCH_MAX = 2 ** 32 - 1;
/** Members of a layout: the size up to which one flat layout was designed (protocol evidence A.9). */
export const MEMBERS_MAX = 1000;
/** Recoveries that a layout remembers; a ring that needed so many is to be built anew. */
export const RECOVERIES_MAX = 64;
/** Bytes of a cluster secret at least. */
export const CLUSTER_SECRET_BYTES_MIN = 32;

/** Throws when limits contradict each other: called once by each composition root. */
export function assertLimits(): void {
  assert(INLINE_BODY_BYTES_MAX <= CHUNK_BYTES, 'an inline body is at most one chunk');
  assert(CHUNK_BYTES <= FRAME_BODY_BYTES_MAX, 'a chunk fits a frame');
  assert(NAME_BYTES_MAX + META_BYTES_MAX + CONTENT_TYPE_BYTES_MAX < FRAME_HEAD_BYTES_MAX / 4, 'a record fits a frame head');
  assert(PING_TIMEOUT_MS <= PING_INTERVAL_MS, 'a ping is settled before the next');
  assert(STAGING_TTL_MS > 100 * OPERATION_DEADLINE_MS, 'a staged body outlives every operation that may name it');
}
