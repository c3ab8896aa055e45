/**
 * Body sender: one replica's stream of a large body, at the coordinator. Chunks leave at once, without waiting for the
 * replies before; they are kept until the replica has written them, so that after a lost message or connection the sender
 * asks where to go on and repeats from there.
 *
 *   open --no reply, out of order--> draining --all replies in--> pause --> probing (the first chunk kept) --ok--> open
 *   open --end: stage-end--> held
 *   any  --refused, full, no progress for giveUpMs, too far behind--> cut: repaired later, it counts no more
 *
 * Bytes of a chunk are shared by all senders of the body and never changed.
 * Source: protocol section C.2 ("Parallel fan-out").
 */
import type { BodyId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { StageReply } from '../protocol/message.ts';
import type { Pauses } from '../transfer/pauses.ts';

export interface BodySenderDeps {
  readonly caller: PeerCaller;
  readonly pauses: Pauses;
  /** Something moved: bytes were written there, or the sender came to its end. */
  readonly onChange: () => void;
}

export interface BodySenderOptions {
  /** Milliseconds that one message may take: a whole window may be written before it. */
  readonly callTimeoutMs: number;
  /** Milliseconds of failures without progress after which the replica is cut. */
  readonly giveUpMs: number;
  /** Milliseconds between two attempts. */
  readonly retryMs: number;
}

interface Chunk {
  readonly offset: number;
  readonly bytes: Buffer;
}

interface Ending {
  readonly size: number;
  readonly sha256: string;
}

export class BodySender {
  readonly target: PeerTarget;
  readonly #deps: BodySenderDeps;
  readonly #options: BodySenderOptions;
  readonly #name: string;
  readonly #bodyId: BodyId;
  #state: 'sending' | 'held' | 'cut' = 'sending';
  #flow: 'open' | 'draining' | 'probing' = 'open';
  /** Sent, or to be sent, and not known to be written: in order. */
  #kept: Chunk[] = [];
  #ackedBytes = 0;
  #inFlight = 0;
  #ending: Ending | null = null;
  /** Since when nothing but failures came; null: it goes well. */
  #failingSince: MonotonicMs | null = null;
  #isFull = false;

  constructor(deps: BodySenderDeps, options: BodySenderOptions, target: PeerTarget, name: string, bodyId: BodyId) {
    this.#deps = deps;
    this.#options = options;
    this.target = target;
    this.#name = name;
    this.#bodyId = bodyId;
  }

  get state(): 'sending' | 'held' | 'cut' {
    return this.#state;
  }

  /** It was cut because the replica has no space left. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Bytes that the replica has written. */
  get ackedBytes(): number {
    return this.#ackedBytes;
  }

  push(offset: number, bytes: Buffer): void {
    if (this.#state !== 'sending') return;
    const chunk = { offset, bytes };
    this.#kept.push(chunk);
    if (this.#flow === 'open') this.#send(chunk);
  }

  /** The body is complete: asks the replica to check it and make it durable. */
  end(size: number, sha256: string): void {
    this.#ending = { size, sha256 };
    if (this.#state === 'sending' && this.#flow === 'open') this.#sendEnd(this.#ending);
  }

  /** Gives the replica up; what it has may serve a later pull. */
  cut(): void {
    if (this.#state !== 'sending') return;
    this.#state = 'cut';
    this.#kept = [];
    this.#deps.onChange();
  }

  /** Gives the body up: the replica drops what it has. */
  abort(): void {
    this.cut();
    const { caller } = this.#deps;
    void caller.call<'stage-abort'>(this.target, { kind: 'stage-abort', name: this.#name, bodyId: this.#bodyId }, this.#options.callTimeoutMs);
  }

  #send({ offset, bytes }: Chunk): void {
    this.#inFlight++;
    const request = { kind: 'stage', name: this.#name, bodyId: this.#bodyId, offset, body: bytes } as const;
    void this.#deps.caller.call<'stage'>(this.target, request, this.#options.callTimeoutMs).then((outcome) => {
      this.#inFlight--;
      if (this.#state !== 'sending') return;
      const reply = outcome.kind === 'reply' && outcome.reply.kind === 'stage-reply' ? outcome.reply : null;
      this.#take(reply);
    });
  }

  #take(reply: StageReply | null): void {
    if (reply?.state === 'refused' || reply?.state === 'full') {
      this.#isFull = reply.state === 'full';
      this.cut();
      return;
    }
    const isAcknowledged = reply !== null && this.#acknowledge(reply.length);
    if (this.#state !== 'sending') return;
    if (reply?.state === 'ok' && this.#flow === 'probing') {
      this.#flow = 'open';
      for (const chunk of this.#kept) this.#send(chunk);
      if (this.#ending !== null) this.#sendEnd(this.#ending);
    } else if (reply?.state !== 'ok') {
      this.#fail();
    } else if (this.#flow === 'draining') {
      this.#recover();
    }
    if (isAcknowledged) this.#deps.onChange();
  }

  /** The replica has written `length` bytes. True when that is progress. */
  #acknowledge(length: number): boolean {
    if (length <= this.#ackedBytes) {
      // It restarted and lost bytes that are no longer kept here.
      if (length < this.#ackedBytes && this.#flow === 'probing') this.cut();
      return false;
    }
    let count = 0;
    for (const { offset, bytes } of this.#kept) {
      if (offset + bytes.length > length) break;
      this.#ackedBytes = offset + bytes.length;
      count++;
    }
    this.#kept.splice(0, count);
    this.#failingSince = null;
    return true;
  }

  #sendEnd({ size, sha256 }: Ending): void {
    this.#inFlight++;
    const request = { kind: 'stage-end', name: this.#name, bodyId: this.#bodyId, size, sha256 } as const;
    void this.#deps.caller.call<'stage-end'>(this.target, request, this.#options.callTimeoutMs).then((outcome) => {
      this.#inFlight--;
      if (this.#state !== 'sending') return;
      const reply = outcome.kind === 'reply' && outcome.reply.kind === 'stage-end-reply' ? outcome.reply : null;
      if (reply?.state === 'held') {
        this.#state = 'held';
        this.#ackedBytes = size;
        this.#kept = [];
        this.#deps.onChange();
      } else if (reply?.state === 'mismatch') {
        this.cut();
      } else {
        this.#fail();
      }
    });
  }

  #fail(): void {
    this.#flow = 'draining';
    this.#recover();
  }

  /** Once nothing is in flight any more, asks again with the first chunk that is kept. */
  #recover(): void {
    if (this.#inFlight > 0) return;
    const { pauses } = this.#deps;
    const now = pauses.clock.monotonicNow();
    this.#failingSince ??= now;
    if (pauses.isStopped || elapsedMs(this.#failingSince, now) >= this.#options.giveUpMs) {
      this.cut();
      return;
    }
    void pauses.wait(this.#options.retryMs).then(() => {
      if (this.#state !== 'sending') return;
      const first = this.#kept[0];
      this.#flow = first === undefined ? 'open' : 'probing';
      if (first !== undefined) this.#send(first);
      else if (this.#ending !== null) this.#sendEnd(this.#ending);
    });
  }
}
