/**
 * A dialled connection: sends requests, many at a time, and matches the replies by number.
 *
 *   dialling --stream--> greeting --HELLO accepted--> ready --any close--> closed
 *
 * Every call that was sent ends: by its reply, by its deadline, or with the connection.
 */
import { DhtError } from '../domain/error-catalogue.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeAddress } from '../domain/node-address.ts';
import type { ByteNetwork } from '../ports/byte-network.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import { decodeMessage, isReplyTo } from '../protocol/codec.ts';
import type { Frame } from '../protocol/frame.ts';
import type { Channel } from '../protocol/message.ts';
import { FrameStream, type CloseReason } from './frame-stream.ts';
import type { LocalNode } from './local-node.ts';
import type { CallDeadlines, PendingCall } from './pending-call.ts';
import type { ConnectionFailure, PeerMeters } from './peer-meters.ts';
import type { PeerOptions } from './peer-options.ts';

export interface ClientConnectionDeps {
  readonly network: ByteNetwork;
  readonly clock: Clock;
  readonly local: LocalNode;
  readonly meters: PeerMeters;
  readonly deadlines: CallDeadlines;
}

export interface ClientConnectionEvents {
  onReady(connection: ClientConnection): void;
  /** It is no longer blocked. */
  onDrain(connection: ClientConnection): void;
  /** Once; `wasReady` false: it never came to anything. */
  onClosed(connection: ClientConnection, reason: CloseReason, wasReady: boolean): void;
  /** Once, last: nothing of it is left. */
  onGone(connection: ClientConnection): void;
}

export class ClientConnection {
  readonly channel: Channel;
  readonly #deps: ClientConnectionDeps;
  readonly #options: PeerOptions;
  readonly #events: ClientConnectionEvents;
  #frames: FrameStream | null = null;
  #isClosed = false;
  #wasReady = false;
  #greetingTimer: Timer | null = null;
  readonly #calls = new Map<number, PendingCall>();
  #nextId = 1;
  #lastUsedAt: MonotonicMs;
  /** Since when answers are owed and no byte came; null: nothing is owed. */
  #silentSince: MonotonicMs | null = null;

  constructor(deps: ClientConnectionDeps, options: PeerOptions, channel: Channel, events: ClientConnectionEvents) {
    this.#deps = deps;
    this.#options = options;
    this.channel = channel;
    this.#events = events;
    this.#lastUsedAt = deps.clock.monotonicNow();
  }

  get isReady(): boolean {
    return this.#frames !== null && this.#frames.isReady;
  }

  /** Calls in flight. */
  get load(): number {
    return this.#calls.size;
  }

  /** The stream has taken as much as it wants; `onDrain` follows. */
  get isBlocked(): boolean {
    return this.#frames?.isBlocked === true;
  }

  /** More calls would rather go elsewhere. */
  get isBusy(): boolean {
    return this.isBlocked || this.#calls.size >= this.#options.spreadCallsMin;
  }

  /** Starts dialling; called once. */
  dial(address: NodeAddress): void {
    const { network, clock } = this.#deps;
    const { dialTimeoutMs } = this.#options;
    this.#greetingTimer = clock.after(dialTimeoutMs, () => {
      if (this.#frames !== null) this.#deps.meters.handshakeFailures.add('timeout', 1);
      this.close({ kind: 'timeout', code: null, detail: `no HELLO within ${dialTimeoutMs} ms` });
    });
    network.dial(address, dialTimeoutMs).then(
      (stream) => {
        if (this.#isClosed) {
          stream.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => { this.#events.onGone(this); } });
          stream.destroy();
          return;
        }
        const { local, meters } = this.#deps;
        this.#frames = new FrameStream({ stream, local, clock, meters }, { side: 'dialled', channel: this.channel }, {
          onReady: () => {
            this.#greetingTimer?.cancel();
            this.#wasReady = true;
            this.#lastUsedAt = clock.monotonicNow();
            this.#events.onReady(this);
          },
          onFrame: (frame) => { this.#take(frame); },
          onDrain: () => { this.#events.onDrain(this); },
          onClosed: (reason) => { this.#closed(reason); },
          onGone: () => { this.#events.onGone(this); },
        });
        this.#frames.start();
      },
      (error: unknown) => {
        const detail = error instanceof Error ? error.message : String(error);
        const isSecretWrong = error instanceof DhtError && error.code === 'DHT_ERR_PEER_UNAUTHENTICATED';
        if (isSecretWrong) this.#deps.meters.handshakeFailures.add('auth', 1);
        this.#deps.meters.connectionFailures.add(dialFailure(error, isSecretWrong), 1);
        this.#closed({ kind: 'network', code: isSecretWrong ? 'DHT_ERR_PEER_UNAUTHENTICATED' : null, detail });
        this.#events.onGone(this);
      },
    );
  }

  /** Sends the call or settles it; only while ready. */
  send(call: PendingCall): void {
    const frames = this.#frames;
    const { clock, deadlines } = this.#deps;
    if (frames === null || !frames.isReady) {
      deadlines.fail(call, 'the connection is not open');
      return;
    }
    if (call.nodeId !== null && frames.peer !== null && call.nodeId !== frames.peer.nodeId) {
      deadlines.settle(call, { kind: 'wrong-node', detail: `${frames.peer.advertise} is ${frames.peer.nodeId}` });
      return;
    }
    if (frames.queuedBytes > this.#options.queuedBytesMax) {
      deadlines.fail(call, 'too many bytes wait to be sent');
      return;
    }
    const id = this.#nextId++;
    const outcome = frames.send(call.request, id, deadlines.remainingMs(call));
    if (outcome.kind === 'not-sent') {
      deadlines.fail(call, outcome.detail);
      return;
    }
    this.#lastUsedAt = clock.monotonicNow();
    this.#silentSince ??= this.#lastUsedAt;
    call.state = 'sent';
    call.release = (isExpired) => {
      this.#calls.delete(id);
      if (isExpired) this.#closeIfSilent();
    };
    this.#calls.set(id, call);
  }

  /** Closes when it is idle or stalled. To be called regularly. */
  sweep(now: MonotonicMs): void {
    const frames = this.#frames;
    if (frames === null || !frames.isReady) return;
    if (this.#calls.size === 0 && elapsedMs(this.#lastUsedAt, now) >= this.#options.idleMs) {
      this.close({ kind: 'ended', code: null, detail: 'idle' });
    } else if (frames.isStalled(now, this.#options.stallMs)) {
      this.#deps.meters.connectionFailures.add('stalled', 1);
      this.close({ kind: 'timeout', code: null, detail: 'the peer takes no bytes' });
    }
  }

  close(reason: CloseReason): void {
    if (this.#frames !== null) this.#frames.close(reason);
    else this.#closed(reason);
  }

  #closeIfSilent(): void {
    const { clock, meters } = this.#deps;
    if (this.#silentSince === null || elapsedMs(this.#silentSince, clock.monotonicNow()) < this.#options.silenceMs) return;
    meters.connectionFailures.add('timeout', 1);
    this.close({ kind: 'timeout', code: null, detail: 'the peer is silent' });
  }

  #take(frame: Frame): void {
    const { clock, deadlines, meters } = this.#deps;
    const call = this.#calls.get(frame.reqId);
    if (call === undefined) {
      if (frame.reqId >= this.#nextId) this.#breach(`a reply to request ${frame.reqId}, which was never sent`);
      else meters.drops.add('late_reply', 1);
      return;
    }
    this.#calls.delete(frame.reqId);
    this.#silentSince = this.#calls.size === 0 ? null : clock.monotonicNow();
    const outcome = decodeMessage(frame);
    if (outcome.kind === 'malformed') {
      meters.drops.add('malformed', 1);
      deadlines.fail(call, outcome.detail);
    } else if (isReplyTo(call.request.kind, outcome.message)) {
      const from = this.#frames?.peer?.nodeId;
      if (from !== undefined) deadlines.settle(call, { kind: 'reply', from, reply: outcome.message });
    } else {
      deadlines.fail(call, `${outcome.message.kind} is no reply to ${call.request.kind}`);
      this.#breach(`${outcome.message.kind} came as the reply to ${call.request.kind}`);
    }
  }

  #breach(detail: string): void {
    this.close({ kind: 'protocol', code: 'DHT_ERR_PEER_PROTOCOL', detail });
  }

  #closed(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#greetingTimer?.cancel();
    if (this.#frames !== null) this.#count(reason);
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#events.onClosed(this, reason, this.#wasReady);
    for (const call of calls) this.#deps.deadlines.fail(call, reason.detail);
  }

  #count(reason: CloseReason): void {
    const { meters } = this.#deps;
    if (reason.kind === 'network') meters.connectionFailures.add('reset', 1);
    if (reason.kind === 'protocol') meters.connectionFailures.add('protocol', 1);
    if (reason.kind === 'protocol' && !this.#wasReady) meters.handshakeFailures.add('protocol', 1);
  }
}

function dialFailure(error: unknown, isSecretWrong: boolean): ConnectionFailure {
  if (isSecretWrong) return 'tls';
  switch (error instanceof Error && 'code' in error ? error.code : '') {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ENODATA':
    case 'ESERVFAIL':
      return 'dns';
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    default:
      return 'reset';
  }
}
