/**
 * What keeps the log short: a checkpoint from time to time, away with the segments that nothing needs any more, and
 * compaction of those that little is left of.
 *
 *   log grew by checkpointBytes --> checkpoint, durable --> drop the third newest checkpoint, and the segments that end before
 *        ^                                                  the *older* of the two kept and that the new one doesn't name
 *        |                                                        |
 *        |            enough to give back: at once                v
 *        +------------------------------------------- copy what is in use in segments with a live share of at most
 *                                                     liveShareMin to the end of the log
 *
 * Two checkpoints are kept, so that a damaged one costs a longer start and nothing else. All is done by one task at a time.
 * It is paced, because it shares the disk with clients, but for a log that has become far too long; a store that stops doesn't
 * wait for it, and writes one last checkpoint when that makes the next start clearly shorter.
 *
 * A full disk ends an attempt, and a later one may succeed. Any other error of the disk is the log's own: the process ends.
 *
 * Cost: a checkpoint for each checkpointBytes of log, or for as many bytes as the last checkpoint had: so at most every second
 * byte written is of a checkpoint; and at most one byte copied for each byte given back. The log is at most
 * live / liveShareMin + 3 checkpointBytes long, and what comes in while a round goes on.
 * Source: protocol section F.2 "Checkpoint"; [LFS] "Segment cleaning policies".
 */
import { elapsedMs } from '../domain/instant.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import { isFull } from './body-disk.ts';
import { parseCheckpointName } from './checkpoint-format.ts';
import { writeCheckpoint, type Checkpoint } from './checkpoint-writer.ts';
import { compactSegments, type Compacted } from './log-compaction.ts';
import type { Log } from './log.ts';
import { segmentName } from './log-format.ts';
import type { Segment } from './log-segments.ts';
import { liveShare, unnamedSegments, type SegmentCensus } from './segment-census.ts';
import type { StoreState } from './store-state.ts';

export interface LogUpkeepTuning {
  /** Bytes of log between two checkpoints at least. Higher: less to write, a longer start after a crash. */
  readonly checkpointBytes: number;
  /** Live part of a segment, 0 to 1, up to which it is compacted. Higher: a shorter log, more copying. */
  readonly liveShareMin: number;
  /** Bytes a second that are read or written in the background. Higher: sooner done, more felt by clients. */
  readonly bytesPerSecond: number;
}

export interface LogUpkeepDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly operatorLog: OperatorLog;
  readonly log: Log;
  readonly state: StoreState;
  readonly onFailure: (error: unknown) => void;
  /** `key`: of the register that it is a part of; null: of none, or unknown. */
  readonly onDamage: (detail: string, key: ObjectKey | null) => void;
}

/** What the upkeep has done since the start, and what it found last. */
export interface UpkeepReport {
  /** Bytes of the log that something points at, when they were counted last: at the start, and by each checkpoint. */
  readonly liveBytes: number;
  /** Bytes of log that a start would repeat. */
  readonly sinceCheckpointBytes: number;
  /** Of the newest checkpoint; 0: there is none. */
  readonly checkpointBytes: number;
  readonly checkpointMs: number;
  readonly checkpoints: number;
  readonly compactedSegments: number;
  readonly copiedBytes: number;
  readonly removedSegments: number;
}

export interface LogUpkeepOptions extends LogUpkeepTuning {
  /** The log's. */
  readonly directory: string;
  readonly nodeId: string;
  readonly keyBits: number;
  readonly salt: Buffer;
}

/** A part of checkpointBytes that the log must have grown for a checkpoint at a stop, and before a failed one is tried again. */
const SMALL_PART = 16;
/** Repeating a byte of log takes at least this many times as long as writing a byte of a checkpoint. */
const REPEATING_COSTS = 4;
/** A log this many times as long as what is live in it, beside the checkpoints' share, is shortened without pauses. */
const FAR_TOO_LONG = 3;
/** Milliseconds that a pause is worth a timer. */
const PAUSE_MS_MIN = 5;

/** Bytes of segments that are compacted by one walk of the index: one segment of the usual size. */
const GROUP_BYTES = 64 * 1024 * 1024;
const NOTHING_COPIED: Compacted = { copiedBytes: 0, rotten: new Set() };

/** The store stops. */
class Stopped extends Error {}

export class LogUpkeep {
  readonly #deps: LogUpkeepDeps;
  readonly #options: LogUpkeepOptions;
  #newest: Checkpoint | null;
  /** Log position from which on the next checkpoint is due. */
  #dueAt: number;
  #task: Promise<void> | null = null;
  #isStopping = false;
  #isHurried = false;
  #pausing: { readonly timer: Timer; readonly stop: () => void } | null = null;
  #owedMs = 0;
  #census: SegmentCensus;
  /** Segments with a record that can't be read: they stay. */
  readonly #rotten = new Set<number>();
  #checkpoints = 0;
  #checkpointMs = 0;
  #compactedSegments = 0;
  #copiedBytes = 0;
  #removedSegments = 0;

  constructor(deps: LogUpkeepDeps, options: LogUpkeepOptions, found: { readonly checkpoint: Checkpoint | null; readonly census: SegmentCensus }) {
    this.#deps = deps;
    this.#options = options;
    this.#newest = found.checkpoint;
    this.#census = found.census;
    this.#dueAt = this.#dueAfter(found.checkpoint);
  }

  report(): UpkeepReport {
    return {
      liveBytes: this.#census.total, sinceCheckpointBytes: this.#deps.log.durablePosition - (this.#newest?.position ?? 0),
      checkpointBytes: this.#newest?.bytes ?? 0, checkpointMs: this.#checkpointMs, checkpoints: this.#checkpoints,
      compactedSegments: this.#compactedSegments, copiedBytes: this.#copiedBytes, removedSegments: this.#removedSegments,
    };
  }

  /** The log has grown. */
  batchDone(): void {
    if (this.#task !== null || this.#isStopping || this.#deps.log.durablePosition < this.#dueAt) return;
    this.#task = this.#attempt(() => this.#round()).finally(() => { this.#task = null; });
  }

  /** A checkpoint as soon as may be: there is something in the log that no start should have to repeat. */
  checkpointSoon(): void {
    // One that is under way may have begun before.
    if (this.#task !== null) void this.#task.then(() => { this.checkpointSoon(); });
    this.#dueAt = 0;
    this.batchDone();
  }

  /** Ends what is under way; then a last checkpoint, if it is worth it. */
  async close(): Promise<void> {
    this.#isStopping = true;
    this.#pausing?.timer.cancel();
    this.#pausing?.stop();
    await this.#task;
    if (this.#deps.log.failure !== null || !this.#isWorthStopping()) return;
    this.#isHurried = true;
    await this.#attempt(() => this.#checkpoint());
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    const { log, operatorLog, onFailure } = this.#deps;
    try {
      await work();
    } catch (error) {
      if (error instanceof Stopped || log.failure !== null) return;
      if (!isFull(error)) {
        onFailure(error);
        return;
      }
      operatorLog.warn('there is no room for a checkpoint: the log grows on', { detail: String(error) });
      this.#dueAt = log.durablePosition + this.#options.checkpointBytes / SMALL_PART;
    }
  }

  /** Goes on as long as there is enough to give back; each time the log is shorter. */
  async #round(): Promise<void> {
    // Without a new checkpoint the census stays as it is, and the same segments would be found again and again.
    while (await this.#checkpoint()) {
      if (await this.#compact() < Math.max(this.#options.checkpointBytes, this.#newest?.bytes ?? 0)) return;
    }
  }

  /** False: the log has failed. */
  async #checkpoint(): Promise<boolean> {
    const { disk, log, state, clock } = this.#deps;
    const start = clock.monotonicNow();
    const written = await writeCheckpoint({ disk, log, state, pause: (bytes) => this.#pause(bytes) }, this.#options);
    if (written === null) return false;
    this.#checkpoints++;
    this.#checkpointMs = elapsedMs(start, clock.monotonicNow());
    await this.#replace(written.checkpoint, written.census);
    return true;
  }

  /** Bytes that the next checkpoint gives back. */
  async #compact(): Promise<number> {
    const { log, state, clock, onDamage } = this.#deps;
    const census = this.#census;
    const before = this.#newest?.position ?? 0;
    const victims = log.segments.all()
      .filter((segment) => segment.end !== null && segment.end <= before && !this.#rotten.has(segment.number))
      .map((segment) => ({ segment, share: liveShare(segment, census) }))
      .filter(({ share }) => share <= this.#options.liveShareMin)
      .sort((a, b) => a.share - b.share);
    let freed = 0;
    for (const group of groupsOf(victims.map(({ segment }) => segment))) {
      const used = group.filter(({ number }) => census.liveBytes(number) > 0);
      const { copiedBytes, rotten } = used.length === 0 ? NOTHING_COPIED : await compactSegments({
        log, state, onDamage, now: () => clock.monotonicNow(), pause: (bytes) => this.#pause(bytes), isBehind: () => this.#isFarTooLong(),
      }, used);
      this.#copiedBytes += copiedBytes;
      this.#compactedSegments += used.length;
      for (const number of rotten) this.#rotten.add(number);
      for (const { number, position, end } of group) if (!rotten.has(number)) freed += (end ?? position) - position;
      freed -= copiedBytes;
    }
    return freed;
  }

  /** The new checkpoint is durable. */
  async #replace(checkpoint: Checkpoint, census: SegmentCensus): Promise<void> {
    const { disk, log } = this.#deps;
    const { directory } = this.#options;
    const older = this.#newest;
    this.#newest = checkpoint;
    this.#census = census;
    this.#dueAt = this.#dueAfter(checkpoint);
    for (const name of await disk.list(directory)) {
      const position = parseCheckpointName(name);
      if (position !== null && position !== checkpoint.position && position !== older?.position) await disk.remove(`${directory}/${name}`);
    }
    for (const number of older === null ? [] : unnamedSegments(log.segments, census, older.position)) {
      await log.segments.remove(number);
      await disk.remove(`${directory}/${segmentName(number)}`);
      this.#removedSegments++;
    }
    await disk.syncDirectory(directory);
  }

  #dueAfter(checkpoint: Checkpoint | null): number {
    return (checkpoint?.position ?? 0) + Math.max(this.#options.checkpointBytes, checkpoint?.bytes ?? 0);
  }

  /** Whether the next start would take clearly longer without one more checkpoint than writing it takes now. */
  #isWorthStopping(): boolean {
    const { log, state } = this.#deps;
    const grown = log.durablePosition - (this.#newest?.position ?? 0);
    const stateBytes = state.index.allocatedBytes + state.names.allocatedBytes;
    return grown >= this.#options.checkpointBytes / SMALL_PART && grown * REPEATING_COSTS >= stateBytes;
  }

  #isFarTooLong(): boolean {
    return this.#deps.log.bytes > FAR_TOO_LONG * (this.#census.total + 2 * this.#options.checkpointBytes);
  }

  async #pause(bytes: number): Promise<void> {
    if (this.#isHurried) return;
    if (this.#isStopping) throw new Stopped();
    this.#owedMs += (bytes / this.#options.bytesPerSecond) * 1000;
    if (this.#owedMs < PAUSE_MS_MIN) return;
    const pauseMs = this.#isFarTooLong() ? 0 : this.#owedMs;
    this.#owedMs = 0;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#deps.clock.after(pauseMs, resolve);
      this.#pausing = { timer, stop: () => { reject(new Stopped()); } };
    });
    this.#pausing = null;
  }
}

function groupsOf(segments: readonly Segment[]): readonly (readonly Segment[])[] {
  const groups: Segment[][] = [];
  let bytes = GROUP_BYTES;
  for (const segment of segments) {
    if (bytes >= GROUP_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(segment);
    bytes += (segment.end ?? segment.position) - segment.position;
  }
  return groups;
}
