/**
 * The body of a request as a source that is pulled: whoever stores it sets the pace, and the socket is read ahead by a
 * bounded number of bytes. A client that waits for "100 Continue" is asked for its body at the first pull, so a write
 * that is refused before costs it nothing.
 *
 * Invariants: at most READ_AHEAD_BYTES and one piece of the socket are held; the end is reported only when the parser
 * saw the announced end, otherwise `next` rejects, and again on every later call.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { assert } from '../domain/assert.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import { CHUNK_BYTES } from '../domain/limits.ts';
import type { BodySource } from '../domain/object-operation.ts';
import { expectsContinue } from './body-collector.ts';

const READ_AHEAD_BYTES = CHUNK_BYTES;

export interface RequestBodyOptions {
  readonly bytesMax: number;
  /** Sees each piece once, in order, when it arrives. */
  readonly onBytes: (bytes: Buffer) => void;
}

interface Waiting {
  readonly resolve: (bytes: Buffer | null) => void;
  readonly reject: (error: Error) => void;
}

/** broken: the client went away or broke off. */
export type BodyFailure = 'broken' | 'too-large';

export class RequestBody implements BodySource {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #options: RequestBodyOptions;
  #state: 'unasked' | 'flowing' | 'ended' | 'failed' = 'unasked';
  #failure: BodyFailure | null = null;
  #waiting: Waiting | null = null;
  readonly #pieces: Buffer[] = [];
  #heldBytes = 0;
  #byteCount = 0;

  constructor(req: IncomingMessage, res: ServerResponse, options: RequestBodyOptions) {
    this.#req = req;
    this.#res = res;
    this.#options = options;
  }

  /** Why it failed; null while it hasn't. */
  get failure(): BodyFailure | null {
    return this.#failure;
  }

  next(): Promise<Buffer | null> {
    assert(this.#waiting === null, 'one piece of a body is asked for at a time');
    if (this.#state === 'unasked') this.#ask();
    if (this.#state === 'failed') return Promise.reject(this.#error());
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#heldBytes -= piece.length;
      if (this.#pieces.length === 0 && this.#state === 'flowing') this.#req.resume();
      return Promise.resolve(piece);
    }
    if (this.#state === 'ended') return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** Lets go of the request: what is unread is the caller's to discard. */
  release(): void {
    this.#req.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onBroken);
    this.#pieces.length = 0;
  }

  #ask(): void {
    this.#state = 'flowing';
    if (this.#req.destroyed) return this.#fail('broken');
    this.#req.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onBroken).on('error', this.#onBroken);
    if (expectsContinue(this.#req)) this.#res.writeContinue();
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#state !== 'flowing') return;
    this.#byteCount += bytes.length;
    if (this.#byteCount > this.#options.bytesMax) return this.#fail('too-large');
    this.#options.onBytes(bytes);
    if (this.#waiting !== null) return this.#settle((waiting) => waiting.resolve(bytes));
    this.#pieces.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= READ_AHEAD_BYTES) this.#req.pause();
  };

  readonly #onEnd = (): void => {
    if (!this.#req.complete) return this.#fail('broken');
    if (this.#state !== 'flowing') return;
    this.#state = 'ended';
    this.#settle((waiting) => waiting.resolve(null));
  };

  readonly #onBroken = (): void => this.#fail('broken');

  #fail(failure: BodyFailure): void {
    if (this.#state !== 'flowing') return;
    this.#state = 'failed';
    this.#failure = failure;
    this.#pieces.length = 0;
    this.#settle((waiting) => waiting.reject(this.#error()));
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) how(waiting);
  }

  #error(): DhtError {
    return this.#failure === 'too-large' ? new DhtError('DHT_ERR_TOO_LARGE', `The body is longer than ${this.#options.bytesMax} bytes.`) : new DhtError('DHT_ERR_REQUEST_INVALID', 'The client broke off.');
  }
}
