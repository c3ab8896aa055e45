/**
 * The node's own gauges: ring, ownership, store and moves, set when Prometheus asks. Counters of single parts are with
 * those parts.
 */
import type { Counter, Meter } from '../ports/meter.ts';
import type { NodeState, NodeView, RingView } from './node-service.ts';

const STATES: readonly NodeState[] = ['starting', 'joining', 'serving', 'leaving', 'left', 'damaged', 'stopped'];
const LIVENESS = ['alive', 'restarting', 'suspect', 'down', 'unknown'] as const;
const RANGES = ['healthy', 'degraded', 'unavailable'] as const;

export interface NodeMetricsSource {
  /** Null, all three: the node isn't assembled yet. */
  readonly view: () => NodeView | null;
  readonly ring: () => RingView | null;
  readonly totals: () => { readonly registers: number; readonly objects: number; readonly bodyBytes: number; readonly logBytes: number } | null;
}

export interface NodeCounters {
  /** Body bytes that catch-up pulled from other replicas. */
  readonly transferredBytes: Counter;
  readonly layoutChanges: Counter;
}

export function registerNodeMetrics(meter: Meter, source: NodeMetricsSource): NodeCounters {
  const state = meter.gauge({
    name: 'dht_node_state', help: 'State of this node: 1 for the present one.', labelNames: ['state'], initial: STATES.map((s) => ({ state: s })),
  });
  const epoch = meter.gauge({ name: 'dht_ring_epoch', help: 'Epoch of the layout this node has made durable.' });
  const members = meter.gauge({
    name: 'dht_ring_members', help: 'Members of the layout by their liveness as seen here.', labelNames: ['liveness'],
    initial: LIVENESS.map((liveness) => ({ liveness })),
  });
  const ranges = meter.gauge({
    name: 'dht_ring_ranges', help: 'Arcs of the ring by what their live replicas allow, as seen here.', labelNames: ['status'],
    initial: RANGES.map((status) => ({ status })),
  });
  const owned = meter.gauge({ name: 'dht_ring_owned_ratio', help: 'Part of the ring that this node owns, 0 to 1.' });
  const held = meter.gauge({ name: 'dht_ring_held_ratio', help: 'Part of the ring that this node holds a copy of, 0 to 1.' });
  const factor = meter.gauge({ name: 'dht_replication_factor', help: 'Copies that each object has: min(n, members).' });
  const moving = meter.gauge({ name: 'dht_rebalance_active', help: '1 while the layout is moving.' });
  const pending = meter.gauge({ name: 'dht_rebalance_pending_objects', help: 'Registers that wait here for catch-up or for receipts.' });
  const objects = meter.gauge({ name: 'dht_storage_objects', help: 'Live objects in the local store.' });
  const registers = meter.gauge({ name: 'dht_storage_registers', help: 'Registers in the local index: objects, tombstones and bare promises.' });
  const objectBytes = meter.gauge({ name: 'dht_storage_objects_bytes', help: 'Bytes of the bodies of live objects in the local store.' });
  const logBytes = meter.gauge({ name: 'dht_storage_log_bytes', help: 'Bytes of the log on disk.' });
  meter.onScrape(() => {
    const node = source.view();
    const ring = source.ring();
    const totals = source.totals();
    if (node === null || ring === null || totals === null) return;
    for (const s of STATES) state.set(node.state === s ? 1 : 0, { state: s });
    for (const liveness of LIVENESS) members.set(ring.members.filter((m) => m.liveness === liveness).length, { liveness });
    for (const status of RANGES) ranges.set(ring.arcs[status], { status });
    const self = ring.members.find((m) => m.nodeId === node.nodeId);
    epoch.set(node.epoch);
    owned.set(self?.ownedShare ?? 0);
    held.set(self?.heldShare ?? 0);
    factor.set(ring.replicationFactor);
    moving.set(ring.phase === 'moving' ? 1 : 0);
    pending.set(ring.moves.keysLeft);
    objects.set(totals.objects);
    registers.set(totals.registers);
    objectBytes.set(totals.bodyBytes);
    logBytes.set(totals.logBytes);
  });
  return {
    transferredBytes: meter.counter({ name: 'dht_rebalance_transferred_bytes_total', help: 'Body bytes pulled from other replicas by catch-up.' }),
    layoutChanges: meter.counter({ name: 'dht_ring_changes_total', help: 'Layouts that this node took over since it started.' }),
  };
}
