/**
 * Disk watch: how long syncs take. It stands between the store and the disk and times every sync.
 *
 *   ok --a sync takes longer than slowMs--> slow --calmMs without one--> ok
 *   any --a sync takes longer than stuckMs--> the node ends: others can do its work, it can't
 *
 * Slow is told to peers with each ping: they ask this node last. In idle times a probe of 4 KiB is written and synced, so that a
 * disk that went bad unused is found before a client finds it. A look that comes late means that the process stood still:
 * what is under way is timed anew then, and nobody is accused.
 *
 * Cost: one timer four times a second, one small sync each `probeMs` in which nothing else was synced.
 * Source: protocol section D.5 "Slow disk".
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskFile, DiskLock, DiskSpace } from '../ports/disk.ts';
import { isFull, openIfThere } from './body-disk.ts';

export interface DiskWatchDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  /** A sync ended, well or not, after so long. */
  readonly onSync: (durationMs: number, isOk: boolean) => void;
  /** Called once, when a sync takes so long that it has to be given up, or the probe's failed: the process must end. */
  readonly onFailure: (error: unknown) => void;
}

export interface DiskWatchOptions {
  /** Milliseconds of a sync above which the disk is slow. */
  readonly slowMs: number;
  /** Milliseconds without a slow sync until it is ok again. */
  readonly calmMs: number;
  /** Milliseconds of a sync after which the process ends. */
  readonly stuckMs: number;
  /** Milliseconds between two looks at the syncs under way. */
  readonly lookMs: number;
  /** Milliseconds without any sync after which one is tried. */
  readonly probeMs: number;
}

interface Sync {
  beganAt: MonotonicMs;
}

const PROBE_BYTES = 4096;
/** Looks that come later than this many intervals tell of a process that stood still. */
const LATE_LOOKS = 4;

export class DiskWatch {
  /** The disk, timed. */
  readonly disk: Disk;
  readonly #deps: DiskWatchDeps;
  readonly #options: DiskWatchOptions;
  readonly #underWay = new Set<Sync>();
  #lastSlowAt: MonotonicMs | null = null;
  #lastSyncAt: MonotonicMs;
  #lookedAt: MonotonicMs;
  #probe: { readonly directory: string; file: DiskFile | null; running: Promise<void> | null } | null = null;
  #timer: Timer;
  #isOver = false;

  constructor(deps: DiskWatchDeps, options: DiskWatchOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#lastSyncAt = deps.clock.monotonicNow();
    this.#lookedAt = this.#lastSyncAt;
    this.disk = new TimedDisk(deps.disk, (sync) => this.#time(sync));
    this.#timer = this.#lookLater();
  }

  get isSlow(): boolean {
    return this.#lastSlowAt !== null && elapsedMs(this.#lastSlowAt, this.#deps.clock.monotonicNow()) < this.#options.calmMs;
  }

  /** From now on the disk is tried in idle times, with a file in that directory. */
  probeIn(directory: string): void {
    this.#probe = { directory, file: null, running: null };
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#timer.cancel();
    const probe = this.#probe;
    this.#probe = null;
    await probe?.running;
    await probe?.file?.close();
  }

  async #time(sync: () => Promise<void>): Promise<void> {
    const { clock } = this.#deps;
    const timed: Sync = { beganAt: clock.monotonicNow() };
    this.#underWay.add(timed);
    let isOk = false;
    try {
      await sync();
      isOk = true;
    } finally {
      this.#underWay.delete(timed);
      const now = clock.monotonicNow();
      const durationMs = elapsedMs(timed.beganAt, now);
      this.#lastSyncAt = now;
      if (durationMs > this.#options.slowMs) this.#lastSlowAt = now;
      this.#deps.onSync(durationMs, isOk);
    }
  }

  #lookLater(): Timer {
    return this.#deps.clock.after(this.#options.lookMs, () => {
      this.#look();
      if (!this.#isOver) this.#timer = this.#lookLater();
    });
  }

  #look(): void {
    const { slowMs, stuckMs, lookMs, probeMs } = this.#options;
    const now = this.#deps.clock.monotonicNow();
    const stoodStill = elapsedMs(this.#lookedAt, now) > LATE_LOOKS * lookMs;
    this.#lookedAt = now;
    for (const sync of this.#underWay) {
      if (stoodStill) sync.beganAt = now;
      const ageMs = elapsedMs(sync.beganAt, now);
      if (ageMs > slowMs) this.#lastSlowAt = now;
      if (ageMs <= stuckMs) continue;
      this.#fail(new Error(`the disk has not answered a sync for ${Math.round(ageMs / 1000)} s`));
      return;
    }
    if (this.#underWay.size === 0 && elapsedMs(this.#lastSyncAt, now) >= probeMs) this.#tryDisk();
  }

  #tryDisk(): void {
    const probe = this.#probe;
    if (probe === null || probe.running !== null) return;
    // The whole of it is timed: a disk may also get stuck before it comes to the sync.
    probe.running = this.#time(() => this.#writeProbe(probe)).catch((error: unknown) => {
      if (!isFull(error) && !this.#isOver) this.#fail(error);
    }).finally(() => { probe.running = null; });
  }

  async #writeProbe(probe: { readonly directory: string; file: DiskFile | null }): Promise<void> {
    const path = `${probe.directory}/probe`;
    const { disk } = this.#deps;
    probe.file ??= (await openIfThere(disk, path, 'update')) ?? (await disk.open(path, 'create'));
    await probe.file.write(0, [Buffer.alloc(PROBE_BYTES, 1)]);
    await probe.file.sync();
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer.cancel();
    this.#deps.onFailure(error);
  }
}

type TimeSync = (sync: () => Promise<void>) => Promise<void>;

class TimedDisk implements Disk {
  readonly #disk: Disk;
  readonly #time: TimeSync;

  constructor(disk: Disk, time: TimeSync) {
    this.#disk = disk;
    this.#time = time;
  }

  makeDirectory(path: string): Promise<void> {
    return this.#disk.makeDirectory(path);
  }
  list(path: string): Promise<string[]> {
    return this.#disk.list(path);
  }
  async open(path: string, mode: 'create' | 'read' | 'update'): Promise<DiskFile> {
    return new TimedFile(await this.#disk.open(path, mode), this.#time);
  }
  rename(from: string, to: string): Promise<void> {
    return this.#disk.rename(from, to);
  }
  remove(path: string): Promise<void> {
    return this.#disk.remove(path);
  }
  syncDirectory(path: string): Promise<void> {
    return this.#time(() => this.#disk.syncDirectory(path));
  }
  space(path: string): Promise<DiskSpace> {
    return this.#disk.space(path);
  }
  lock(directory: string): Promise<DiskLock> {
    return this.#disk.lock(directory);
  }
}

class TimedFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #time: TimeSync;

  constructor(file: DiskFile, time: TimeSync) {
    this.#file = file;
    this.#time = time;
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.#file.read(position, length);
  }
  write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#file.write(position, chunks);
  }
  writeDurably(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#time(() => this.#file.writeDurably(position, chunks));
  }
  sync(): Promise<void> {
    return this.#time(() => this.#file.sync());
  }
  truncate(length: number): Promise<void> {
    return this.#file.truncate(length);
  }
  size(): Promise<number> {
    return this.#file.size();
  }
  close(): Promise<void> {
    return this.#file.close();
  }
}
