/**
 * What this node finds out about other members, for Prometheus: probes, suspicions, how fast failures are found, and the news
 * that waits to be told. Nodes see different things, so each counts its own view; a sum over nodes counts a failure many times.
 *
 * Two gauges for each other member are shown only where that is wanted: n nodes make n² series of each. The label is the
 * member's node id, as dht_node_info has it, never an address. Series of members that are gone are removed.
 */
import type { MembershipNotes, PeerSuspicion } from '../membership/membership-notes.ts';
import type { Meter } from '../ports/meter.ts';

const KINDS = ['direct', 'indirect'] as const;
const RESULTS = ['ack', 'timeout', 'error'] as const;
const PROBE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
/** Three misses take 1.0 to 2.0 s; a distrustful node waits up to 8 times longer. */
const DETECTION_SECONDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7.5, 10, 15, 30, 60];

export interface SuspicionView {
  readonly awareness: number;
  readonly newsWaiting: number;
  readonly suspicions: readonly PeerSuspicion[];
  /** Milliseconds of the wall clock at an instant of the machine's. */
  readonly wallTimeOf: (heardAt: NonNullable<PeerSuspicion['heardAt']>) => number;
}

export interface FailureDetectorMetricsOptions {
  readonly isPerPeer: boolean;
}

/** `source`: null before the node is assembled. */
export function registerFailureDetectorMetrics(meter: Meter, options: FailureDetectorMetricsOptions, source: () => SuspicionView | null): Omit<MembershipNotes, 'joinAttempted'> {
  const probes = meter.counter({
    name: 'dht_failure_detector_probes_total', help: 'Probes of other members and how they ended; error: it could not be sent.', labelNames: ['kind', 'result'],
    initial: KINDS.flatMap((kind) => RESULTS.map((result) => ({ kind, result }))),
  });
  const probeSeconds = meter.histogram({
    name: 'dht_failure_detector_probe_duration_seconds', help: 'Round-trip time of answered probes.', labelNames: ['kind'],
    initial: KINDS.map((kind) => ({ kind })), buckets: PROBE_SECONDS,
  });
  const suspicions = meter.counter({ name: 'dht_failure_detector_suspicions_total', help: 'Times that a member came to count as suspect here.' });
  const refutations = meter.counter({ name: 'dht_failure_detector_refutations_total', help: 'Suspicions that turned out false, because the same process of the member answered.' });
  const downs = meter.counter({ name: 'dht_failure_detector_down_total', help: 'Times that a member came to count as down here.' });
  const detection = meter.histogram({
    name: 'dht_failure_detector_detection_duration_seconds', help: 'Time from the last sign of life of a member that this node pings until it was avoided here.', buckets: DETECTION_SECONDS,
  });
  const health = meter.gauge({ name: 'dht_failure_detector_local_health_score', help: 'How much this node distrusts its own measurements: 0 is healthy, 8 the worst; time-outs of probes are stretched by it.' });
  const news = meter.gauge({ name: 'dht_gossip_queue_messages', help: 'Pieces of news that this node still has to pass on.' });
  const showPeers = options.isPerPeer ? perPeer(meter) : () => undefined;
  meter.onScrape(() => {
    const view = source();
    if (view === null) return;
    health.set(view.awareness);
    news.set(view.newsWaiting);
    showPeers(view);
  });
  return {
    probed: (kind, result, durationMs) => {
      probes.add(1, { kind, result });
      if (result === 'ack') probeSeconds.observe(durationMs / 1000, { kind });
    },
    suspected: () => { suspicions.add(1); },
    refuted: () => { refutations.add(1); },
    down: () => { downs.add(1); },
    detected: (silentMs) => { detection.observe(silentMs / 1000); },
  };
}

function perPeer(meter: Meter): (view: SuspicionView) => void {
  const level = meter.gauge({ name: 'dht_peer_suspicion_level', help: 'Suspicion of one member: 0 none, up to 1 by missed pings, 1 suspect, 2 down. Only with per-peer metrics.', labelNames: ['peer'] });
  const contact = meter.gauge({ name: 'dht_peer_last_contact_timestamp_seconds', help: 'Last sign of life of one member to this node itself. Only with per-peer metrics.', labelNames: ['peer'] });
  let shown: readonly string[] = [];
  return ({ suspicions, wallTimeOf }) => {
    const present = new Set<string>(suspicions.map(({ nodeId }) => nodeId));
    for (const peer of shown) {
      if (present.has(peer)) continue;
      level.remove({ peer });
      contact.remove({ peer });
    }
    for (const { nodeId: peer, level: value, heardAt } of suspicions) {
      level.set(value, { peer });
      if (heardAt !== null) contact.set(wallTimeOf(heardAt) / 1000, { peer });
    }
    shown = [...present];
  };
}
