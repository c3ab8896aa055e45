/**
 * The connections to one address: one for control messages, a few for data and a few for large bodies, so that a small
 * ring message never waits behind data, nor data behind bodies. Dialled when first needed, closed when long unused.
 *
 * Calls take the least loaded data connection; when even that one is busy another is dialled beside it. Until the first
 * connection of a channel is ready its calls wait; when dialling fails they fail as not sent, and until the back-off is
 * over new ones fail at once, so that nobody waits for a dead address. The back-off is short, so that a peer that comes
 * back is found again within a second.
 */
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import { parseAddress, type NodeAddress } from '../domain/node-address.ts';
import type { Random } from '../ports/random.ts';
import { ClientConnection, type ClientConnectionDeps } from './client-connection.ts';
import { connectionPools, leastLoaded, poolFor, type ConnectionPool, type PoolsByChannel } from './connection-pool.ts';
import type { CloseReason } from './frame-stream.ts';
import type { PendingCall } from './pending-call.ts';
import type { PeerOptions } from './peer-options.ts';

export interface RemotePeerDeps extends ClientConnectionDeps {
  readonly random: Random;
}

export class RemotePeer {
  readonly #deps: RemotePeerDeps;
  readonly #options: PeerOptions;
  readonly #address: NodeAddress | null;
  readonly #pools: PoolsByChannel;
  readonly #allPools: readonly ConnectionPool[];
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
    this.#pools = connectionPools(options);
    this.#allPools = Object.values(this.#pools).flat();
  }

  /** No connection is left, open or closing; so no call waits either. */
  get isEmpty(): boolean {
    return this.#leaving.size === 0 && this.#allPools.every(({ connections }) => connections.size === 0);
  }

  /** Sends the call, now or when a connection is ready, or settles it. */
  submit(call: PendingCall): void {
    const pool = poolFor(call.request, this.#pools, this.#mayDial());
    const best = leastLoaded(pool);
    // Calls wait only while nothing takes them, so none is overtaken.
    if (best !== null && mayTake(pool, best)) {
      this.#sendOn(best, pool, call);
      return;
    }
    if (pool.connections.size === 0 && !this.#dial(pool)) {
      this.#deps.deadlines.fail(call, this.#lastFailure);
      return;
    }
    if (pool.waiting.size >= this.#options.callsPerConnectionMax) {
      this.#deps.deadlines.fail(call, 'too many calls wait for a connection');
      return;
    }
    pool.waiting.add(call);
    call.release = () => { pool.waiting.delete(call); };
  }

  #sendOn(connection: ClientConnection, pool: ConnectionPool, call: PendingCall): void {
    if (connection.load >= this.#options.callsPerConnectionMax) {
      this.#deps.deadlines.fail(call, 'too many calls to this peer');
      return;
    }
    connection.send(call);
    if (connection.isBusy) this.#dialAnother(pool);
  }

  /** Sends the calls that wait, in order, as far as a connection takes them. */
  #sendWaiting(pool: ConnectionPool): void {
    for (const call of pool.waiting) {
      const best = leastLoaded(pool);
      if (best === null || !mayTake(pool, best)) return;
      pool.waiting.delete(call);
      this.#sendOn(best, pool, call);
    }
  }

  /** Nothing is open, nothing waits, nothing has to be remembered. */
  isForgettable(now: MonotonicMs): boolean {
    return this.isEmpty && (this.#dialNotBefore === null || elapsedMs(this.#dialNotBefore, now) >= this.#options.dialBackoffMaxMs);
  }

  sweep(now: MonotonicMs): void {
    for (const { connections } of this.#allPools) {
      for (const connection of [...connections]) connection.sweep(now);
    }
  }

  close(detail: string): void {
    for (const { connections } of this.#allPools) {
      for (const connection of [...connections]) connection.close({ kind: 'ended', code: null, detail });
    }
  }

  /** Dials one more beside those that are busy, unless one is on its way. */
  #dialAnother(pool: ConnectionPool): void {
    const { connections, connectionsMax } = pool;
    if (connections.size >= connectionsMax) return;
    for (const connection of connections) if (!connection.isReady) return;
    this.#dial(pool);
  }

  /** False while the back-off lasts. */
  #mayDial(): boolean {
    return this.#dialNotBefore === null || elapsedMs(this.#deps.clock.monotonicNow(), this.#dialNotBefore) <= 0;
  }

  /** False: not now (back-off) or never (no address). */
  #dial(pool: ConnectionPool): boolean {
    if (this.#address === null) {
      this.#lastFailure = 'the address is not host:port';
      return false;
    }
    if (!this.#mayDial()) return false;
    const connection = new ClientConnection(this.#deps, this.#options, pool.channel, {
      onReady: () => {
        this.#failures = 0;
        this.#dialNotBefore = null;
        this.#sendWaiting(pool);
      },
      onDrain: () => { this.#sendWaiting(pool); },
      onClosed: (_closed, reason, wasReady) => {
        pool.connections.delete(connection);
        this.#leaving.add(connection);
        if (!wasReady) this.#backOff(reason);
        if (pool.connections.size === 0) this.#failWaiting(pool, reason);
      },
      onGone: () => {
        this.#leaving.delete(connection);
        if (this.isEmpty) this.#onEmpty();
      },
    });
    pool.connections.add(connection);
    connection.dial(this.#address);
    return true;
  }

  #backOff(reason: CloseReason): void {
    const { dialBackoffMinMs, dialBackoffMaxMs } = this.#options;
    const { clock, random } = this.#deps;
    const backoffMs = Math.min(dialBackoffMaxMs, dialBackoffMinMs * 2 ** Math.min(this.#failures++, 20)) * (0.5 + random.float() / 2);
    this.#dialNotBefore = plusMs(clock.monotonicNow(), backoffMs);
    this.#lastFailure = textOf(reason);
  }

  #failWaiting({ waiting }: ConnectionPool, reason: CloseReason): void {
    const { deadlines } = this.#deps;
    const calls = [...waiting];
    waiting.clear();
    for (const call of calls) {
      if (reason.code === 'DHT_ERR_CLUSTER_FOREIGN') deadlines.settle(call, { kind: 'wrong-node', detail: reason.detail });
      else deadlines.fail(call, textOf(reason));
    }
  }
}

/** Bodies wait while the stream is full; small messages go into its queue. */
function mayTake({ channel }: ConnectionPool, connection: ClientConnection): boolean {
  return channel !== 'body' || !connection.isBlocked;
}

function textOf({ code, detail }: CloseReason): string {
  return code === null ? detail : `${code}: ${detail}`;
}
