/**
 * What keeps the log short: a checkpoint from time to time, and then away with the segments that nothing needs.
 *
 *   log grew by checkpointBytes --> write a checkpoint --> it is durable --> drop the third newest checkpoint, and
 *   the segments that end before the *older* of the two that are kept and that the new one doesn't name
 *
 * Two checkpoints are kept, so that a damaged one costs a longer start and nothing else. All is done by one task at a time.
 * It is paced, because it shares the disk with clients; a store that stops doesn't wait for it, but writes one last
 * checkpoint when that makes the next start clearly shorter.
 *
 * A full disk ends an attempt, and a later one may succeed. Any other error of the disk is the log's own: the process ends.
 * Cost: a checkpoint for each checkpointBytes of log, or for as many bytes as the last checkpoint had: so at most every second
 * byte written is of a checkpoint.
 * Source: protocol section F.2 "Checkpoint".
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import { isFull } from './body-disk.ts';
import { parseCheckpointName } from './checkpoint-format.ts';
import { writeCheckpoint, type Checkpoint } from './checkpoint-writer.ts';
import type { Log } from './log.ts';
import { segmentName } from './log-format.ts';
import { unnamedSegments, type SegmentCensus } from './segment-census.ts';
import type { StoreState } from './store-state.ts';

export interface LogUpkeepTuning {
  /** Bytes of log between two checkpoints at least. Higher: less to write, a longer start after a crash. */
  readonly checkpointBytes: number;
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
/** Milliseconds that a pause is worth a timer. */
const PAUSE_MS_MIN = 5;

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

  constructor(deps: LogUpkeepDeps, options: LogUpkeepOptions, found: { readonly checkpoint: Checkpoint | null }) {
    this.#deps = deps;
    this.#options = options;
    this.#newest = found.checkpoint;
    this.#dueAt = this.#dueAfter(found.checkpoint);
  }

  /** The log has grown. */
  batchDone(): void {
    if (this.#task !== null || this.#isStopping || this.#deps.log.durablePosition < this.#dueAt) return;
    this.#task = this.#run().finally(() => { this.#task = null; });
  }

  /** Ends what is under way; then a last checkpoint, if it is worth it. */
  async close(): Promise<void> {
    this.#isStopping = true;
    this.#pausing?.timer.cancel();
    this.#pausing?.stop();
    await this.#task;
    if (this.#deps.log.failure !== null || !this.#isWorthStopping()) return;
    this.#isHurried = true;
    await this.#run();
  }

  async #run(): Promise<void> {
    const { disk, log, state, operatorLog, onFailure } = this.#deps;
    try {
      const written = await writeCheckpoint({ disk, log, state, pause: (bytes) => this.#pause(bytes) }, this.#options);
      if (written !== null) await this.#replace(written.checkpoint, written.census);
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

  /** The new checkpoint is durable. */
  async #replace(checkpoint: Checkpoint, census: SegmentCensus): Promise<void> {
    const { disk, log } = this.#deps;
    const { directory } = this.#options;
    const older = this.#newest;
    this.#newest = checkpoint;
    this.#dueAt = this.#dueAfter(checkpoint);
    for (const name of await disk.list(directory)) {
      const position = parseCheckpointName(name);
      if (position !== null && position !== checkpoint.position && position !== older?.position) await disk.remove(`${directory}/${name}`);
    }
    for (const number of older === null ? [] : unnamedSegments(log.segments, census, older.position)) {
      await log.segments.remove(number);
      await disk.remove(`${directory}/${segmentName(number)}`);
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

  async #pause(bytes: number): Promise<void> {
    if (this.#isHurried) return;
    if (this.#isStopping) throw new Stopped();
    this.#owedMs += (bytes / this.#options.bytesPerSecond) * 1000;
    if (this.#owedMs < PAUSE_MS_MIN) return;
    const pauseMs = this.#owedMs;
    this.#owedMs = 0;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#deps.clock.after(pauseMs, resolve);
      this.#pausing = { timer, stop: () => { reject(new Stopped()); } };
    });
    this.#pausing = null;
  }
}
