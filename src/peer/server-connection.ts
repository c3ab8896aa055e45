/**
 * An accepted connection: takes requests, hands them to the node, sends the replies in the order in which they are done.
 *
 * Work is bounded: above a number of requests or bytes in work, or while replies can't leave, nothing more is read, so
 * that the sender's window closes. Requests whose time is up are dropped before they cost anything. Every other request
 * gets exactly one reply, a `fault` at worst.
 * Source: protocol section D.5.
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { ByteStream } from '../ports/byte-network.ts';
import type { Clock } from '../ports/clock.ts';
import { decodeMessage, isRequest } from '../protocol/codec.ts';
import type { Frame } from '../protocol/frame.ts';
import { channelOf, type FaultReply, type PeerReply, type PeerRequest, type RequestKind } from '../protocol/message.ts';
import { FrameStream, type CloseReason } from './frame-stream.ts';
import type { LocalNode } from './local-node.ts';
import type { PeerIdentity, RequestHandler } from './peer-caller.ts';
import type { PeerMeters } from './peer-meters.ts';
import { LISTENER_IDLE_FACTOR, type PeerOptions } from './peer-options.ts';

export interface ServerConnectionDeps {
  readonly clock: Clock;
  readonly local: LocalNode;
  readonly meters: PeerMeters;
  readonly handler: RequestHandler;
}

export interface ServerConnectionEvents {
  onClosed(connection: ServerConnection, reason: CloseReason): void;
  onGone(connection: ServerConnection): void;
}

export class ServerConnection {
  readonly remote: string;
  readonly #deps: ServerConnectionDeps;
  readonly #options: PeerOptions;
  readonly #frames: FrameStream;
  readonly #acceptedAt: MonotonicMs;
  #requestsInWork = 0;
  #bytesInWork = 0;

  constructor(deps: ServerConnectionDeps, options: PeerOptions, stream: ByteStream, events: ServerConnectionEvents) {
    this.#deps = deps;
    this.#options = options;
    this.remote = stream.remote;
    this.#acceptedAt = deps.clock.monotonicNow();
    const { local, clock, meters } = deps;
    this.#frames = new FrameStream({ stream, local, clock, meters }, { side: 'accepted', channel: 'data' }, {
      onReady: () => {},
      onFrame: (frame) => { this.#take(frame); },
      onDrain: () => { this.#releaseIfRoom(); },
      onClosed: (reason) => { events.onClosed(this, reason); },
      onGone: () => { events.onGone(this); },
    });
  }

  get peer(): PeerIdentity | null {
    return this.#frames.peer;
  }

  start(): void {
    this.#frames.start();
  }

  close(reason: CloseReason): void {
    this.#frames.close(reason);
  }

  /** Closes what says nothing, takes nothing or ends too slowly. To be called regularly. */
  sweep(now: MonotonicMs): void {
    const { dialTimeoutMs, idleMs, stallMs } = this.#options;
    const { meters } = this.#deps;
    if (this.#frames.peer === null) {
      if (elapsedMs(this.#acceptedAt, now) < dialTimeoutMs) return;
      meters.handshakeFailures.add('timeout', 1);
      this.close({ kind: 'timeout', code: null, detail: `no HELLO within ${dialTimeoutMs} ms` });
    } else if (this.#frames.isStalled(now, stallMs)) {
      meters.connectionFailures.add('stalled', 1);
      this.close({ kind: 'timeout', code: null, detail: 'the peer takes no bytes' });
    } else if (this.#requestsInWork === 0 && elapsedMs(this.#frames.lastReceivedAt, now) >= idleMs * LISTENER_IDLE_FACTOR) {
      this.close({ kind: 'ended', code: null, detail: 'idle' });
    }
  }

  #take(frame: Frame): void {
    const { meters } = this.#deps;
    const outcome = decodeMessage(frame);
    if (outcome.kind === 'malformed') {
      meters.drops.add('malformed', 1);
      this.#reply(frame.reqId, fault('DHT_ERR_PEER_PROTOCOL', outcome.detail));
      return;
    }
    const request = outcome.message;
    if (!isRequest(request)) {
      this.close({ kind: 'protocol', code: 'DHT_ERR_PEER_PROTOCOL', detail: `${request.kind} came as a request` });
      return;
    }
    if (!this.#frames.speaks(request.kind)) {
      this.#reply(frame.reqId, fault('DHT_ERR_PEER_VERSION', `${request.kind} isn't part of the version that was agreed on`));
      return;
    }
    const waitedMs = elapsedMs(this.#frames.lastReceivedAt, this.#deps.clock.monotonicNow());
    const remainingMs = frame.deadlineMs - waitedMs;
    if (remainingMs <= 0) {
      meters.drops.add('expired', 1);
      return;
    }
    if (this.#frames.peerCluster === null && channelOf(request.kind) !== 'control') {
      this.#reply(frame.reqId, fault('DHT_ERR_CLUSTER_FOREIGN', 'a node without a cluster has no business with data'));
      return;
    }
    void this.#work(request, frame, remainingMs);
    if (this.#isFull()) this.#frames.hold();
  }

  async #work(request: PeerRequest, { reqId, epoch, head, body }: Frame, remainingMs: number): Promise<void> {
    const peer = this.#frames.peer;
    if (peer === null) return;
    const bytes = head.length + body.length;
    this.#requestsInWork++;
    this.#bytesInWork += bytes;
    const reply: PeerReply = await this.#deps.handler.handle<RequestKind>(peer, request, remainingMs, epoch);
    this.#requestsInWork--;
    this.#bytesInWork -= bytes;
    this.#reply(reqId, reply);
    this.#releaseIfRoom();
  }

  #reply(reqId: number, reply: PeerReply): void {
    if (!this.#frames.isReady) return;
    const outcome = this.#frames.send(reply, reqId, 0);
    if (outcome.kind === 'not-sent') this.#frames.send(fault('DHT_ERR_INTERNAL', outcome.detail), reqId, 0);
  }

  #isFull(): boolean {
    const { requestsInWorkMax, bodyRequestsInWorkMax, requestBytesInWorkMax, queuedBytesMax } = this.#options;
    const isBody = this.#frames.channel === 'body';
    if (this.#requestsInWork >= (isBody ? bodyRequestsInWorkMax : requestsInWorkMax) || this.#bytesInWork >= requestBytesInWorkMax) return true;
    return this.#frames.isBlocked && (isBody || this.#frames.queuedBytes > queuedBytesMax);
  }

  #releaseIfRoom(): void {
    if (!this.#isFull()) this.#frames.release();
  }
}

function fault(code: ErrorCode, detail: string): FaultReply {
  return { kind: 'fault', code, detail };
}
