/**
 * The bodies that this node holds, whether they are small (in the log, where they stay: an accept only names the position) or
 * large (in files): where each is, its bytes, and when its file may go. What is held is a question to the state alone.
 *
 * Damage: a body whose bytes fail their checksum, or whose file isn't there though the state names it, is told to `onDamage` and
 * is no longer held: never served, never counted. Its register stays and the node goes on, for other replicas have the body, and
 * it is held again once it is written again.
 * Source: protocol sections C.3 and F.2; rules R6, R7.
 */
import { createHash } from 'node:crypto';
import type { BodyLimits } from '../domain/body-limits.ts';
import type { BodyId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log as OperatorLog } from '../ports/log.ts';
import { BodyFiles } from './body-files.ts';
import type { Inventory } from './body-inventory.ts';
import { ByteBoundedCache } from './byte-bounded-cache.ts';
import { checkBody } from './log.ts';
import { BODY_IN_FILE, BODY_PREFIX_BYTES } from './log-format.ts';
import type { BodyWriter } from './register-store.ts';
import type { BodyLocation } from './staged-bodies.ts';
import type { StoreState } from './store-state.ts';
import { readTwice } from './unreadable.ts';

export interface HeldBodiesDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: OperatorLog;
  readonly state: StoreState;
  /** A sync failed: the process must end. */
  readonly onFailure: (error: unknown) => void;
  readonly onDamage: (detail: string, key: ObjectKey | null) => void;
  /** Bytes of the store's log. */
  readonly readLog: (position: number, length: number) => Promise<Buffer>;
  /** Logs that the body's file is in its place; resolves when that is durable. */
  readonly logFile: (key: ObjectKey, bodyId: BodyId, size: number, sha256: string) => Promise<void>;
}

export interface HeldBodiesOptions {
  /** The node's. */
  readonly directory: string;
  readonly bodies: BodyLimits;
  /** Bytes of memory for bodies in the log. Those in files are never kept. */
  readonly cacheBytes: number;
}

export interface BodyBytes {
  readonly bytes: Buffer;
  /** Of the whole body. */
  readonly size: number;
}

/** Bytes of a body that are verified between two pauses. */
const VERIFY_BYTES = 1024 * 1024;
/** About what a buffer takes in memory besides its bytes. */
const BUFFER_BYTES = 200;

export class HeldBodies {
  readonly #deps: HeldBodiesDeps;
  readonly #files: BodyFiles;
  /** Bodies in the log, by position. */
  readonly #cache: ByteBoundedCache<Buffer>;

  constructor(deps: HeldBodiesDeps, options: HeldBodiesOptions) {
    this.#deps = deps;
    this.#files = new BodyFiles({ ...deps, dropExpired: () => this.#dropExpired() }, options);
    this.#cache = new ByteBoundedCache(options.cacheBytes, (body) => BUFFER_BYTES + body.length);
  }

  /** Null: it isn't held. */
  locate(key: ObjectKey, bodyId: BodyId): BodyLocation | null {
    return this.#deps.state.bodyLocation(key, bodyId, this.#deps.clock.monotonicNow());
  }

  /** Keeps in memory what the log got. */
  keep(at: number, body: Buffer): void {
    this.#cache.put(at, compact(body));
  }

  /** Bytes [offset, offset + length); null when the body isn't held. Rejects with errors of the disk. */
  async read(key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<BodyBytes | null> {
    const location = this.locate(key, bodyId);
    if (location === null) return this.#files.isLingering(bodyId) ? this.#readFile(key, bodyId, offset, length) : null;
    const { at, size } = location;
    if (at === BODY_IN_FILE) return this.#readFile(key, bodyId, offset, length);
    let body = this.#cache.get(at);
    if (body === null) {
      body = checkBody(await this.#deps.readLog(at, BODY_PREFIX_BYTES + size), size);
      if (body === null) {
        this.#deps.state.forgetBody(key, bodyId, at);
        this.#deps.onDamage(`the body at log position ${at} fails its checksum`, key);
        return null;
      }
      this.#cache.put(at, body);
    }
    return { bytes: body.subarray(offset, offset + length), size };
  }

  openWriter(key: ObjectKey, bodyId: BodyId): Promise<BodyWriter | 'busy' | 'full'> {
    return this.#files.openWriter(bodyId, (size, sha256) => this.#deps.logFile(key, bodyId, size, sha256), () => this.locate(key, bodyId) !== null);
  }

  /** Removes the files of the bodies that the last change left without a name, once it is durable. */
  unlinkUnnamed(durable: Promise<void>): void {
    const unnamed = this.#deps.state.takeUnnamed();
    if (unnamed.length > 0) this.#files.unlink(unnamed, durable);
  }

  /** At start: what the directories hold beside what the log says. */
  takeOver({ missing, unnamed, stagedBesideHeld }: Inventory): void {
    for (const [bodyId, key] of missing) {
      this.#deps.state.forgetBody(key, bodyId, BODY_IN_FILE);
      // A staged body may have been dropped before the restart; nobody counts on it but who wrote it.
      if (key !== null) this.#deps.onDamage(`the file of body ${bodyId} is missing`, key);
    }
    const replaced = new Set(this.#deps.state.takeUnnamed());
    this.#files.unlink(unnamed.filter((bodyId) => replaced.has(bodyId)), Promise.resolve());
    // Also of a replaced one there may be a staged file: a late sender can have begun it anew.
    for (const bodyId of unnamed) this.#files.addOrphan(bodyId);
    this.#files.removeStaged(stagedBesideHeld);
  }

  close(): Promise<void> {
    return this.#files.close();
  }

  async #readFile(key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<BodyBytes | null> {
    const found = await this.#files.read(bodyId, offset, length);
    if (found.kind === 'read') return { bytes: found.bytes, size: found.size };
    // Meanwhile the body may have been replaced and its file removed: that is no damage.
    if (this.locate(key, bodyId)?.at !== BODY_IN_FILE) return null;
    this.#deps.state.forgetBody(key, bodyId, BODY_IN_FILE);
    this.#deps.onDamage(`the file of body ${bodyId} is ${found.kind === 'missing' ? 'missing' : 'not what was written'}`, key);
    if (found.kind === 'rotten') this.#files.quarantine(bodyId);
    return null;
  }

  /** Reads the whole body from the disk and holds it against its digest. A body that isn't what it was is no longer held. */
  async verify(key: ObjectKey, { bodyId, size, sha256 }: RecordBody, pause: () => Promise<void>): Promise<boolean> {
    const location = this.locate(key, bodyId);
    if (location === null) return false;
    const digest = createHash('sha256');
    const { at } = location;
    if (at !== BODY_IN_FILE) {
      const stored = await readTwice(() => this.#deps.readLog(at, BODY_PREFIX_BYTES + size), pause);
      const body = stored === null ? null : checkBody(stored, size);
      if (body !== null && digest.update(body).digest('hex') === sha256) return true;
      if (this.locate(key, bodyId)?.at !== at) return true;
      this.#cache.delete(at);
      this.#deps.state.forgetBody(key, bodyId, at);
      this.#deps.onDamage(`the body at log position ${at} ${stored === null ? "can't be read" : 'fails its checksum'}`, null);
      return false;
    }
    const lose = (what: string): false => {
      this.#deps.state.forgetBody(key, bodyId, BODY_IN_FILE);
      this.#files.quarantine(bodyId);
      this.#deps.onDamage(`the file of body ${bodyId} ${what}`, null);
      return false;
    };
    for (let offset = 0; offset < size; offset += VERIFY_BYTES) {
      const read = await readTwice(async () => ({ found: await this.#readFile(key, bodyId, offset, Math.min(VERIFY_BYTES, size - offset)) }), pause);
      if (read === null) return this.locate(key, bodyId)?.at === BODY_IN_FILE ? lose("can't be read") : true;
      const { found } = read;
      if (found === null) return this.locate(key, bodyId)?.at !== BODY_IN_FILE && this.#deps.state.isReplaced(key, bodyId);
      digest.update(found.bytes);
      await pause();
    }
    if (size === 0 || digest.digest('hex') === sha256) return true;
    return lose('does not have its digest');
  }

  #dropExpired(): readonly BodyId[] {
    this.#deps.state.dropExpired(this.#deps.clock.monotonicNow());
    return this.#deps.state.takeUnnamed();
  }
}

/** The bytes without a larger buffer behind them: a received chunk isn't kept for the sake of a part of it. */
function compact(bytes: Buffer): Buffer {
  return bytes.buffer.byteLength > 2 * bytes.length ? Buffer.from(bytes) : bytes;
}
