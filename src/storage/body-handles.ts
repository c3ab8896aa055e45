/**
 * Reading body files through a few open handles, in whole chunks that are checked.
 *
 * A file that lost its name is readable as long as its handle is open. So whoever is in the middle of a body that was replaced
 * reads on: the handle is kept until nobody has read through it for the time to linger.
 * Cost: a chunk's checksum for each chunk that a range touches; a handle holds 4 bytes for each chunk of its file.
 * Source: protocol section C.3; rule R7 "An open handle keeps it readable".
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { BodyId } from '../domain/ids.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { openIfThere } from './body-disk.ts';
import { bodyPath, checkChunks, readBodyHead, type BodyFileHead } from './body-format.ts';

export interface BodyHandlesDeps {
  readonly disk: Disk;
  readonly clock: Clock;
}

export interface BodyHandlesOptions {
  /** The node's. */
  readonly directory: string;
  /** Milliseconds that a file without a name stays readable after its last read. */
  readonly lingerMs: number;
}

export type BodyRead =
  | { readonly kind: 'read'; readonly bytes: Buffer; readonly size: number }
  | { readonly kind: 'missing' }
  | { readonly kind: 'rotten' };

/** Handles kept open for readers: more than a node has large downloads at once, few for a process. */
const HANDLES_MAX = 64;

interface Handle {
  readonly opening: Promise<Opened>;
  readers: number;
  lastReadAt: MonotonicMs;
  /** The file goes, or is gone: closing the handle gives its space back. */
  isNameless: boolean;
}

type Opened = { readonly file: DiskFile; readonly head: BodyFileHead } | 'missing' | 'rotten';

export class BodyHandles {
  readonly #deps: BodyHandlesDeps;
  readonly #options: BodyHandlesOptions;
  /** Least recently used first. */
  readonly #handles = new Map<BodyId, Handle>();
  readonly #closing = new Set<Promise<unknown>>();
  #lingerTimer: Timer | null = null;
  #isClosed = false;

  constructor(deps: BodyHandlesDeps, options: BodyHandlesOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Whether the body is still read though nothing names it any more. */
  isLingering(bodyId: BodyId): boolean {
    return this.#handles.get(bodyId)?.isNameless === true;
  }

  /** Bytes [offset, offset + length), from whole chunks that were checked. Rejects with errors of the disk. */
  async read(bodyId: BodyId, offset: number, length: number): Promise<BodyRead> {
    const handle = this.#handleFor(bodyId);
    try {
      const opened = await handle.opening;
      if (opened === 'missing' || opened === 'rotten') {
        this.#forget(bodyId, handle);
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
        this.#forget(bodyId, handle);
        return { kind: 'rotten' };
      }
      return { kind: 'read', bytes: bytes.subarray(offset - from, end - from), size };
    } catch (error) {
      this.#forget(bodyId, handle);
      throw error;
    } finally {
      handle.readers--;
      handle.lastReadAt = this.#deps.clock.monotonicNow();
      this.#closeIdle(bodyId, handle);
      this.#closeSurplus();
    }
  }

  /** The body's file gets, or got, another content: the next reader opens it anew. */
  forget(bodyId: BodyId): void {
    this.#forget(bodyId, this.#handles.get(bodyId));
  }

  /** Nothing names the body any more, and its file goes: whoever was reading it reads on. */
  linger(bodyId: BodyId): void {
    const handle = this.#handles.get(bodyId);
    if (handle === undefined) return;
    handle.isNameless = true;
    this.#closeUnread();
  }

  /** Later readers find nothing; those in the middle end first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#lingerTimer?.cancel();
    for (const [bodyId, handle] of [...this.#handles]) this.#forget(bodyId, handle);
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  /** For one more reader. */
  #handleFor(bodyId: BodyId): Handle {
    const handle = this.#handles.get(bodyId) ?? { opening: this.#open(bodyId), readers: 0, lastReadAt: this.#deps.clock.monotonicNow(), isNameless: false };
    handle.readers++;
    this.#handles.delete(bodyId);
    this.#handles.set(bodyId, handle);
    this.#closeSurplus();
    return handle;
  }

  async #open(bodyId: BodyId): Promise<Opened> {
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
      if (handle.readers === 0) this.#forget(bodyId, handle);
    }
  }

  #forget(bodyId: BodyId, handle: Handle | undefined): void {
    if (handle === undefined || this.#handles.get(bodyId) !== handle) return;
    this.#handles.delete(bodyId);
    this.#closeIdle(bodyId, handle);
  }

  /** Closes a handle that was forgotten once nobody reads through it. */
  #closeIdle(bodyId: BodyId, handle: Handle): void {
    if (handle.readers > 0 || this.#handles.get(bodyId) === handle) return;
    const closing: Promise<unknown> = handle.opening
      .then((opened) => (typeof opened === 'string' ? undefined : opened.file.close()))
      .catch(() => undefined)
      .finally(() => { this.#closing.delete(closing); });
    this.#closing.add(closing);
  }

  /** Closes handles of nameless files whose last read was long ago, and comes back for the others. */
  #closeUnread(): void {
    const { lingerMs } = this.#options;
    const now = this.#deps.clock.monotonicNow();
    let waitMs = Infinity;
    for (const [bodyId, handle] of [...this.#handles]) {
      if (!handle.isNameless) continue;
      const restMs = handle.readers > 0 ? lingerMs : lingerMs - elapsedMs(handle.lastReadAt, now);
      if (restMs <= 0) this.#forget(bodyId, handle);
      else waitMs = Math.min(waitMs, restMs);
    }
    this.#lingerTimer?.cancel();
    this.#lingerTimer = waitMs === Infinity || this.#isClosed ? null : this.#deps.clock.after(waitMs, () => { this.#closeUnread(); });
  }
}
