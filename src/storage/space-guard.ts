/**
 * Space guard: watches how full the volume is, and keeps a ballast file on it: bytes that are given back when the log meets a
 * full disk, so that promises, deletes and layouts can always be logged, and that are taken again when there is room.
 *
 *   sampled each `sampleMs` --> level (domain/space-level.ts)
 *   ENOSPC at the log --> ballast removed, the same write again; none left: the node takes no changes of registers and the log
 *                         tries again until there is space, without a restart (`isStalled`)
 *
 * The ballast is written in full, for a file with holes reserves nothing, with bytes that don't compress, in pieces with pauses
 * between them, some time after the start: it must not slow down a node that comes up, and on a volume where it would bring the
 * level to `full` there is none. Nobody reads it. It counts as used whether it is there or not.
 *
 * Cost: one `statfs` each two seconds. Rejected: allocating each log segment whole, because that protects only the present one.
 * Source: protocol section D.5; invariant I25.
 */
import { isAtLeast, spaceLevel, type SpaceLevel } from '../domain/space-level.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskFile, DiskSpace } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import type { Random } from '../ports/random.ts';
import { isFull, openIfThere, removeIfThere } from './body-disk.ts';

export interface SpaceGuardDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
}

export interface SpaceTuning {
  /** Milliseconds between two looks at the volume. Higher: a fast writer may pass a level unseen. */
  readonly sampleMs: number;
  /** Bytes of the ballast; at most a sixty-fourth of the volume. 0: none. */
  readonly ballastBytes: number;
  /** Bytes of it that are written at a time, and milliseconds between two of them. */
  readonly ballastPieceBytes: number;
  readonly ballastPauseMs: number;
  /** Milliseconds after the start, and after it was given up, before it is written. */
  readonly ballastDelayMs: number;
  /** Milliseconds between two attempts of a log that has no space. */
  readonly retryMs: number;
}

export interface SpaceGuardOptions extends SpaceTuning {
  /** The node's. */
  readonly directory: string;
}

/** What the node shows of its volume. */
export interface SpaceView extends DiskSpace {
  readonly level: SpaceLevel;
  /** The log waits for space: nothing is stored until there is some. */
  readonly isStalled: boolean;
  /** Bytes set aside so that deletes can be logged. */
  readonly ballastBytes: number;
}

/** Part of the volume that the ballast takes at most. */
const BALLAST_PART = 64;
/** Bytes of one random block; a piece is made of different ones. */
const BLOCK_BYTES = 64 * 1024;

export function ballastPath(directory: string): string {
  return `${directory}/ballast`;
}

export class SpaceGuard {
  readonly #deps: SpaceGuardDeps;
  readonly #options: SpaceGuardOptions;
  #space: DiskSpace = { totalBytes: 0, freeBytes: 0 };
  #level: SpaceLevel = 'ample';
  #ballastBytes = 0;
  /** Writes of the log that wait. */
  #stalled = 0;
  readonly #timers = new Set<Timer>();
  #ballasting: Promise<void> | null = null;
  #isClosed = false;
  readonly #onClose: (() => void)[] = [];

  /** Rejects with errors of the disk. */
  static async open(deps: SpaceGuardDeps, options: SpaceGuardOptions): Promise<SpaceGuard> {
    const guard = new SpaceGuard(deps, options);
    const present = await openIfThere(deps.disk, guard.#path, 'read');
    if (present !== null) {
      guard.#ballastBytes = await present.size();
      await present.close();
    }
    await guard.#sample();
    guard.#sampleLater();
    guard.#after(options.ballastDelayMs, () => { guard.#beginBallast(); });
    return guard;
  }

  private constructor(deps: SpaceGuardDeps, options: SpaceGuardOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get level(): SpaceLevel {
    return this.#level;
  }

  /** The log waits for space. */
  get isStalled(): boolean {
    return this.#stalled > 0;
  }

  view(): SpaceView {
    return { ...this.#space, level: this.#level, isStalled: this.isStalled, ballastBytes: this.#ballastBytes };
  }

  /** Runs a write of the log until the volume has room for it. Rejects with what else goes wrong, or when the store closes. */
  async untilRoom(write: () => Promise<void>): Promise<void> {
    let isWaiting = false;
    try {
      for (;;) {
        try {
          await write();
          return;
        } catch (error) {
          if (!isFull(error) || (this.#isClosed && this.#ballastBytes === 0)) throw error;
        }
        this.#level = 'read-only';
        if (this.#ballastBytes > 0) {
          this.#deps.log.warn('the volume is full: the space kept for deletes is used now', { bytes: this.#ballastBytes });
          await this.#dropBallast();
          continue;
        }
        if (!isWaiting) {
          isWaiting = true;
          this.#stalled++;
          this.#deps.log.error('the volume is full and the log waits for space: nothing is stored until there is some', { directory: this.#options.directory });
        }
        await this.#pause(this.#options.retryMs);
      }
    } finally {
      if (isWaiting) {
        this.#stalled--;
        this.#deps.log.info('the log goes on');
      }
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const end of this.#onClose.splice(0)) end();
    await this.#ballasting;
  }

  get #path(): string {
    return ballastPath(this.#options.directory);
  }

  async #dropBallast(): Promise<void> {
    await this.#ballasting;
    this.#ballastBytes = 0;
    await removeIfThere(this.#deps.disk, this.#path).catch((error: unknown) => {
      this.#deps.log.warn('the ballast file could not be removed', { error: String(error) });
    });
    this.#after(this.#options.ballastDelayMs, () => { this.#beginBallast(); });
  }

  #sampleLater(): void {
    this.#after(this.#options.sampleMs, () => {
      void this.#sample().catch((error: unknown) => {
        this.#deps.log.warn('the free space of the volume cannot be read', { error: String(error) });
      }).finally(() => { this.#sampleLater(); });
    });
  }

  async #sample(): Promise<void> {
    const space = await this.#deps.disk.space(this.#options.directory);
    this.#space = space;
    const before = this.#level;
    const owedBytes = Math.max(0, this.#ballastWanted() - this.#ballastBytes);
    const level = spaceLevel({ totalBytes: space.totalBytes, freeBytes: Math.max(0, space.freeBytes - owedBytes) }, before);
    if (level === before || (this.isStalled && level !== 'read-only')) return;
    this.#level = level;
    const fields = { level, freeBytes: space.freeBytes, totalBytes: space.totalBytes };
    if (isAtLeast(level, 'full')) this.#deps.log.error('the volume is nearly full', fields);
    else if (level === 'low') this.#deps.log.warn('the volume gets full', fields);
    else this.#deps.log.info('the volume has room again', fields);
  }

  #ballastWanted(): number {
    return Math.min(this.#options.ballastBytes, Math.floor(this.#space.totalBytes / BALLAST_PART));
  }

  #beginBallast(): void {
    const wanted = this.#ballastWanted();
    if (this.#isClosed || this.#ballasting !== null || this.#ballastBytes >= wanted) return;
    if (isAtLeast(this.#level, 'full') || this.isStalled) {
      this.#after(this.#options.ballastDelayMs, () => { this.#beginBallast(); });
      return;
    }
    this.#ballasting = this.#writeBallast(wanted).catch((error: unknown) => {
      if (!isFull(error)) this.#deps.log.warn('the ballast file could not be written', { error: String(error) });
      this.#after(this.#options.ballastDelayMs, () => { this.#beginBallast(); });
    }).finally(() => { this.#ballasting = null; });
  }

  /** Goes on where an earlier attempt ended. */
  async #writeBallast(wanted: number): Promise<void> {
    const { disk, random } = this.#deps;
    const { ballastPieceBytes, ballastPauseMs } = this.#options;
    const file: DiskFile = (await openIfThere(disk, this.#path, 'update')) ?? (await disk.open(this.#path, 'create'));
    try {
      while (this.#ballastBytes < wanted && !this.#isClosed && !isAtLeast(this.#level, 'full')) {
        const bytes = Math.min(ballastPieceBytes, wanted - this.#ballastBytes);
        const blocks = Array.from({ length: Math.ceil(bytes / BLOCK_BYTES) }, (_, i) => Buffer.from(random.hex(Math.min(BLOCK_BYTES, bytes - i * BLOCK_BYTES)), 'hex'));
        await file.write(this.#ballastBytes, blocks);
        this.#ballastBytes += bytes;
        await this.#pause(ballastPauseMs);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isClosed) {
        resolve();
        return;
      }
      this.#onClose.push(resolve);
      this.#after(delayMs, () => {
        this.#onClose.splice(this.#onClose.indexOf(resolve), 1);
        resolve();
      });
    });
  }

  #after(delayMs: number, run: () => void): void {
    if (this.#isClosed) return;
    const timer: Timer = this.#deps.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }
}
