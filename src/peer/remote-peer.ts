/**
 * The connections to one address: one for control messages, up to a few for data, so that a small ring message never
 * waits behind bodies. Dialled when first needed, closed when long unused.
 *
 * Calls take the least loaded data connection; when even that one is busy another is dialled beside it. Until the first
 * connection of a channel is ready its calls wait; when dialling fails they fail as not sent, and until the back-off is
 * over new ones fail at once, so that nobody waits for a dead address. The back-off is short, so that a peer that comes
 * back is found again within a second.
 */
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import { parseAddress, type NodeAddress } from '../domain/node-address.ts';
import type { Random } from '../ports/random.ts';
import { channelOf, type Channel } from '../protocol/message.ts';
import { ClientConnection, type ClientConnectionDeps } from './client-connection.ts';
import type { CloseReason } from './frame-stream.ts';
import type { PendingCall } from './pending-call.ts';
import type { PeerOptions } from './peer-options.ts';

export interface RemotePeerDeps extends ClientConnectionDeps {
  readonly random: Random;
}

interface Lane {
  readonly connectionsMax: number;
  readonly connections: Set<ClientConnection>;
  readonly waiting: Set<PendingCall>;
}

export class RemotePeer {
  readonly #deps: RemotePeerDeps;
  readonly #options: PeerOptions;
  readonly #address: NodeAddress | null;
  readonly #lanes: Readonly<Record<Channel, Lane>>;
  /** Closed connections whose stream has not gone yet. */
  readonly #leaving = new Set<ClientConnection>();
  #failures = 0;
  #dialNotBefore: MonotonicMs | null = null;
  #lastFailure = '';
  readonly #onEmpty: () => void;

  constructor(deps: RemotePeerDeps, options: PeerOptions, advertise: string, onEmpty: () => void) {
    this.#deps = deps;
    this.#options = options;
    this.#onEmpty = onEmpty;
    this.#address = parseAddress(advertise);
    this.#lanes = {
      control: { connectionsMax: 1, connections: new Set(), waiting: new Set() },
      data: { connectionsMax: options.dataConnectionsMax, connections: new Set(), waiting: new Set() },
    };
  }

  /** No connection is left, open or closing; so no call waits either. */
  get isEmpty(): boolean {
    const { control, data } = this.#lanes;
    return control.connections.size + data.connections.size + this.#leaving.size === 0;
  }

  /** Sends the call, now or when a connection is ready, or settles it. */
  submit(call: PendingCall): void {
    const channel = channelOf(call.request.kind);
    const lane = this.#lanes[channel];
    const best = leastLoaded(lane);
    if (best !== null) {
      if (best.load >= this.#options.callsPerConnectionMax) {
        this.#deps.deadlines.fail(call, 'too many calls to this peer');
        return;
      }
      best.send(call);
      if (best.isBusy) this.#dialAnother(channel);
      return;
    }
    if (lane.connections.size === 0 && !this.#dial(channel)) {
      this.#deps.deadlines.fail(call, this.#lastFailure);
      return;
    }
    if (lane.waiting.size >= this.#options.callsPerConnectionMax) {
      this.#deps.deadlines.fail(call, 'too many calls wait for a connection');
      return;
    }
    lane.waiting.add(call);
    call.release = () => { lane.waiting.delete(call); };
  }

  /** Nothing is open, nothing waits, nothing has to be remembered. */
  isForgettable(now: MonotonicMs): boolean {
    return this.isEmpty && (this.#dialNotBefore === null || elapsedMs(this.#dialNotBefore, now) >= this.#options.dialBackoffMaxMs);
  }

  sweep(now: MonotonicMs): void {
    for (const lane of [this.#lanes.control, this.#lanes.data]) {
      for (const connection of [...lane.connections]) connection.sweep(now);
    }
  }

  close(detail: string): void {
    for (const lane of [this.#lanes.control, this.#lanes.data]) {
      for (const connection of [...lane.connections]) connection.close({ kind: 'ended', code: null, detail });
    }
  }

  /** Dials one more beside those that are busy, unless one is on its way. */
  #dialAnother(channel: Channel): void {
    const { connections, connectionsMax } = this.#lanes[channel];
    if (connections.size >= connectionsMax) return;
    for (const connection of connections) if (!connection.isReady) return;
    this.#dial(channel);
  }

  /** False: not now (back-off) or never (no address). */
  #dial(channel: Channel): boolean {
    if (this.#address === null) {
      this.#lastFailure = 'the address is not host:port';
      return false;
    }
    if (this.#dialNotBefore !== null && elapsedMs(this.#deps.clock.monotonicNow(), this.#dialNotBefore) > 0) return false;
    const lane = this.#lanes[channel];
    const connection = new ClientConnection(this.#deps, this.#options, channel, {
      onReady: () => {
        this.#failures = 0;
        this.#dialNotBefore = null;
        const waiting = [...lane.waiting];
        lane.waiting.clear();
        for (const call of waiting) this.submit(call);
      },
      onClosed: (_closed, reason, wasReady) => {
        lane.connections.delete(connection);
        this.#leaving.add(connection);
        if (!wasReady) this.#dialFailed(lane, reason);
      },
      onGone: () => {
        this.#leaving.delete(connection);
        if (this.isEmpty) this.#onEmpty();
      },
    });
    lane.connections.add(connection);
    connection.dial(this.#address);
    return true;
  }

  #dialFailed(lane: Lane, reason: CloseReason): void {
    const { dialBackoffMinMs, dialBackoffMaxMs } = this.#options;
    const { clock, deadlines, random } = this.#deps;
    const backoffMs = Math.min(dialBackoffMaxMs, dialBackoffMinMs * 2 ** Math.min(this.#failures++, 20)) * (0.5 + random.float() / 2);
    this.#dialNotBefore = plusMs(clock.monotonicNow(), backoffMs);
    this.#lastFailure = reason.code === null ? reason.detail : `${reason.code}: ${reason.detail}`;
    if (lane.connections.size > 0) return;
    const waiting = [...lane.waiting];
    lane.waiting.clear();
    for (const call of waiting) {
      if (reason.code === 'DHT_ERR_CLUSTER_FOREIGN') deadlines.settle(call, { kind: 'wrong-node', detail: reason.detail });
      else deadlines.fail(call, this.#lastFailure);
    }
  }
}

/** The ready connection with the fewest calls in flight, rather one that isn't busy; null: none is ready. */
function leastLoaded(lane: Lane): ClientConnection | null {
  let best: ClientConnection | null = null;
  for (const connection of lane.connections) {
    if (!connection.isReady) continue;
    if (best === null || (connection.isBusy === best.isBusy ? connection.load < best.load : best.isBusy)) best = connection;
  }
  return best;
}
