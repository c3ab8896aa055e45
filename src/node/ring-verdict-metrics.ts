/**
 * What a person asks first, as gauges: which ring this is, whether everything is safe, whether this node may be removed now,
 * and how long a move still takes. The answers are those of GET /v1/ring; this only shows them.
 */
import type { Meter } from '../ports/meter.ts';
import type { RingView } from './node-service.ts';

export interface RingIdentity {
  readonly nodeId: string;
  readonly ring: RingView;
}

/** `source`: null before the node is assembled. */
export function registerRingVerdictMetrics(meter: Meter, source: () => RingIdentity | null): void {
  const info = meter.gauge({
    name: 'dht_node_info', help: 'Always 1 once the node has a ring; identifies node and ring. Absent before.', labelNames: ['cluster_id', 'node_id', 'zone'],
  });
  const safe = meter.gauge({ name: 'dht_ring_safe', help: '1 when every object has all its copies and every replica is up, as far as this node knows.' });
  const removable = meter.gauge({ name: 'dht_node_safe_to_remove', help: '1 when this node may be removed for good now, by leaving.' });
  const arcs = meter.gauge({ name: 'dht_rebalance_pending_arcs', help: 'Arcs of the ring that this node still has to catch up.' });
  const bytes = meter.gauge({ name: 'dht_rebalance_pending_bytes', help: 'Bytes of bodies still to move here or from here, estimated from what has moved so far.' });
  const seconds = meter.gauge({ name: 'dht_rebalance_remaining_seconds', help: 'Estimated time until this node has caught up; 0 when nothing is left, NaN while nobody knows.' });
  let shown: Readonly<Record<string, string>> | null = null;
  meter.onScrape(() => {
    const now = source();
    if (now === null) return;
    const { nodeId, ring } = now;
    safe.set(ring.isSafe ? 1 : 0);
    removable.set(ring.isRemovable ? 1 : 0);
    arcs.set(ring.moves.arcs);
    bytes.set(ring.moves.bytesLeft);
    seconds.set(ring.moves.arcs === 0 ? 0 : ring.moves.estimatedSeconds ?? Number.NaN);
    if (ring.clusterId === null) return;
    const labels = { cluster_id: ring.clusterId, node_id: nodeId, zone: ring.members.find((member) => member.nodeId === nodeId)?.zone ?? '' };
    // Only a node that was given a new identity changes them.
    if (shown !== null && Object.entries(labels).some(([name, value]) => shown?.[name] !== value)) info.set(0, shown);
    info.set(1, labels);
    shown = labels;
  });
}
