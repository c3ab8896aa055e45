/**
 * Writes one large body into `staging/`, and makes it a body file when all of it is there and is what was announced.
 *
 * A chunk is hashed while the disk takes it. Now and then the file is synced in the background, which bounds both what the
 * last sync has to write and the dirty memory of the machine; then the checksums of its chunks go to a file beside it. A
 * later attempt reads both, keeps what agrees, and goes on behind it: checksums that got lost only cost bytes read again.
 *
 * Order of `finish`: table and footer, sync of the file, rename, sync of both directories, then the log's record. Only the
 * record makes the body held, so that a crash in between leaves a file without a name (see BodyFiles).
 * A failed write costs this body; a failed sync ends the process as the log's does. Nobody was promised a body that isn't
 * held, so a full disk is neither. Source: protocol sections C.2 and F.2; rule R6.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyId } from '../domain/ids.ts';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import type { Disk, DiskFile } from '../ports/disk.ts';
import { bodyError, fullDisk, isFull, openIfThere, removeIfThere } from './body-disk.ts';
import { bodyDirectory, bodyPath, bodyTail, stagedPath, stagingDirectory, SUM_BYTES, sumsPath } from './body-format.ts';
import type { BodyWriter } from './register-store.ts';

export interface BodyFileWriterDeps {
  readonly disk: Disk;
  /** A sync failed. */
  readonly onFailure: (error: unknown) => void;
  /** The disk may take that many more bytes. */
  readonly hasRoom: (bytes: number) => Promise<boolean>;
  /** The file is in its place; resolves when the log says so durably. */
  readonly onPlaced: (size: number, sha256: string) => Promise<void>;
  /** Called once, when the writer is done with. `keep`: a staged file stays. */
  readonly onReleased: (left: 'keep' | 'nothing') => void;
}

export interface BodyFileWriterOptions {
  /** The node's. */
  readonly directory: string;
  readonly bodyId: BodyId;
  readonly chunkBytes: number;
}

/** Chunks after which the file is synced while it grows: 16 MiB. Fewer: more syncs; more: more to write at the end. */
const SYNC_CHUNKS = 64;

export class BodyFileWriter implements BodyWriter {
  readonly #deps: BodyFileWriterDeps;
  readonly #options: BodyFileWriterOptions;
  readonly #file: DiskFile;
  readonly #hash = createHash('sha256');
  readonly #sums = new BinaryWriter(64);
  /** Bytes of them that are in their file. */
  #sumsWritten = 0;
  #length = 0;
  /** Up to where the file was synced, or is being. */
  #syncedTo = 0;
  #writing: Promise<unknown> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();
  #failure: DhtError | null = null;
  #finishing: Promise<'held' | 'mismatch'> | null = null;
  #isClosed = false;
  /** The file may be under its final name. */
  #isPlacing = false;
  #isReleased = false;

  /** Opens the staged file, keeps the chunks of it that check out and cuts the rest. Rejects with errors of the disk. */
  static async open(deps: BodyFileWriterDeps, options: BodyFileWriterOptions): Promise<BodyFileWriter> {
    const path = stagedPath(options.directory, options.bodyId);
    const present = await openIfThere(deps.disk, path, 'update');
    const writer = new BodyFileWriter(deps, options, present ?? (await deps.disk.open(path, 'create')));
    if (present === null) return writer;
    try {
      await writer.#resume();
      return writer;
    } catch (error) {
      await present.close();
      throw error;
    }
  }

  private constructor(deps: BodyFileWriterDeps, options: BodyFileWriterOptions, file: DiskFile) {
    this.#deps = deps;
    this.#options = options;
    this.#file = file;
  }

  get length(): number {
    return this.#length;
  }

  async append(bytes: Buffer): Promise<void> {
    this.#assertUsable();
    const written = this.#file.write(this.#length, [bytes]);
    // Without its value: that would hold the one before, and so on back to the first chunk.
    this.#writing = Promise.allSettled([this.#writing, written]).then(() => undefined);
    this.#note(bytes);
    try {
      await written;
      if (this.#length - this.#syncedTo >= SYNC_CHUNKS * this.#options.chunkBytes) await this.#syncBehind();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async finish(expected: { readonly size: number; readonly sha256: string }): Promise<'held' | 'mismatch'> {
    this.#assertUsable();
    this.#finishing = this.#finish(expected);
    return this.#finishing;
  }

  async #finish(expected: { readonly size: number; readonly sha256: string }): Promise<'held' | 'mismatch'> {
    try {
      await this.#writing;
      await this.#syncing;
      if (this.#failure !== null) throw this.#failure;
      const sha256 = this.#hash.digest('hex');
      if (this.#length !== expected.size || sha256 !== expected.sha256) {
        await this.#release('drop');
        return 'mismatch';
      }
      await this.#place(sha256);
      await this.#deps.onPlaced(this.#length, sha256);
      this.#released('nothing');
      return 'held';
    } catch (error) {
      const failure = this.#fail(error);
      // The file may be in its place already, without a record: it goes like whatever nothing names.
      await this.#release('drop', this.#isPlacing ? 'keep' : 'nothing');
      throw failure;
    }
  }

  /** Waits for a `finish` that is under way, and then does nothing. */
  async abort(keep: 'keep' | 'drop'): Promise<void> {
    if (this.#finishing !== null) return void (await this.#finishing.catch(() => undefined));
    if (this.#isReleased) return;
    this.#failure ??= new DhtError('DHT_ERR_CONFLICT', 'the writing of the body was given up');
    await this.#writing;
    await this.#syncing.catch(() => undefined);
    if (keep === 'keep') await this.#writeSums().catch(() => undefined);
    await this.#release(keep);
  }

  async #resume(): Promise<void> {
    const { disk } = this.#deps;
    const { directory, bodyId, chunkBytes } = this.#options;
    const sumsFile = await openIfThere(disk, sumsPath(directory, bodyId), 'read');
    let sums: Buffer = Buffer.alloc(0);
    if (sumsFile !== null) {
      try {
        sums = await sumsFile.read(0, await sumsFile.size());
      } finally {
        await sumsFile.close();
      }
    }
    for (let at = 0; at + SUM_BYTES <= sums.length; at += SUM_BYTES) {
      const chunk = await this.#file.read(this.#length, chunkBytes);
      if (chunk.length !== chunkBytes || crc32(chunk) !== sums.readUInt32BE(at)) break;
      this.#note(chunk);
    }
    this.#sumsWritten = this.#sums.length;
    this.#syncedTo = this.#length;
    await this.#file.truncate(this.#length);
  }

  #note(chunk: Buffer): void {
    this.#length += chunk.length;
    this.#hash.update(chunk);
    this.#sums.u32(crc32(chunk));
  }

  /** Begins a sync of what was written once the one before has ended: at most two rounds are ever unsynced. */
  async #syncBehind(): Promise<void> {
    this.#syncedTo = this.#length;
    const before = this.#syncing;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    promise.catch(() => undefined);
    this.#syncing = promise;
    try {
      await before;
      if (!(await this.#deps.hasRoom(SYNC_CHUNKS * this.#options.chunkBytes))) throw fullDisk();
    } catch (error) {
      reject(error);
      throw error;
    }
    this.#sync().then(() => this.#writeSums()).then(() => { resolve(undefined); }, reject);
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      this.#syncFailed(error);
      throw error;
    }
  }

  /**
   * Writes the checksums that aren't in their file yet: all of them each time would be the square of the length in the end.
   * Never synced itself, for what it says is checked: what a crash takes out of its middle costs the chunks from there on.
   */
  async #writeSums(): Promise<void> {
    const { disk } = this.#deps;
    const path = sumsPath(this.#options.directory, this.#options.bodyId);
    let file = await openIfThere(disk, path, 'update');
    if (file === null) {
      file = await disk.open(path, 'create');
      this.#sumsWritten = 0;
    }
    try {
      const added = Buffer.from(this.#sums.view(this.#sumsWritten));
      await file.write(this.#sumsWritten, [added]);
      this.#sumsWritten += added.length;
    } finally {
      await file.close();
    }
  }

  async #place(sha256: string): Promise<void> {
    const { disk } = this.#deps;
    const { directory, bodyId, chunkBytes } = this.#options;
    const tail = bodyTail({ bodyId, size: this.#length, sha256, chunkBytes, table: this.#sums.finish() });
    await this.#file.write(this.#length, [tail]);
    await this.#sync();
    await this.#close();
    await disk.makeDirectory(bodyDirectory(directory, bodyId));
    this.#isPlacing = true;
    await disk.rename(stagedPath(directory, bodyId), bodyPath(directory, bodyId));
    await removeIfThere(disk, sumsPath(directory, bodyId));
    try {
      await disk.syncDirectory(bodyDirectory(directory, bodyId));
      await disk.syncDirectory(stagingDirectory(directory));
    } catch (error) {
      this.#syncFailed(error);
      throw error;
    }
  }

  async #release(keep: 'keep' | 'drop', dropped: 'keep' | 'nothing' = 'nothing'): Promise<void> {
    if (this.#isReleased) return;
    const { disk } = this.#deps;
    const { directory, bodyId } = this.#options;
    await this.#close().catch(() => undefined);
    let left: 'keep' | 'nothing' = keep === 'keep' ? 'keep' : dropped;
    if (keep === 'drop') {
      try {
        await removeIfThere(disk, stagedPath(directory, bodyId));
        await removeIfThere(disk, sumsPath(directory, bodyId));
      } catch {
        left = 'keep';
      }
    }
    this.#released(left);
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.close();
  }

  #released(left: 'keep' | 'nothing'): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#deps.onReleased(left);
  }

  #assertUsable(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#finishing !== null || this.#isReleased) throw new DhtError('DHT_ERR_CONFLICT', 'the body was finished before');
  }

  #fail(error: unknown): DhtError {
    this.#failure ??= bodyError(error);
    return this.#failure;
  }

  #syncFailed(error: unknown): void {
    if (!isFull(error)) this.#deps.onFailure(error);
  }
}
