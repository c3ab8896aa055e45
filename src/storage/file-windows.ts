/** A file read from front to back in large windows: small views cost no call to the disk. */
import type { DiskFile } from '../ports/disk.ts';

/** Bytes read at a time. */
export const WINDOW_BYTES = 4 * 1024 * 1024;

export class FileWindows {
  readonly #file: DiskFile;
  readonly size: number;
  #window: Buffer = Buffer.alloc(0);
  #windowFrom = 0;

  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  /** Up to `length` bytes from `offset`; valid until the next call. */
  async view(offset: number, length: number): Promise<Buffer> {
    const available = Math.max(0, Math.min(length, this.size - offset));
    if (offset < this.#windowFrom || offset + available > this.#windowFrom + this.#window.length) {
      this.#window = await this.#file.read(offset, Math.min(Math.max(available, WINDOW_BYTES), Math.max(0, this.size - offset)));
      this.#windowFrom = offset;
    }
    return this.#window.subarray(offset - this.#windowFrom, offset - this.#windowFrom + available);
  }
}
