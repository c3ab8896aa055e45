/**
 * The large bodies of a node: one file each, written by a BodyFileWriter, read in whole chunks through a few open handles.
 *
 * Which bodies are held is the log's business (StoreState). A file that the state no longer names is unlinked once that is
 * durable (rule R7); a reader in the middle goes on through the open handle, which is kept for a while after its last read. Until
 * the unlinking is done nobody may write the same body again (`busy`), so that a new file is never taken for the old one.
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
import type { Disk, DiskFile } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { bodyError, isFull, openIfThere, removeIfThere } from './body-disk.ts';
import { bodyPath, checkChunks, readBodyHead, stagedPath, sumsPath, type BodyFileHead } from './body-format.ts';
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

export type BodyRead =
  | { readonly kind: 'read'; readonly bytes: Buffer; readonly size: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'rotten' };

/** Handles kept open for readers: more than a node has large downloads at once, few for a process. */
const HANDLES_MAX = 64;
/** Bodies written at once, two handles each; beyond that writers come again later. */
const WRITERS_MAX = 512;
/** Bytes of the disk that bodies leave free, so that deletes and promises can still be logged: one segment of the log. */
const RESERVE_BYTES = 64 * 1024 * 1024;

interface Handle {
  readonly opening: Promise<{ readonly file: DiskFile; readonly head: BodyFileHead } | 'missing' | 'rotten'>;
  readers: number;
  lastReadAt: MonotonicMs;
  /** The file has no name any more: closing the handle gives its space back. */
  isUnlinked: boolean;
}

export class BodyFiles {
  readonly #deps: BodyFilesDeps;
  readonly #options: BodyFilesOptions;
  readonly #writers = new Map<BodyId, BodyFileWriter | null>();
  readonly #unlinking = new Set<BodyId>();
  /** Least recently used first. */
  readonly #handles = new Map<BodyId, Handle>();
  /** Staged files without a writer and body files without a name, since when. */
  readonly #orphans = new Map<BodyId, MonotonicMs>();
  readonly #background = new Set<Promise<unknown>>();
  #lingerTimer: Timer | null = null;
  #sweepTimer: Timer;
  #isClosed = false;

  constructor(deps: BodyFilesDeps, options: BodyFilesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#sweepTimer = this.#sweepLater();
  }

  /** `onPlaced`: logs that the body is held. */
  async openWriter(bodyId: BodyId, onPlaced: (size: number, sha256: string) => Promise<void>): Promise<BodyWriter | 'busy' | 'full'> {
    if (this.#isClosed) throw new DhtError('DHT_ERR_NOT_READY', 'the store is closed');
    if (this.#writers.has(bodyId) || this.#unlinking.has(bodyId) || this.#writers.size >= WRITERS_MAX) return 'busy';
    this.#writers.set(bodyId, null);
    const opening = this.#openWriter(bodyId, onPlaced);
    this.#inBackground(opening);
    return opening;
  }

  async #openWriter(bodyId: BodyId, onPlaced: (size: number, sha256: string) => Promise<void>): Promise<BodyWriter | 'full'> {
    let writer: BodyFileWriter | null = null;
    try {
      if (!(await this.#hasRoom(0))) return 'full';
      const { directory, bodies } = this.#options;
      writer = await BodyFileWriter.open({
        disk: this.#deps.disk,
        onFailure: this.#deps.onFailure,
        hasRoom: (bytes) => this.#hasRoom(bytes),
        onPlaced: async (size, sha256) => {
          this.#orphans.delete(bodyId);
          this.#forgetHandle(bodyId);
          await onPlaced(size, sha256);
        },
        onReleased: (left) => {
          this.#writers.delete(bodyId);
          if (left === 'keep') this.addOrphan(bodyId);
        },
      }, { directory, bodyId, chunkBytes: bodies.chunkBytes });
      this.#writers.set(bodyId, writer);
      this.#orphans.delete(bodyId);
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

  /** Whether the body's file is still read though it has no name any more. */
  isLingering(bodyId: BodyId): boolean {
    return this.#handles.get(bodyId)?.isUnlinked === true;
  }

  /** Bytes [offset, offset + length), from whole chunks that were checked. Rejects with errors of the disk. */
  async read(bodyId: BodyId, offset: number, length: number): Promise<BodyRead> {
    const handle = this.#handleFor(bodyId);
    try {
      const opened = await handle.opening;
      if (opened === 'missing' || opened === 'rotten') {
        this.#forgetHandle(bodyId, handle);
        return { kind: opened };
      }
      const { file, head } = opened;
      const { size, chunkBytes } = head;
      const end = Math.min(offset + length, size);
      if (end <= offset) return { kind: 'read', bytes: Buffer.alloc(0), size };
      const first = Math.floor(offset / chunkBytes);
      const from = first * chunkBytes;
      const wanted = Math.min(Math.ceil(end / chunkBytes) * chunkBytes, size) - from;
      const bytes = await file.read(from, wanted);
      if (bytes.length !== wanted || !checkChunks(bytes, first, head)) {
        this.#forgetHandle(bodyId, handle);
        return { kind: 'rotten' };
      }
      return { kind: 'read', bytes: bytes.subarray(offset - from, end - from), size };
    } catch (error) {
      this.#forgetHandle(bodyId, handle);
      throw error;
    } finally {
      handle.readers--;
      handle.lastReadAt = this.#deps.clock.monotonicNow();
      this.#closeIdle(bodyId, handle);
      this.#closeSurplus();
    }
  }

  /** The state no longer names these bodies; `durable`: and won't after a restart. */
  unlink(bodyIds: readonly BodyId[], durable: Promise<void>): void {
    for (const bodyId of bodyIds) {
      if (this.#writers.has(bodyId)) this.addOrphan(bodyId);
      if (this.#writers.has(bodyId) || this.#unlinking.has(bodyId)) continue;
      this.#unlinking.add(bodyId);
      this.#inBackground(durable.then(() => this.#unlink(bodyId)).catch(() => undefined).finally(() => { this.#unlinking.delete(bodyId); }));
    }
  }

  /** A file that nothing names. */
  addOrphan(bodyId: BodyId): void {
    if (!this.#orphans.has(bodyId)) this.#orphans.set(bodyId, this.#deps.clock.monotonicNow());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#lingerTimer?.cancel();
    this.#sweepTimer.cancel();
    for (const writer of [...this.#writers.values()]) await writer?.abort('keep');
    while (this.#background.size > 0) await Promise.all(this.#background);
    for (const [bodyId, handle] of [...this.#handles]) this.#forgetHandle(bodyId, handle);
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  // ---------------------------------------------------------------------------------------------------------- handles

  /** For one more reader. */
  #handleFor(bodyId: BodyId): Handle {
    const handle = this.#handles.get(bodyId) ?? { opening: this.#open(bodyId), readers: 0, lastReadAt: this.#deps.clock.monotonicNow(), isUnlinked: false };
    handle.readers++;
    this.#handles.delete(bodyId);
    this.#handles.set(bodyId, handle);
    this.#closeSurplus();
    return handle;
  }

  async #open(bodyId: BodyId): Promise<{ readonly file: DiskFile; readonly head: BodyFileHead } | 'missing' | 'rotten'> {
    const file = await openIfThere(this.#deps.disk, bodyPath(this.#options.directory, bodyId), 'read');
    if (file === null) return 'missing';
    try {
      const head = await readBodyHead(file, bodyId);
      if (head !== null) return { file, head };
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return 'rotten';
  }

  #closeSurplus(): void {
    for (const [bodyId, handle] of this.#handles) {
      if (this.#handles.size <= HANDLES_MAX) return;
      if (handle.readers === 0) this.#forgetHandle(bodyId, handle);
    }
  }

  /** Closes the handle once nobody reads through it; the next reader opens the file anew. */
  #forgetHandle(bodyId: BodyId, handle = this.#handles.get(bodyId)): void {
    if (handle === undefined || this.#handles.get(bodyId) !== handle) return;
    this.#handles.delete(bodyId);
    this.#closeIdle(bodyId, handle);
  }

  #closeIdle(bodyId: BodyId, handle: Handle): void {
    if (handle.readers > 0 || this.#handles.get(bodyId) === handle) return;
    this.#inBackground(handle.opening.then((opened) => (typeof opened === 'string' ? undefined : opened.file.close())).catch(() => undefined));
  }

  // -------------------------------------------------------------------------------------------------- files that go

  async #unlink(bodyId: BodyId): Promise<void> {
    const handle = this.#handles.get(bodyId);
    if (handle !== undefined) {
      handle.isUnlinked = true;
      this.#closeUnread();
    }
    try {
      await removeIfThere(this.#deps.disk, bodyPath(this.#options.directory, bodyId));
    } catch (error) {
      this.#deps.log.warn('a body file could not be removed', { bodyId, error: String(error) });
      this.addOrphan(bodyId);
    }
  }

  /** Closes handles of unlinked files whose last read was long ago, and comes back for the others. */
  #closeUnread(): void {
    const { lingerMs } = this.#options.bodies;
    const now = this.#deps.clock.monotonicNow();
    let waitMs = Infinity;
    for (const [bodyId, handle] of [...this.#handles]) {
      if (!handle.isUnlinked) continue;
      const restMs = handle.readers > 0 ? lingerMs : lingerMs - elapsedMs(handle.lastReadAt, now);
      if (restMs <= 0) this.#forgetHandle(bodyId, handle);
      else waitMs = Math.min(waitMs, restMs);
    }
    this.#lingerTimer?.cancel();
    this.#lingerTimer = waitMs === Infinity || this.#isClosed ? null : this.#deps.clock.after(waitMs, () => { this.#closeUnread(); });
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
