/**
 * Unfinished files: `.NAME.TAG.part` beside the place, renamed onto it when whole. The tag, which names the version of what
 * is fetched, is in the file's name: so parts of two versions are never mixed, and nothing has to be kept in step with the
 * bytes. Two commands that fetch the same version write the same bytes to the same places.
 *
 * A part whose tag can't be in a file name gets a random one, and is never found again.
 */
import { hash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { FilePlace, OpenFile, PartFile } from '../ports/local-files.ts';
import { openForReading } from './open-file.ts';

const TAG = /^[0-9A-Za-z-]{1,80}$/;
const UNTAGGED = 'untagged~';
const PART = '.part';
/** Characters of the file's name in its part's name: at most 255 bytes are allowed with the tag. Of longer names a hash stays. */
const BASE_LENGTH_MAX = 40;
const HASH_DIGITS = 8;

/** The absolute path of the file; `make` makes its directories, `look` gives null when one is missing. Rejects when it can't be there. */
export type Locate = (how: 'look' | 'make') => Promise<string | null>;

export class NodeFilePlace implements FilePlace {
  readonly path: string;
  readonly #locate: Locate;
  /** What the names of its parts begin with. */
  readonly #start: string;

  /** `shown`: the path as people know it. */
  constructor(shown: string, locate: Locate) {
    this.path = shown;
    this.#locate = locate;
    const base = path.basename(shown);
    const short = base.length <= BASE_LENGTH_MAX ? base : `${base.slice(0, BASE_LENGTH_MAX - HASH_DIGITS).toWellFormed()}~${hash('sha256', base, 'hex').slice(0, HASH_DIGITS)}`;
    this.#start = `.${short}.`;
  }

  async unfinished(): Promise<string | null> {
    const file = await this.#locate('look');
    return file === null ? null : (await this.#tags(path.dirname(file)))[0] ?? null;
  }

  async begin(tag: string): Promise<PartFile> {
    const file = (await this.#locate('make')) ?? this.path;
    const directory = path.dirname(file);
    for (const other of await this.#tags(directory)) {
      if (other !== tag) await fs.rm(path.join(directory, this.#partName(other)), { force: true });
    }
    return await NodePartFile.open(path.join(directory, this.#partName(TAG.test(tag) ? tag : UNTAGGED + randomBytes(6).toString('hex'))), file);
  }

  #partName(tag: string): string {
    return this.#start + tag + PART;
  }

  /** Of the parts that are there. */
  async #tags(directory: string): Promise<readonly string[]> {
    const names = await fs.readdir(directory);
    return names.filter((name) => name.startsWith(this.#start) && name.endsWith(PART))
      .map((name) => name.slice(this.#start.length, -PART.length)).filter((tag) => TAG.test(tag));
  }
}

class NodePartFile implements PartFile {
  readonly size: number;
  readonly #part: string;
  readonly #file: string;
  readonly #handle: fs.FileHandle;
  #at: number;

  private constructor(part: string, file: string, handle: fs.FileHandle, size: number) {
    this.#part = part;
    this.#file = file;
    this.#handle = handle;
    this.size = size;
    this.#at = size;
  }

  static async open(part: string, file: string): Promise<NodePartFile> {
    // A link in its place would be followed: then it isn't ours.
    const before = await fs.lstat(part).catch(() => null);
    if (before?.isFile() === false) throw new Error(`${part} is in the way`);
    const handle = await fs.open(part, before === null ? 'wx+' : 'r+');
    return new NodePartFile(part, file, handle, (await handle.stat()).size);
  }

  kept(): Promise<OpenFile> {
    return openForReading(this.#part, this.size);
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#at);
      done += bytesWritten;
      this.#at += bytesWritten;
    }
  }

  async finish(): Promise<void> {
    await this.#handle.close();
    await fs.rename(this.#part, this.#file);
  }

  async abandon(how: 'keep' | 'drop'): Promise<void> {
    await this.#handle.close();
    if (how === 'drop') await fs.rm(this.#part, { force: true });
  }
}
