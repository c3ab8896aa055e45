/**
 * Body stream: a range of an immutable body, in order, from whoever holds it. A few pieces are on their way while the
 * reader works on the one before; a piece that a holder can't give is asked of the next one, so reading goes on at the
 * chunk where a replica failed. The same id means the same bytes, so pieces of different replicas never mix versions.
 *
 * Every piece but the first begins at a chunk boundary. When all holders say that the body is gone it ends at once: its
 * object was replaced. While one of them merely doesn't answer it is asked again until `progressMs` are over.
 *
 * Cost: at most `aheadBytes` and one chunk a stream; all streams together at most the budget and one chunk each, so that
 * many slow readers don't fill the memory.
 * Source: protocol section C.3, rule R8.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import { elapsedMs } from '../domain/instant.ts';
import type { BodyReader, ByteRange } from '../domain/object-operation.ts';
import type { PeerCaller, PeerTarget } from '../peer/peer-caller.ts';
import type { Pauses } from './pauses.ts';

/** Bytes that all streams of one kind may read ahead together. */
export class AheadBudget {
  #leftBytes: number;

  constructor(bytesMax: number) {
    this.#leftBytes = bytesMax;
  }

  take(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

export interface BodyStreamDeps {
  readonly caller: PeerCaller;
  readonly pauses: Pauses;
  readonly ahead: AheadBudget;
}

export interface BodyStreamOptions {
  readonly chunkBytes: number;
  /** Bytes of one fetch: a multiple of `chunkBytes`, at most a frame's body. Larger: fewer calls. */
  readonly fetchBytes: number;
  /** Bytes on their way or waiting for one reader. At least `fetchBytes`. */
  readonly aheadBytes: number;
  /** Milliseconds that one holder is given for a piece. */
  readonly callTimeoutMs: number;
  /** Milliseconds without a piece after which the stream fails. */
  readonly progressMs: number;
}

export interface BodyStreamTask {
  readonly name: string;
  readonly bodyId: BodyId;
  /** Of the whole body. */
  readonly size: number;
  readonly range: ByteRange;
  /** Whom to ask, best first; looked up for every piece. */
  readonly holders: () => readonly PeerTarget[];
}

/** Milliseconds between two rounds through all holders. */
const ROUND_PAUSE_MS = 200;

interface Piece {
  readonly bytes: Promise<Buffer | null>;
  readonly budgetBytes: number;
}

export class BodyStream implements BodyReader {
  readonly #deps: BodyStreamDeps;
  readonly #options: BodyStreamOptions;
  readonly #task: BodyStreamTask;
  readonly #end: number;
  #offset: number;
  #window: Piece[] = [];
  #aheadBytes = 0;
  /** Holders that failed since they last gave a piece: asked last. */
  readonly #failed = new Set<NodeId | null>();
  #failure: string | null = null;
  #isCancelled = false;

  constructor(deps: BodyStreamDeps, options: BodyStreamOptions, task: BodyStreamTask) {
    this.#deps = deps;
    this.#options = options;
    this.#task = task;
    this.#offset = Math.min(task.range.offset, task.size);
    this.#end = Math.min(task.range.offset + task.range.length, task.size);
  }

  /** Rejects with DHT_ERR_NO_QUORUM when no holder can give the next piece. */
  async next(): Promise<Buffer | null> {
    if (this.#isCancelled) return null;
    this.#fill();
    const piece = this.#window.shift();
    if (piece === undefined) return null;
    const bytes = await piece.bytes;
    // Also when it was cancelled meanwhile: this piece is no longer in the window.
    this.#giveBack(piece);
    if (this.#isCancelled) return null;
    if (bytes === null) {
      this.cancel();
      throw new DhtError('DHT_ERR_NO_QUORUM', this.#failure ?? 'no replica gives the body');
    }
    this.#fill();
    return bytes;
  }

  cancel(): void {
    this.#isCancelled = true;
    for (const piece of this.#window) this.#giveBack(piece);
    this.#window = [];
  }

  #giveBack(piece: Piece): void {
    this.#aheadBytes -= piece.budgetBytes;
    this.#deps.ahead.giveBack(piece.budgetBytes);
  }

  /** Sends for what may be on its way; one chunk always may. */
  #fill(): void {
    const { chunkBytes, fetchBytes, aheadBytes } = this.#options;
    while (!this.#isCancelled && this.#offset < this.#end) {
      const bytes = this.#pieceBytes(fetchBytes);
      const isAhead = this.#aheadBytes + bytes <= aheadBytes && this.#deps.ahead.take(bytes);
      if (isAhead) this.#aheadBytes += bytes;
      else if (this.#window.length > 0) return;
      const length = isAhead ? bytes : this.#pieceBytes(chunkBytes);
      this.#window.push({ bytes: this.#fetch(this.#offset, length), budgetBytes: isAhead ? bytes : 0 });
      this.#offset += length;
    }
  }

  /** Bytes up to the last chunk boundary within `most`, or to the end. */
  #pieceBytes(most: number): number {
    const { chunkBytes } = this.#options;
    const boundary = Math.floor((this.#offset + most) / chunkBytes) * chunkBytes;
    return Math.min(boundary, this.#end) - this.#offset;
  }

  /** Never rejects; null: no holder gives it. */
  async #fetch(offset: number, length: number): Promise<Buffer | null> {
    const { caller, pauses } = this.#deps;
    const { callTimeoutMs, progressMs } = this.#options;
    const { name, bodyId, size } = this.#task;
    const beginAt = pauses.clock.monotonicNow();
    for (;;) {
      let isGone = true;
      for (const target of this.#order()) {
        const outcome = await caller.call<'body-fetch'>(target, { kind: 'body-fetch', bodyId, name, offset, length }, callTimeoutMs);
        if (this.#isCancelled) return null;
        const reply = outcome.kind === 'reply' && outcome.reply.kind === 'body-fetch-reply' ? outcome.reply : null;
        if (reply?.isHeld === true && reply.size === size && reply.body?.length === length) {
          this.#failed.delete(target.nodeId);
          return reply.body;
        }
        if (reply?.isHeld !== false) isGone = false;
        this.#failed.add(target.nodeId);
      }
      if (isGone) this.#failure = 'the body is no longer there: its object was replaced or deleted';
      else if (elapsedMs(beginAt, pauses.clock.monotonicNow()) >= progressMs) this.#failure = 'no replica that holds the body answers';
      else if (pauses.isStopped) this.#failure = 'the node is stopping';
      if (this.#failure !== null) return null;
      await pauses.wait(ROUND_PAUSE_MS);
      if (this.#isCancelled) return null;
    }
  }

  #order(): readonly PeerTarget[] {
    const holders = this.#task.holders();
    if (this.#failed.size === 0) return holders;
    return [...holders.filter((h) => !this.#failed.has(h.nodeId)), ...holders.filter((h) => this.#failed.has(h.nodeId))];
  }
}
