/**
 * The connections of one purpose to one address, and the calls that wait for them in the order in which they came. A pool
 * of one connection keeps the order of its calls, which is what the messages of a large body need.
 */
import { crc32 } from 'node:zlib';
import { channelOf, laneOf, type Channel, type PeerRequest } from '../protocol/message.ts';
import type { ClientConnection } from './client-connection.ts';
import type { PendingCall } from './pending-call.ts';
import type { PeerOptions } from './peer-options.ts';

export interface ConnectionPool {
  readonly channel: Channel;
  readonly connectionsMax: number;
  readonly connections: Set<ClientConnection>;
  readonly waiting: Set<PendingCall>;
}

export type PoolsByChannel = Readonly<Record<Channel, readonly [ConnectionPool, ...ConnectionPool[]]>>;

/** Control has one connection, data one pool of several, bodies several pools of one. */
export function connectionPools({ dataConnectionsMax, bodyConnectionsMax }: PeerOptions): PoolsByChannel {
  const pool = (channel: Channel, connectionsMax: number): ConnectionPool => ({ channel, connectionsMax, connections: new Set(), waiting: new Set() });
  return {
    control: [pool('control', 1)],
    data: [pool('data', dataConnectionsMax)],
    body: [pool('body', 1), ...Array.from({ length: bodyConnectionsMax - 1 }, () => pool('body', 1))],
  };
}

/** Where the request goes: fixed by its lane, else where the fewest calls are, rather where a connection is open. */
export function poolFor(request: PeerRequest, pools: PoolsByChannel, mayDial: boolean): ConnectionPool {
  const candidates = pools[channelOf(request.kind)];
  const lane = laneOf(request);
  const fixed = lane === null ? undefined : candidates[crc32(lane) % candidates.length];
  if (fixed !== undefined) return fixed;
  let best: ConnectionPool | null = null;
  for (const pool of candidates) {
    const isOpen = pool.connections.size > 0;
    if (!isOpen && !mayDial) continue;
    const lead = best === null ? 1 : callsOf(best) - callsOf(pool);
    if (lead > 0 || (lead === 0 && isOpen && best?.connections.size === 0)) best = pool;
  }
  return best ?? candidates[0];
}

/** The ready connection with the fewest calls in flight, rather one that isn't busy; null: none is ready. */
export function leastLoaded(pool: ConnectionPool): ClientConnection | null {
  let best: ClientConnection | null = null;
  for (const connection of pool.connections) {
    if (!connection.isReady) continue;
    if (best === null || (connection.isBusy === best.isBusy ? connection.load < best.load : best.isBusy)) best = connection;
  }
  return best;
}

function callsOf(pool: ConnectionPool): number {
  let calls = pool.waiting.size;
  for (const { load } of pool.connections) calls += load;
  return calls;
}
