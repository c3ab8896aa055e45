/**
 * A byte stream as a stream of frames between two nodes that know each other: HELLO both ways, then messages. Both the
 * dialler's and the listener's connection are made of it.
 *
 *   dialled:  greeting --their HELLO--> ready        accepted: greeting --their HELLO, own HELLO sent--> ready
 *   any:      --bad bytes, refusal, end, error, close()--> closed --the stream is gone--> gone
 *
 * A node that got its cluster says HELLO again before its next frame; the receiver judges again, so a connection made
 * while a node was empty doesn't outlive the discovery that the two belong to different rings.
 *
 * Invariants: no frame is handed on before HELLO was accepted (I23); after `closed` nothing is handed on. Whatever comes
 * in, the worst that happens is that this connection closes.
 * Source: protocol section G "HELLO", "Backpressure".
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { ClusterId, Epoch } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { ByteStream } from '../ports/byte-network.ts';
import type { Clock } from '../ports/clock.ts';
import { encodeMessage, FRAME_LIMITS, ringKindOf } from '../protocol/codec.ts';
import { FRAME_HEADER_BYTES, FrameDecoder, type Envelope, type Frame } from '../protocol/frame.ts';
import { decodeHello, encodeHello, encodeRefusal, HELLO_TYPE, judgeHello, REFUSAL_TYPE, type Hello, type Refusal } from '../protocol/hello.ts';
import type { Channel, PeerMessage } from '../protocol/message.ts';
import { sinceVersion } from '../protocol/message-versions.ts';
import { helloOf, type LocalNode } from './local-node.ts';
import type { PeerMeters } from './peer-meters.ts';
import { STALL_BYTES_MIN } from './peer-options.ts';

export type CloseKind =
  /** The other side or the network ended it. */
  | 'network'
  /** One of the two refused the other's HELLO. */
  | 'refused'
  /** The other side broke the protocol. */
  | 'protocol'
  /** HELLO didn't come, or nothing moved for too long. */
  | 'timeout'
  /** This node has no more use for it. */
  | 'ended';

export interface CloseReason {
  readonly kind: CloseKind;
  readonly code: ErrorCode | null;
  readonly detail: string;
}

export interface FrameStreamEvents {
  onReady(): void;
  onFrame(frame: Frame): void;
  /** The write side has room again. */
  onDrain(): void;
  /** Once. Nothing is handed on afterwards. */
  onClosed(reason: CloseReason): void;
  /** Once, after onClosed: the stream has released everything. */
  onGone(): void;
}

export interface FrameStreamDeps {
  readonly stream: ByteStream;
  readonly local: LocalNode;
  readonly clock: Clock;
  readonly meters: PeerMeters;
}

export interface FrameStreamOptions {
  readonly side: 'dialled' | 'accepted';
  /** What a dialled stream is for; an accepted one takes the dialler's word. */
  readonly channel: Channel;
}

export type SendOutcome = { readonly kind: 'sent' } | { readonly kind: 'not-sent'; readonly detail: string };
const SENT: SendOutcome = { kind: 'sent' };

export class FrameStream {
  readonly #deps: FrameStreamDeps;
  readonly #options: FrameStreamOptions;
  readonly #events: FrameStreamEvents;
  readonly #decoder = new FrameDecoder(FRAME_LIMITS);
  #state: 'greeting' | 'ready' | 'closed' | 'gone' = 'greeting';
  #peerHello: Hello | null = null;
  /** Agreed on; 0 before HELLO. */
  #version = 0;
  #seenEpoch: Epoch = -1;
  /** The cluster that this side said it belongs to; undefined before it said anything. */
  #saidCluster: ClusterId | null | undefined = undefined;
  #isHeld = false;
  #isBlocked = false;
  #lastReceivedAt: MonotonicMs;
  #writtenBytes = 0;
  /** Since when, and from how many bytes taken by the stream, progress is measured. */
  #progress: { readonly at: MonotonicMs; readonly takenBytes: number };

  constructor(deps: FrameStreamDeps, options: FrameStreamOptions, events: FrameStreamEvents) {
    this.#deps = deps;
    this.#options = options;
    this.#events = events;
    this.#lastReceivedAt = deps.clock.monotonicNow();
    this.#progress = { at: this.#lastReceivedAt, takenBytes: 0 };
  }

  /** Begins; called once, synchronously after the stream was handed over. */
  start(): void {
    const { stream, meters } = this.#deps;
    const direction = this.#options.side === 'dialled' ? 'out' : 'in';
    meters.opened(direction);
    stream.start({
      onBytes: (bytes) => { this.#receive(bytes); },
      onDrain: () => {
        this.#isBlocked = false;
        if (this.#state === 'ready') this.#events.onDrain();
      },
      onClose: (error) => {
        meters.closed(direction);
        this.#closed({ kind: 'network', code: null, detail: error === null ? 'the connection was closed' : error.message });
        this.#state = 'gone';
        this.#events.onGone();
      },
    });
    if (this.#options.side === 'dialled') this.#sayHello();
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Who is at the other end; null before HELLO. */
  get peer(): PeerIdentity | null {
    return this.#peerHello?.identity ?? null;
  }

  /** The cluster that the other end belongs to, as it last said. */
  get peerCluster(): ClusterId | null {
    return this.#peerHello?.clusterId ?? null;
  }

  /** What the dialler uses the stream for. */
  get channel(): Channel {
    return this.#options.side === 'dialled' ? this.#options.channel : (this.#peerHello?.channel ?? this.#options.channel);
  }

  /** Whether this kind of message is part of the version that the two agreed on. */
  speaks(kind: PeerMessage['kind']): boolean {
    return sinceVersion(kind) <= this.#version;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get queuedBytes(): number {
    return this.#deps.stream.queuedBytes();
  }

  get lastReceivedAt(): MonotonicMs {
    return this.#lastReceivedAt;
  }

  /** Sends one message. Not sent: no byte of it left. */
  send(message: PeerMessage, reqId: number, deadlineMs: number): SendOutcome {
    if (this.#state !== 'ready') return { kind: 'not-sent', detail: 'the connection is not open' };
    if (!this.speaks(message.kind)) return { kind: 'not-sent', detail: `${message.kind} isn't part of version ${this.#version}, which this peer speaks` };
    const { local, meters } = this.#deps;
    const envelope: Envelope = { reqId, epoch: local.epoch(), deadlineMs };
    const outcome = encodeMessage(message, envelope);
    if (outcome.kind === 'too-large') return { kind: 'not-sent', detail: outcome.detail };
    if (local.clusterId() !== this.#saidCluster) this.#sayHello();
    meters.frames.add('out', 1);
    meters.gossip.passed('out', message.kind, outcome.bytes);
    this.#write(outcome.chunks, outcome.bytes);
    return SENT;
  }

  /** Stops handing on frames and reading, until `release`. */
  hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#deps.stream.pause();
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#deps.stream.resume();
    this.#pump();
  }

  /** Closes at once; what is queued is lost. */
  close(reason: CloseReason): void {
    if (this.#state === 'gone') return;
    this.#closed(reason);
    this.#deps.stream.destroy();
  }

  /** Whether bytes are queued and fewer than STALL_BYTES_MIN of them moved for `stallMs`. To be asked regularly. */
  isStalled(now: MonotonicMs, stallMs: number): boolean {
    const queuedBytes = this.queuedBytes;
    const takenBytes = this.#writtenBytes - queuedBytes;
    if (queuedBytes === 0 || takenBytes - this.#progress.takenBytes >= STALL_BYTES_MIN) {
      this.#progress = { at: now, takenBytes };
      return false;
    }
    return elapsedMs(this.#progress.at, now) >= stallMs;
  }

  #write(chunks: readonly Uint8Array[], bytes: number): void {
    this.#writtenBytes += bytes;
    this.#deps.meters.bytes.add('out', bytes);
    if (!this.#deps.stream.write(chunks)) this.#isBlocked = true;
  }

  #sayHello(): void {
    const hello = helloOf(this.#deps.local, this.channel);
    this.#saidCluster = hello.clusterId;
    const bytes = encodeHello(hello);
    this.#write([bytes], bytes.length);
  }

  #receive(bytes: Buffer): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#lastReceivedAt = this.#deps.clock.monotonicNow();
    this.#deps.meters.bytes.add('in', bytes.length);
    this.#decoder.push(bytes);
    this.#pump();
  }

  #pump(): void {
    while (!this.#isHeld && (this.#state === 'greeting' || this.#state === 'ready')) {
      const result = this.#decoder.next();
      switch (result.kind) {
        case 'need-more':
          return;
        case 'invalid':
          this.close({ kind: 'protocol', code: 'DHT_ERR_PEER_PROTOCOL', detail: result.detail });
          return;
        case 'frame':
          this.#deps.meters.frames.add('in', 1);
          this.#take(result);
      }
    }
  }

  #take(frame: Frame): void {
    if (this.#peerHello === null || frame.type === HELLO_TYPE || frame.type === REFUSAL_TYPE) {
      this.#takeHello(frame);
      return;
    }
    if (frame.epoch !== this.#seenEpoch) {
      this.#seenEpoch = frame.epoch;
      this.#deps.local.onPeerSeen(this.#peerHello.identity, frame.epoch, this.#peerHello.position);
    }
    const kind = ringKindOf(frame.type);
    if (kind !== null) this.#deps.meters.gossip.passed('in', kind, FRAME_HEADER_BYTES + frame.head.length + frame.body.length);
    this.#events.onFrame(frame);
  }

  #takeHello(frame: Frame): void {
    const outcome = decodeHello(frame);
    switch (outcome.kind) {
      case 'malformed':
        this.close({ kind: 'protocol', code: 'DHT_ERR_PEER_PROTOCOL', detail: outcome.detail });
        return;
      case 'refusal':
        this.#deps.meters.refused(outcome.refusal.code);
        this.close({ kind: 'refused', ...outcome.refusal });
        return;
      case 'hello':
        this.#judge(outcome.hello);
    }
  }

  #judge(theirs: Hello): void {
    const { local } = this.#deps;
    const known = this.#peerHello;
    if (known !== null && known.identity.nodeId !== theirs.identity.nodeId) {
      this.close({ kind: 'protocol', code: 'DHT_ERR_PEER_PROTOCOL', detail: `${known.identity.nodeId} calls itself ${theirs.identity.nodeId} now` });
      return;
    }
    const verdict = judgeHello(helloOf(local, this.channel), theirs);
    if (verdict.kind === 'refused') {
      this.#refuse(verdict.refusal);
      return;
    }
    this.#peerHello = theirs;
    this.#version = verdict.version;
    this.#seenEpoch = theirs.epoch;
    local.onPeerSeen(theirs.identity, theirs.epoch, theirs.position);
    if (known !== null) return;
    if (this.#options.side === 'accepted') this.#sayHello();
    this.#state = 'ready';
    this.#events.onReady();
  }

  /** Tells the other side why, then ends in order. */
  #refuse(refusal: Refusal): void {
    this.#deps.meters.refused(refusal.code);
    const bytes = encodeRefusal(refusal);
    this.#write([bytes], bytes.length);
    this.#closed({ kind: 'refused', ...refusal });
    this.#deps.stream.end();
  }

  #closed(reason: CloseReason): void {
    if (this.#state === 'closed' || this.#state === 'gone') return;
    this.#state = 'closed';
    this.#events.onClosed(reason);
  }
}
