/**
 * The node's own gauges: ring, ownership, store and moves, set when Prometheus asks. Counters of single parts are with
 * those parts.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Counter, Meter } from '../ports/meter.ts';
import type { MembershipNotes } from '../membership/membership-notes.ts';
import type { RepairMetrics } from './repair-metrics.ts';
import { RETRIED_OPS, WRITE_COUNTS } from '../replication/operation-context.ts';
import { majorityOf } from '../register/joint-quorum.ts';
import type { StoreTotals } from '../storage/register-store.ts';
import { TimeAtRisk } from './time-at-risk.ts';
import type { NodeState, NodeView, RingView, StorageView } from './node-service.ts';

const STATES: readonly NodeState[] = ['starting', 'joining', 'serving', 'leaving', 'left', 'damaged', 'stopped'];
const LIVENESS = ['alive', 'restarting', 'suspect', 'down', 'unknown'] as const;
const QUORUM_OPS = ['read', 'write'] as const;
const RANGES = ['healthy', 'degraded', 'unavailable'] as const;

export interface NodeMetricsSource {
  /** Null, all of them: the node isn't assembled yet. */
  readonly view: () => NodeView | null;
  readonly ring: () => RingView | null;
  readonly repair: RepairMetrics;
  readonly membership: MembershipNotes;
  readonly space: () => StorageView | null;
  readonly startedAtMs: number;
  readonly totals: () => StoreTotals | null;
  readonly diskUsedBytes: () => number;
}

export interface NodeCounters {
  /** Rounds that began again; label `op`. */
  readonly replicaRetries: Counter;
  /** Clients' writes that ended; label `result`. */
  readonly writes: Counter;
  readonly repair: RepairMetrics;
  readonly membership: MembershipNotes;
  /** Body bytes that background copies moved; label `direction`. */
  readonly transferredBytes: Counter;
  /** Attempts of catch-up to copy an arc; label `result`. */
  readonly transfers: Counter;
  /** Stored bytes that weren't what was written; label `stage`. */
  readonly corruptions: Counter;
  /** Registers that the scrub read; label `result`. */
  readonly scrubbed: Counter;
  /** Damaged registers that are whole again. */
  readonly healed: Counter;
  /** A layout was taken over: counts what it changed. */
  readonly onLayout: (layout: Layout) => void;
  readonly timeAtRisk: TimeAtRisk;
  /** Tombstones that this node erased. */
  readonly erasedTombstones: Counter;
}

export function registerNodeMetrics(meter: Meter, source: NodeMetricsSource): NodeCounters {
  const state = meter.gauge({
    name: 'dht_node_state', help: 'State of this node: 1 for the present one.', labelNames: ['state'], initial: STATES.map((s) => ({ state: s })),
  });
  const epoch = meter.gauge({ name: 'dht_ring_epoch', help: 'Epoch of the layout this node has made durable.' });
  const members = meter.gauge({
    name: 'dht_ring_members', help: 'Members of the layout by their liveness as seen here.', labelNames: ['state'],
    initial: LIVENESS.map((liveness) => ({ state: liveness })),
  });
  const ranges = meter.gauge({
    name: 'dht_ring_ranges', help: 'Arcs of the ring by what their live replicas allow, as seen here.', labelNames: ['status'],
    initial: RANGES.map((status) => ({ status })),
  });
  const owned = meter.gauge({ name: 'dht_ring_owned_ratio', help: 'Part of the ring that this node owns, 0 to 1.' });
  const held = meter.gauge({ name: 'dht_ring_held_ratio', help: 'Part of the ring that this node holds a copy of, 0 to 1.' });
  const factor = meter.gauge({ name: 'dht_replication_factor', help: 'Copies that each object has: min(n, members).' });
  const quorum = meter.gauge({
    name: 'dht_replication_quorum', help: 'Replicas that have to answer: a majority, for reads as for writes.', labelNames: ['op'], initial: QUORUM_OPS.map((op) => ({ op })),
  });
  const moving = meter.gauge({ name: 'dht_rebalance_active', help: '1 while the layout is moving.' });
  const pending = meter.gauge({ name: 'dht_rebalance_pending_objects', help: 'Registers that wait here for catch-up or for receipts.' });
  const objects = meter.gauge({ name: 'dht_storage_objects', help: 'Live objects in the local store.' });
  const registers = meter.gauge({ name: 'dht_storage_registers', help: 'Registers in the local index: objects, tombstones and bare promises.' });
  const tombstones = meter.gauge({ name: 'dht_storage_tombstones', help: 'Delete markers in the local store: each stays until all replicas hold it alike and it is a day old.' });
  const objectBytes = meter.gauge({ name: 'dht_storage_objects_bytes', help: 'Bytes of the bodies of live objects in the local store.' });
  const logBytes = meter.gauge({ name: 'dht_storage_log_bytes', help: 'Bytes of the log on disk.' });
  const diskCapacity = meter.gauge({ name: 'dht_storage_disk_capacity_bytes', help: 'Size of the data volume.' });
  const diskAvailable = meter.gauge({ name: 'dht_storage_disk_available_bytes', help: 'Space on the data volume usable by an unprivileged process.' });
  const diskUsed = meter.gauge({ name: 'dht_storage_disk_used_bytes', help: 'Bytes of the files of the local store: log, checkpoint, large bodies and ballast, without bodies that are just coming in.' });
  const ballast = meter.gauge({ name: 'dht_storage_ballast_bytes', help: 'Bytes set aside on the data volume so that deletes can always be logged.' });
  const scrubbedAt = meter.gauge({ name: 'dht_storage_scrub_last_success_timestamp_seconds', help: 'When all objects were last verified; process start until then.' });
  const readOnly = meter.gauge({ name: 'dht_storage_read_only', help: '1 while files are refused to protect the volume.' });
  meter.onScrape(() => {
    const node = source.view();
    const ring = source.ring();
    const totals = source.totals();
    const space = source.space();
    if (node === null || ring === null || totals === null || space === null) return;
    for (const s of STATES) state.set(node.state === s ? 1 : 0, { state: s });
    for (const liveness of LIVENESS) members.set(ring.members.filter((m) => m.liveness === liveness).length, { state: liveness });
    for (const status of RANGES) ranges.set(ring.arcs[status], { status });
    const self = ring.members.find((m) => m.nodeId === node.nodeId);
    epoch.set(node.epoch);
    owned.set(self?.ownedShare ?? 0);
    held.set(self?.heldShare ?? 0);
    factor.set(ring.replicationFactor);
    for (const op of QUORUM_OPS) quorum.set(ring.replicationFactor === 0 ? 0 : majorityOf(ring.replicationFactor), { op });
    moving.set(ring.phase === 'moving' ? 1 : 0);
    pending.set(ring.moves.keysLeft);
    objects.set(totals.objects);
    registers.set(totals.registers);
    tombstones.set(totals.tombstones);
    objectBytes.set(totals.bodyBytes);
    logBytes.set(totals.logBytes);
    diskCapacity.set(space.totalBytes);
    diskAvailable.set(space.freeBytes);
    diskUsed.set(source.diskUsedBytes());
    ballast.set(space.ballastBytes);
    scrubbedAt.set(Math.floor((space.scrub.lastPassAtMs ?? source.startedAtMs) / 1000));
    readOnly.set(space.isReadOnly ? 1 : 0);
  });
  return {
    replicaRetries: meter.counter({
      name: 'dht_gateway_replica_retries_total', help: 'Rounds with the replicas that operations of this node began again.', labelNames: ['op'],
      initial: RETRIED_OPS.map((op) => ({ op })),
    }),
    writes: meter.counter({
      name: 'dht_replication_writes_total', help: 'Writes of clients by how they ended: confirmed by all replicas or a quorum of them, certainly not applied, or unknown.', labelNames: ['result'],
      initial: WRITE_COUNTS.map((result) => ({ result })),
    }),
    repair: source.repair,
    membership: source.membership,
    transferredBytes: meter.counter({
      name: 'dht_rebalance_transferred_bytes_total', help: 'Body bytes copied between replicas. in: pulled here. out: given, without large bodies, which a client may read as well.',
      labelNames: ['direction'], initial: ['in', 'out'].map((direction) => ({ direction })),
    }),
    transfers: meter.counter({
      name: 'dht_rebalance_transfers_total', help: 'Attempts to copy an arc of the ring that have ended here; failed ones are repeated.', labelNames: ['result'],
      initial: ['ok', 'failed'].map((result) => ({ result })),
    }),
    corruptions: meter.counter({
      name: 'dht_storage_corruptions_total', help: 'Stored bytes that were not what was written.', labelNames: ['stage'],
      initial: ['read', 'scrub', 'startup'].map((stage) => ({ stage })),
    }),
    scrubbed: meter.counter({
      name: 'dht_storage_scrubbed_objects_total', help: 'Objects verified in the background.', labelNames: ['result'],
      initial: ['ok', 'corrupt', 'error'].map((result) => ({ result })),
    }),
    healed: meter.counter({ name: 'dht_storage_healed_objects_total', help: 'Objects with rotten bytes that are whole again.' }),
    erasedTombstones: meter.counter({ name: 'dht_storage_tombstones_erased_total', help: 'Delete markers that this node has forgotten, because every replica held them alike.' }),
    timeAtRisk: new TimeAtRisk(meter),
    onLayout: layoutCounters(meter),
  };
}

const CHANGES = ['join', 'leave', 'replace', 'remove', 'recover'] as const;

/** Counts each change once, with the layout that ends it: by the members that came and went, and as what they went. */
function layoutCounters(meter: Meter): (layout: Layout) => void {
  const changes = meter.counter({
    name: 'dht_ring_changes_total', help: 'Membership changes in the layouts this node took over. remove: taken out because it was down.', labelNames: ['change'],
    initial: CHANGES.map((change) => ({ change })),
  });
  const layouts = meter.counter({ name: 'dht_ring_layouts_total', help: 'Layouts that this node took over since it started.' });
  let before: Layout | null = null;
  return (layout) => {
    layouts.add(1);
    if (before !== null && layout.recoveries.length > before.recoveries.length) changes.add(1, { change: 'recover' });
    if (before !== null && before.phase === 'moving' && layout.phase === 'stable') {
      const { members } = before;
      const stays = (nodeId: NodeId): boolean => layout.members.some((member) => member.nodeId === nodeId);
      for (const { nodeId, name, state } of members) {
        const isReplaced = members.some((other) => other.name === name && other.state === 'joining');
        if (state === 'joining' && stays(nodeId)) changes.add(1, { change: members.some((other) => other.name === name && other.nodeId !== nodeId) ? 'replace' : 'join' });
        else if (state !== 'joining' && !stays(nodeId) && !isReplaced) changes.add(1, { change: state === 'lost' ? 'remove' : 'leave' });
      }
    }
    before = layout;
  };
}
