/**
 * How full the volume of a node is, in four steps, and when one becomes another.
 *
 *   ample --85 %--> low --92 %--> full --97 %--> read-only
 *                   alarm         no clients'    no body at all; promises, tombstones, layouts
 *                                 files          and records whose bodies are here still go on
 *
 * A step is reached when either of two things is left: that part of the volume, or, on a large one, so many bytes that nothing
 * is pressing (`freeMaxBytes`): 15 % of 20 TB is no reason for an alarm. It is left again only with a seventh more than that
 * free, so that a node doesn't waver between two steps.
 *
 * Bytes that are kept free for the log (the ballast) count as used whether they are there or not: giving them up makes no room
 * for files. Source: protocol section D.5; [Elasticsearch] "Disk-based shard allocation settings".
 */
export type SpaceLevel = 'ample' | 'low' | 'full' | 'read-only';

export const SPACE_LEVELS: readonly SpaceLevel[] = ['ample', 'low', 'full', 'read-only'];

interface Mark {
  readonly level: SpaceLevel;
  /** Part of the volume that is free at most. */
  readonly freePart: number;
  /** Bytes that are free at most, whatever part of the volume they are. */
  readonly freeMaxBytes: number;
}

const GIB = 2 ** 30;
/** The emptiest volume first. */
const MARKS: readonly Mark[] = [
  { level: 'low', freePart: 0.15, freeMaxBytes: 200 * GIB },
  { level: 'full', freePart: 0.08, freeMaxBytes: 100 * GIB },
  { level: 'read-only', freePart: 0.03, freeMaxBytes: 40 * GIB },
];
/** Free space with which a step is left, as a multiple of that with which it is reached. */
const LEAVE_FACTOR = 8 / 7;

/** `before`: the level so far. */
export function spaceLevel(volume: { readonly totalBytes: number; readonly freeBytes: number }, before: SpaceLevel): SpaceLevel {
  let level: SpaceLevel = 'ample';
  for (const mark of MARKS) {
    const reachedBytes = Math.min(mark.freePart * volume.totalBytes, mark.freeMaxBytes);
    const isThere = isAtLeast(before, mark.level);
    if (volume.freeBytes < reachedBytes * (isThere ? LEAVE_FACTOR : 1)) level = mark.level;
  }
  return level;
}

/**
 * Whether copies of what a quorum chose still come in: longer than clients' files, because redundancy is worth more than the last
 * space. Were it the other way round, a node that was away once would lack what it missed for as long as its volume is that full,
 * while it goes on taking new files.
 */
export function takesCopies(level: SpaceLevel): boolean {
  return level !== 'read-only';
}

/** Whether the volume is as full as `than`, or fuller. */
export function isAtLeast(level: SpaceLevel, than: SpaceLevel): boolean {
  return SPACE_LEVELS.indexOf(level) >= SPACE_LEVELS.indexOf(than);
}
