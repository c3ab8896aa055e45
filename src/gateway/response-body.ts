/**
 * Sends what a reader gives, at the pace of the client: the next piece is read once the socket took the last one. Pieces
 * are cut small, so that a slow client is seen to move; who leaves stops the reading.
 *
 * Invariant: the answer is ended only when just the announced bytes were sent; otherwise the connection is cut, and the
 * client sees that it broke.
 */
import type { ServerResponse } from 'node:http';
import type { BodyReader } from '../domain/object-operation.ts';

/** Bytes of one write: what a client at 2 KiB/s takes between three looks of the watchdog. */
const WRITE_BYTES_MAX = 64 * 1024;

export class ResponseBody {
  readonly #res: ServerResponse;
  readonly #reader: BodyReader;
  #isOver = false;
  #isGone: boolean;
  #onGone: (() => void) | null = null;

  constructor(res: ServerResponse, reader: BodyReader) {
    this.#res = res;
    this.#reader = reader;
    this.#isGone = res.closed;
    res.once('close', () => {
      this.#isGone = true;
      if (!this.#isOver) this.cancel();
      this.#onGone?.();
    });
  }

  /** Whether the client left. */
  get isGone(): boolean {
    return this.#isGone;
  }

  cancel(): void {
    this.#isOver = true;
    this.#reader.cancel();
  }

  /** The next piece; null at the end or when the client left. Rejects as the reader does. */
  next(): Promise<Buffer | null> {
    return this.#unlessGone((resolve, reject) => this.#reader.next().then(resolve, reject));
  }

  /**
   * Sends `first` and all that follows, and ends the answer after `byteCount` bytes. Returns false, having cut the
   * connection, when the client left or the reader gave another number of bytes; rejects as the reader does.
   */
  async send(first: Buffer | null, byteCount: number, onBytes: (count: number) => void): Promise<boolean> {
    let bytesLeft = byteCount;
    for (let piece = first; piece !== null && !this.#isGone; piece = await this.next()) {
      bytesLeft -= piece.length;
      if (bytesLeft < 0) break;
      for (let at = 0; at < piece.length && !this.#isGone; at += WRITE_BYTES_MAX) {
        const part = piece.subarray(at, at + WRITE_BYTES_MAX);
        onBytes(part.length);
        if (!this.#res.write(part)) await this.#drained();
      }
    }
    if (bytesLeft === 0 && !this.#isGone) {
      this.#isOver = true;
      this.#res.end();
      return true;
    }
    this.cancel();
    this.#res.destroy();
    return false;
  }

  #drained(): Promise<null> {
    return this.#unlessGone((resolve) => {
      const onDrain = (): void => resolve(null);
      this.#res.once('drain', onDrain);
    });
  }

  #unlessGone<T>(start: (resolve: (value: T | null) => void, reject: (error: Error) => void) => unknown): Promise<T | null> {
    return new Promise((resolve, reject) => {
      this.#onGone = () => resolve(null);
      if (this.#isGone) resolve(null);
      else start(resolve, reject);
    });
  }
}
