/**
 * The large bodies of a node: one file each, written by a BodyFileWriter, read through BodyHandles.
 *
 * Which bodies are held is the log's business (StoreState). A file that the state no longer names is unlinked once that is
 * durable (rule R7). Until that is done nobody may write the same body again (`busy`), so that a new file is never taken for
 * the old one.
 *
 * Files that nothing ever named (a crash before the log's record, a transfer broken off) stay for the staging time from this
 * start on, as something to go on with, or until the disk is too full: none of them counts as held.
 * Source: protocol section F.2; rules R6, R7.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyLimits } from '../domain/body-limits.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { bodyError, isFull, removeIfThere } from './body-disk.ts';
import { bodyPath, stagedPath, sumsPath } from './body-format.ts';
import { BodyHandles, type BodyRead } from './body-handles.ts';
import { quarantineBody } from './body-quarantine.ts';
import { BodyFileWriter } from './body-writer.ts';
import type { BodyWriter } from './register-store.ts';

export interface BodyFilesDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  /** A sync failed: the process must end. */
  readonly onFailure: (error: unknown) => void;
  /** Staged bodies whose time is over are dropped now; those that have files are returned. */
  readonly dropExpired: () => readonly BodyId[];
}

export interface BodyFilesOptions {
  /** The node's. */
  readonly directory: string;
  readonly bodies: BodyLimits;
}

/** Bodies written at once, two handles each; beyond that writers come again later. */
const WRITERS_MAX = 512;
/** Bytes of the disk that bodies leave free, so that deletes and promises can still be logged: one segment of the log. */
const RESERVE_BYTES = 64 * 1024 * 1024;

export class BodyFiles {
  readonly #deps: BodyFilesDeps;
  readonly #options: BodyFilesOptions;
  readonly #writers = new Map<BodyId, BodyFileWriter | null>();
  readonly #unlinking = new Set<BodyId>();
  /** Whoever writes such a body waits: a good file must not be moved in the place of the rotten one. */
  readonly #movingAside = new Map<BodyId, Promise<void>>();
  readonly #handles: BodyHandles;
  /** Staged files without a writer and body files without a name, since when. */
  readonly #orphans = new Map<BodyId, MonotonicMs>();
  readonly #background = new Set<Promise<unknown>>();
  #sweepTimer: Timer;
  #isClosed = false;

  constructor(deps: BodyFilesDeps, options: BodyFilesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#handles = new BodyHandles(deps, { directory: options.directory, lingerMs: options.bodies.lingerMs });
    this.#sweepTimer = this.#sweepLater();
  }

  /** `onPlaced`: logs that the body is held. `isHeld`: whether the state names it now. */
  async openWriter(bodyId: BodyId, onPlaced: (size: number, sha256: string) => Promise<void>, isHeld: () => boolean): Promise<BodyWriter | 'busy' | 'full'> {
    await this.#movingAside.get(bodyId);
    if (this.#isClosed) throw new DhtError('DHT_ERR_NOT_READY', 'the store is closed');
    if (this.#writers.has(bodyId) || this.#unlinking.has(bodyId) || this.#writers.size >= WRITERS_MAX) return 'busy';
    this.#writers.set(bodyId, null);
    const opening = this.#openWriter(bodyId, onPlaced, isHeld);
    this.#inBackground(opening);
    return opening;
  }

  async #openWriter(bodyId: BodyId, onPlaced: (size: number, sha256: string) => Promise<void>, isHeld: () => boolean): Promise<BodyWriter | 'full'> {
    let writer: BodyFileWriter | null = null;
    // Beside the staged file there may be one in its place that nothing names, which goes with it.
    let wasOrphan = false;
    try {
      if (!(await this.#hasRoom(0))) return 'full';
      const { directory, bodies } = this.#options;
      writer = await BodyFileWriter.open({
        disk: this.#deps.disk,
        onFailure: this.#deps.onFailure,
        hasRoom: (bytes) => this.#hasRoom(bytes),
        onPlaced: async (size, sha256) => {
          this.#orphans.delete(bodyId);
          this.#handles.forget(bodyId);
          await onPlaced(size, sha256);
        },
        onReleased: (left) => {
          this.#writers.delete(bodyId);
          if (isHeld()) {
            if (left === 'keep') this.removeStaged([bodyId]);
          } else if (left === 'keep' || wasOrphan) {
            this.addOrphan(bodyId);
          }
        },
      }, { directory, bodyId, chunkBytes: bodies.chunkBytes });
      this.#writers.set(bodyId, writer);
      wasOrphan = this.#orphans.delete(bodyId);
      if (!this.#isClosed) return writer;
      await writer.abort('keep');
      throw new DhtError('DHT_ERR_NOT_READY', 'the store is closed');
    } catch (error) {
      if (isFull(error)) return 'full';
      throw bodyError(error);
    } finally {
      if (writer === null) this.#writers.delete(bodyId);
    }
  }

  /** Whether the body is still read though nothing names it any more. */
  isLingering(bodyId: BodyId): boolean {
    return this.#handles.isLingering(bodyId);
  }

  /** Bytes [offset, offset + length). Rejects with errors of the disk. */
  read(bodyId: BodyId, offset: number, length: number): Promise<BodyRead> {
    return this.#handles.read(bodyId, offset, length);
  }

  /** The state no longer names these bodies; `durable`: and won't after a restart. */
  unlink(bodyIds: readonly BodyId[], durable: Promise<void>): void {
    for (const bodyId of bodyIds) {
      if (this.#writers.has(bodyId)) this.addOrphan(bodyId);
      if (this.#writers.has(bodyId) || this.#unlinking.has(bodyId)) continue;
      this.#unlinking.add(bodyId);
      this.#handles.linger(bodyId);
      this.#inBackground(durable.then(() => this.#unlink(bodyId)).catch(() => undefined).finally(() => { this.#unlinking.delete(bodyId); }));
    }
  }

  /** Moves a rotten file aside, for examination: a new one takes its place. A bounded number is kept. */
  quarantine(bodyId: BodyId): void {
    if (this.#unlinking.has(bodyId) || this.#movingAside.has(bodyId)) return;
    // Nothing names it: the writer replaces it, or it goes as an orphan.
    if (this.#writers.has(bodyId)) return void this.addOrphan(bodyId);
    this.#handles.forget(bodyId);
    const moved = quarantineBody(this.#deps.disk, this.#options.directory, bodyId).catch((error: unknown) => {
      this.#deps.log.warn('a rotten body file could not be moved aside', { bodyId, error: String(error) });
      this.addOrphan(bodyId);
    }).finally(() => { this.#movingAside.delete(bodyId); });
    this.#movingAside.set(bodyId, moved);
    this.#inBackground(moved);
  }

  /** A file that nothing names. */
  addOrphan(bodyId: BodyId): void {
    if (!this.#orphans.has(bodyId)) this.#orphans.set(bodyId, this.#deps.clock.monotonicNow());
  }

  /** Removes the staged files of bodies that are held, which stay. */
  removeStaged(bodyIds: readonly BodyId[]): void {
    const { directory } = this.#options;
    for (const bodyId of bodyIds) {
      this.#unlinking.add(bodyId);
      const remove = async (): Promise<void> => {
        for (const path of [stagedPath(directory, bodyId), sumsPath(directory, bodyId)]) await removeIfThere(this.#deps.disk, path);
      };
      this.#inBackground(remove().finally(() => { this.#unlinking.delete(bodyId); }));
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#sweepTimer.cancel();
    for (const writer of [...this.#writers.values()]) await writer?.abort('keep');
    while (this.#background.size > 0) await Promise.all(this.#background);
    await this.#handles.close();
  }

  // -------------------------------------------------------------------------------------------------- files that go

  async #unlink(bodyId: BodyId): Promise<void> {
    try {
      await removeIfThere(this.#deps.disk, bodyPath(this.#options.directory, bodyId));
    } catch (error) {
      this.#deps.log.warn('a body file could not be removed', { bodyId, error: String(error) });
      this.addOrphan(bodyId);
    }
  }

  /** Once in a staging time what has outlived it goes. */
  #sweepLater(): Timer {
    const { stagingTtlMs } = this.#options.bodies;
    return this.#deps.clock.after(stagingTtlMs, () => {
      this.#sweepTimer = this.#sweepLater();
      this.unlink(this.#deps.dropExpired(), Promise.resolve());
      this.#inBackground(this.#removeOrphans(stagingTtlMs));
    });
  }

  /** Removes orphans of at least that age. */
  async #removeOrphans(ageMsMin: number): Promise<void> {
    const { disk, clock, log } = this.#deps;
    const { directory } = this.#options;
    for (const [bodyId, since] of [...this.#orphans]) {
      if (elapsedMs(since, clock.monotonicNow()) < ageMsMin || this.#writers.has(bodyId) || this.#unlinking.has(bodyId)) continue;
      this.#orphans.delete(bodyId);
      this.#unlinking.add(bodyId);
      try {
        for (const path of [stagedPath(directory, bodyId), sumsPath(directory, bodyId), bodyPath(directory, bodyId)]) await removeIfThere(disk, path);
      } catch (error) {
        log.warn('a body file could not be removed', { bodyId, error: String(error) });
        this.addOrphan(bodyId);
      } finally {
        this.#unlinking.delete(bodyId);
      }
    }
  }

  async #hasRoom(bytes: number): Promise<boolean> {
    const { disk } = this.#deps;
    const isEnough = async (): Promise<boolean> => (await disk.space(this.#options.directory)).freeBytes >= RESERVE_BYTES + bytes;
    if (await isEnough()) return true;
    if (this.#orphans.size === 0) return false;
    await this.#removeOrphans(0);
    return isEnough();
  }

  #inBackground(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work.catch(() => undefined).finally(() => { this.#background.delete(tracked); });
    this.#background.add(tracked);
  }
}
