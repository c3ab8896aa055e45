/**
 * One end of a simulated TCP connection, and the pipe that carries its bytes to the other end.
 *
 * A pipe keeps what TCP keeps: bytes arrive in order, each once, and what was delivered is always a prefix of what was
 * written. What one instant writes travels as one batch; batches that are due together arrive together; a batch may
 * arrive in pieces. A batch that a cut swallows is sent again until the link is whole or the connection times out.
 *
 * Back-pressure: a window of bytes may be under way or unread; the rest waits at the sender, where `queuedBytes` counts
 * it and `write` answers false.
 *
 *   open --end()--> ending --both sides' last byte out--> closed
 *     \________ destroy(), reset, time-out, crash __________/
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { ByteStream, ByteStreamHandlers } from '../ports/byte-network.ts';

/** What the network decides for a pipe. */
export interface Link {
  readonly clock: Clock;
  /** Milliseconds from one end to the other for what is sent now, retransmissions included. */
  transitMs(): number;
  /** The link swallows everything now. */
  isCut(from: string, to: string): boolean;
  /** Bytes of this batch that arrive now: all of them, fewer (the rest follows later), or fewer and then a reset. */
  delivery(bytes: number): { readonly bytes: number; readonly isReset: boolean };
  /** These bytes arrive now; they belong to the receiver. */
  onDelivered(sender: SimStream, bytes: Buffer): void;
}

/** Bytes under way or unread at most; a batch may go above by one chunk. */
const WINDOW_BYTES = 256 * 1024;
/** Queued bytes above which `write` answers false. */
const HIGH_WATER_BYTES = 64 * 1024;
/** First wait before a swallowed batch is sent again, and the longest. */
const RETRANSMIT_MIN_MS = 200;
const RETRANSMIT_MAX_MS = 1600;
/** A batch that nobody acknowledges for so long breaks the connection. */
const TIMEOUT_MS = 15_000;

interface Batch {
  readonly sentAtMs: number;
  arriveAtMs: number;
  bytes: Buffer[];
  readonly isFin: boolean;
  retries: number;
}

export function networkError(code: string, detail: string): Error {
  return Object.assign(new Error(`${code}: ${detail}`), { code });
}

export class SimStream implements ByteStream {
  readonly node: string;
  readonly remote: string;
  readonly #link: Link;
  #peer: SimStream | null = null;
  #handlers: ByteStreamHandlers | null = null;
  #isPaused = false;
  #isClosed = false;
  #closeError: Error | null = null;
  #isEnding = false;
  #isFinSent = false;
  #isFinReceived = false;
  /** Written, not yet under way. */
  #outbox: Buffer[] = [];
  #outboxBytes = 0;
  #isBlocked = false;
  /** Under way, oldest first; the first one's timer runs. */
  readonly #batches: Batch[] = [];
  #timer: Timer | null = null;
  #underwayBytes = 0;
  /** Arrived and not yet taken, because the receiver has paused or not started. */
  #inbox: Buffer[] = [];
  readonly #onClosed: (stream: SimStream) => void;

  constructor(link: Link, node: string, remote: string, onClosed: (stream: SimStream) => void) {
    this.#link = link;
    this.node = node;
    this.remote = remote;
    this.#onClosed = onClosed;
  }

  static connect(a: SimStream, b: SimStream): void {
    a.#peer = b;
    b.#peer = a;
  }

  start(handlers: ByteStreamHandlers): void {
    this.#handlers = handlers;
    if (this.#isClosed) this.#tellClose();
    else this.#soon(() => this.#takeInbox());
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed || this.#isEnding) return true;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#outbox.push(Buffer.from(chunk));
      this.#outboxBytes += chunk.length;
    }
    this.#pump();
    if (this.#outboxBytes <= HIGH_WATER_BYTES) return true;
    this.#isBlocked = true;
    return false;
  }

  queuedBytes(): number {
    return this.#outboxBytes;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#soon(() => this.#takeInbox());
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#pump();
  }

  destroy(): void {
    this.reset(null, networkError('ECONNRESET', `${this.node} closed the connection`));
  }

  /** Breaks the connection here now and at the other end as soon as it hears of it. */
  reset(ownError: Error | null, peerError: Error): void {
    if (this.#isClosed) return;
    this.#close(ownError);
    this.#tellPeer(peerError);
  }

  /** The machine is gone: nothing is called here any more, the other end hears of it. */
  vanish(): void {
    this.#handlers = null;
    this.reset(null, networkError('ECONNRESET', `${this.node} is gone`));
  }

  #tellPeer(error: Error): void {
    const peer = this.#peer;
    if (peer === null || peer.#isClosed) return;
    this.#link.clock.after(this.#link.transitMs(), () => {
      // A swallowed reset is told again when the peer next sends something.
      if (!this.#link.isCut(this.node, peer.node)) peer.#close(error);
    });
  }

  #close(error: Error | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeError = error;
    this.#outbox = [];
    this.#outboxBytes = 0;
    this.#inbox = [];
    // After an orderly end the last batches are still on their way.
    if (!this.#isFinSent || error !== null) {
      this.#timer?.cancel();
      this.#batches.length = 0;
    }
    this.#onClosed(this);
    this.#tellClose();
  }

  #tellClose(): void {
    const handlers = this.#handlers;
    if (handlers !== null) this.#soon(() => handlers.onClose(this.#closeError));
  }

  /** The other end's last byte was taken: this end closes its side too. */
  #closeIfDone(): void {
    if (this.#isClosed || !this.#isFinReceived || this.#inbox.length > 0) return;
    this.end();
    if (this.#isFinSent) this.#close(null);
  }

  // ------------------------------------------------------------------------------------------------- the way out

  #pump(): void {
    if (this.#isFinSent) return;
    const now = this.#link.clock.monotonicNow();
    let batch = this.#batches.at(-1);
    let taken = 0;
    while (taken < this.#outbox.length && this.#underwayBytes < WINDOW_BYTES) {
      const chunk = this.#outbox[taken++] as Buffer;
      if (batch === undefined || batch.sentAtMs !== now || batch.arriveAtMs <= now) batch = this.#send(now, false);
      batch.bytes.push(chunk);
      this.#outboxBytes -= chunk.length;
      this.#underwayBytes += chunk.length;
    }
    if (taken > 0) this.#outbox = this.#outbox.slice(taken);
    if (this.#isEnding && this.#outbox.length === 0) {
      this.#send(now, true);
      this.#isFinSent = true;
      this.#closeIfDone();
    }
    if (this.#isBlocked && this.#outboxBytes <= HIGH_WATER_BYTES / 2) {
      this.#isBlocked = false;
      this.#soon(() => {
        if (!this.#isClosed) this.#handlers?.onDrain();
      });
    }
  }

  #send(now: number, isFin: boolean): Batch {
    const last = this.#batches.at(-1);
    const arriveAtMs = Math.max(last?.arriveAtMs ?? 0, now + this.#link.transitMs());
    const batch: Batch = { sentAtMs: now, arriveAtMs, bytes: [], isFin, retries: 0 };
    this.#batches.push(batch);
    if (this.#batches.length === 1) this.#arm(now);
    return batch;
  }

  #arm(now: number): void {
    this.#timer?.cancel();
    const first = this.#batches[0];
    if (first !== undefined) this.#timer = this.#link.clock.after(first.arriveAtMs - now, () => this.#arrive());
  }

  #arrive(): void {
    const peer = this.#peer;
    if (peer === null) return;
    const now = this.#link.clock.monotonicNow();
    for (;;) {
      const batch = this.#batches[0];
      if (batch === undefined || batch.arriveAtMs > now) break;
      if (this.#link.isCut(this.node, peer.node)) {
        if (!this.#sendAgain(batch, now)) return;
        break;
      }
      if (peer.#isClosed) {
        // Its machine answers with a reset, if that gets through.
        if (this.#link.isCut(peer.node, this.node)) {
          if (this.#sendAgain(batch, now)) break;
        } else {
          this.#close(networkError('ECONNRESET', `${peer.node} has no such connection`));
        }
        return;
      }
      const whole = batch.bytes.length === 1 ? (batch.bytes[0] as Buffer) : Buffer.concat(batch.bytes);
      const { bytes, isReset } = this.#link.delivery(whole.length);
      if (bytes < whole.length) {
        batch.bytes = [whole.subarray(bytes)];
        batch.arriveAtMs = now + this.#link.transitMs();
      } else {
        this.#batches.shift();
      }
      if (bytes > 0) {
        this.#link.onDelivered(this, whole.subarray(0, bytes));
        peer.#receive(whole.subarray(0, bytes));
      }
      if (isReset) {
        this.reset(networkError('ECONNRESET', 'the network broke the connection'), networkError('ECONNRESET', 'the network broke the connection'));
        return;
      }
      if (batch.isFin) peer.#receiveFin();
    }
    this.#arm(now);
  }

  /** False: it was tried for too long, the connection is broken. */
  #sendAgain(batch: Batch, now: number): boolean {
    if (now - batch.sentAtMs >= TIMEOUT_MS) {
      const error = networkError('ETIMEDOUT', `no answer from ${this.remote}`);
      if (this.#isClosed) this.#batches.length = 0;
      else this.reset(error, error);
      return false;
    }
    batch.arriveAtMs = now + Math.min(RETRANSMIT_MAX_MS, RETRANSMIT_MIN_MS * 2 ** batch.retries++);
    return true;
  }

  // -------------------------------------------------------------------------------------------------- the way in

  #receive(bytes: Buffer): void {
    if (this.#handlers === null || this.#isPaused || this.#inbox.length > 0) {
      this.#inbox.push(bytes);
      return;
    }
    this.#handlers.onBytes(bytes);
    this.#acknowledge(bytes);
  }

  #takeInbox(): void {
    while (!this.#isPaused && !this.#isClosed && this.#handlers !== null) {
      const bytes = this.#inbox.shift();
      if (bytes === undefined) break;
      this.#handlers.onBytes(bytes);
      this.#acknowledge(bytes);
    }
    this.#closeIfDone();
  }

  #acknowledge(bytes: Buffer): void {
    const peer = this.#peer;
    if (peer === null || peer.#isClosed) return;
    peer.#underwayBytes -= bytes.length;
    if (peer.#outbox.length > 0 || peer.#isBlocked) peer.#pump();
  }

  #receiveFin(): void {
    this.#isFinReceived = true;
    this.#closeIfDone();
  }

  #soon(run: () => void): void {
    this.#link.clock.after(0, run);
  }
}
