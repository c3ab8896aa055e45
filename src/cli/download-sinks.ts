/** Where an object that is fetched goes: into a file, through an unfinished one that a later command can go on with, or to the output. */
import type { FilePlace, OpenFile, PartFile } from '../ports/local-files.ts';
import type { Terminal } from '../ports/terminal.ts';
import type { DownloadSink } from './download.ts';
import { CommandFailure, EXIT, messageOf } from './exit-code.ts';

/** Bytes from which on an unfinished file is kept: less comes again before anyone notices. */
const KEPT_BYTES_MIN = 1024 * 1024;

export class FileSink implements DownloadSink {
  readonly #place: FilePlace;
  #part: PartFile | null = null;
  #bytes = 0;

  constructor(place: FilePlace) {
    this.#place = place;
  }

  async resume(): Promise<{ readonly etag: string; readonly kept: OpenFile } | null> {
    return await saved(async () => {
      const tag = await this.#place.unfinished();
      if (tag === null) return null;
      this.#part = await this.#place.begin(tag);
      this.#bytes = this.#part.size;
      return { etag: `"${tag}"`, kept: await this.#part.kept() };
    });
  }

  async begin(etag: string): Promise<void> {
    await saved(async () => {
      await this.#part?.abandon('drop');
      this.#part = null;
      const tag = /^"([^"]*)"$/.exec(etag)?.[1] ?? '';
      let part = await this.#place.begin(tag);
      if (part.size > 0) {
        await part.abandon('drop');
        part = await this.#place.begin(tag);
      }
      this.#part = part;
      this.#bytes = 0;
    });
  }

  async append(bytes: Buffer): Promise<void> {
    await saved(async () => { await this.#part?.append(bytes); });
    this.#bytes += bytes.length;
  }

  async finish(): Promise<void> {
    const part = this.#part;
    this.#part = null;
    await saved(async () => { await part?.finish(); });
  }

  async fail(how: 'keep' | 'drop'): Promise<void> {
    const part = this.#part;
    this.#part = null;
    await part?.abandon(this.#bytes < KEPT_BYTES_MIN ? 'drop' : how).catch(() => undefined);
  }
}

/** What is printed can't be taken back: another version can't begin once bytes of one are out. */
export class OutputSink implements DownloadSink {
  readonly #terminal: Terminal;
  #isDirty = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  resume(): Promise<null> {
    return Promise.resolve(null);
  }

  begin(): Promise<void> {
    return this.#isDirty ? Promise.reject(new CommandFailure(EXIT.CONFLICT, 'the object was replaced while it was printed')) : Promise.resolve();
  }

  async append(bytes: Buffer): Promise<void> {
    this.#isDirty = true;
    await this.#terminal.pour(bytes);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  fail(): Promise<void> {
    return Promise.resolve();
  }
}

async function saved<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CommandFailure(EXIT.ERROR, `not saved: ${messageOf(error)}`);
  }
}
