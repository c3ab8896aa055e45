/**
 * A socket as a ByteStream. What is written in one turn of the event loop leaves as one write: 16 small frames cost one
 * system call and one TLS record instead of 16, and a single frame waits a few microseconds for the end of the turn.
 *
 * Small pieces are copied together (13 GB/s) because gathered writes cost more per piece; large ones go as they are.
 * Measured by test/bench/peer-bench.ts.
 */
import type { Socket } from 'node:net';
import type { ByteStream, ByteStreamHandlers } from '../ports/byte-network.ts';

/** Queued bytes above which `write` answers false. */
const HIGH_WATER_BYTES = 512 * 1024;
/** Batches whose pieces are no larger than this on average are copied into one buffer. */
const COPIED_PIECE_BYTES_MAX = 16 * 1024;
const KEEP_ALIVE_MS = 10_000;

export class NodeStream implements ByteStream {
  readonly remote: string;
  readonly #socket: Socket;
  #handlers: ByteStreamHandlers | null = null;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #flush: NodeJS.Immediate | null = null;
  /** Pending, or given to the socket and not yet taken by the operating system. */
  #queuedBytes = 0;
  #isBlocked = false;
  #isEnding = false;
  #isDestroyed = false;
  #isClosed = false;
  #error: Error | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('error', (error) => { this.#error ??= error; });
    socket.on('close', () => { this.#closed(); });
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
    this.#socket.on('data', (bytes: Buffer) => {
      if (!this.#isDestroyed) handlers.onBytes(bytes);
    });
    if (this.#isClosed) setImmediate(() => { handlers.onClose(this.#error); });
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#isEnding || this.#isDestroyed || this.#isClosed) return true;
    for (const chunk of chunks) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      this.#queuedBytes += chunk.length;
    }
    this.#flush ??= setImmediate(() => { this.#flushNow(); });
    if (this.#queuedBytes <= HIGH_WATER_BYTES) return true;
    this.#isBlocked = true;
    return false;
  }

  queuedBytes(): number {
    return this.#queuedBytes;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#isEnding || this.#isDestroyed) return;
    this.#flushNow();
    this.#isEnding = true;
    this.#socket.end();
  }

  destroy(): void {
    this.#isDestroyed = true;
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#pending = [];
    this.#socket.destroy();
  }

  #flushNow(): void {
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#flush = null;
    const chunks = this.#pending;
    const bytes = this.#pendingBytes;
    const [first] = chunks;
    if (first === undefined || this.#isClosed) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    const taken = (): void => { this.#taken(bytes); };
    if (chunks.length === 1) {
      this.#socket.write(first, taken);
    } else if (bytes <= COPIED_PIECE_BYTES_MAX * chunks.length) {
      this.#socket.write(Buffer.concat(chunks, bytes), taken);
    } else {
      this.#socket.cork();
      chunks.forEach((chunk, i) => { this.#socket.write(chunk, i === chunks.length - 1 ? taken : undefined); });
      this.#socket.uncork();
    }
  }

  #taken(bytes: number): void {
    this.#queuedBytes -= bytes;
    if (!this.#isBlocked || this.#queuedBytes > HIGH_WATER_BYTES / 2) return;
    this.#isBlocked = false;
    if (!this.#isClosed && !this.#isDestroyed) this.#handlers?.onDrain();
  }

  #closed(): void {
    this.#isClosed = true;
    if (this.#flush !== null) clearImmediate(this.#flush);
    this.#handlers?.onClose(this.#isDestroyed ? null : this.#error);
  }
}
