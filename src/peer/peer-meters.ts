/**
 * Numbers about peers for Prometheus. What happens per frame is counted in plain numbers and handed over at each scrape,
 * so that the hot path pays an addition.
 */
import { GossipMeters } from './gossip-meters.ts';
import type { CallOutcome } from './peer-caller.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { Counter, Histogram, Labels, Meter } from '../ports/meter.ts';
import { REQUEST_KINDS } from '../protocol/codec.ts';
import type { RequestKind } from '../protocol/message.ts';

export type Direction = 'in' | 'out';
export type HandshakeFailure = 'cluster_id' | 'version' | 'auth' | 'protocol' | 'timeout';
export type ConnectionFailure = 'dns' | 'refused' | 'timeout' | 'tls' | 'reset' | 'protocol' | 'stalled' | 'limit';

const DIRECTIONS: readonly Direction[] = ['in', 'out'];
const HANDSHAKE_FAILURES: readonly HandshakeFailure[] = ['cluster_id', 'version', 'auth', 'protocol', 'timeout'];
const CONNECTION_FAILURES: readonly ConnectionFailure[] = ['dns', 'refused', 'timeout', 'tls', 'reset', 'protocol', 'stalled', 'limit'];
type Result = 'ok' | 'error' | 'timeout' | 'refused';
const DROPS = ['expired', 'malformed', 'late_reply'] as const;
type Drop = (typeof DROPS)[number];

const DURATION_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts in memory by label, handed over at a scrape. */
class Tally<K extends string> {
  readonly #counts = new Map<K, number>();
  readonly #labels: ReadonlyMap<K, Labels>;
  readonly #counter: Counter;

  constructor(meter: Meter, name: string, help: string, labelName: string, keys: readonly K[]) {
    this.#labels = new Map(keys.map((key) => [key, { [labelName]: key }]));
    this.#counter = meter.counter({ name, help, labelNames: [labelName], initial: [...this.#labels.values()] });
  }

  add(key: K, amount: number): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
  }

  flush(): void {
    for (const [key, count] of this.#counts) this.#counter.add(count, this.#labels.get(key));
    this.#counts.clear();
  }
}

export class PeerMeters {
  readonly bytes: Tally<Direction>;
  readonly frames: Tally<Direction>;
  readonly handshakeFailures: Tally<HandshakeFailure>;
  readonly connectionFailures: Tally<ConnectionFailure>;
  readonly drops: Tally<Drop>;
  readonly gossip: GossipMeters;
  readonly #requests: Counter;
  readonly #durations: Histogram;
  /** Label sets are made once: a meter may recognise them by identity. */
  readonly #requestLabels: ReadonlyMap<RequestKind, { readonly op: Labels; readonly results: Readonly<Record<Result, Labels>> }>;
  readonly #open: Record<Direction, number> = { in: 0, out: 0 };
  callsInFlight = 0;

  constructor(meter: Meter) {
    this.bytes = new Tally(meter, 'dht_peer_bytes_total', 'Bytes over the peer protocol.', 'direction', DIRECTIONS);
    this.frames = new Tally(meter, 'dht_peer_frames_total', 'Frames over the peer protocol.', 'direction', DIRECTIONS);
    this.handshakeFailures = new Tally(meter, 'dht_peer_handshake_failures_total', 'Peers turned away during the handshake.', 'reason', HANDSHAKE_FAILURES);
    this.connectionFailures = new Tally(meter, 'dht_peer_connection_failures_total', 'Peer connections that could not be opened or broke.', 'reason', CONNECTION_FAILURES);
    this.gossip = new GossipMeters(meter);
    this.drops = new Tally(meter, 'dht_peer_dropped_frames_total', 'Frames that were not acted on.', 'reason', DROPS);
    this.#requestLabels = new Map(REQUEST_KINDS.map((op) => [op, { op: { op }, results: resultLabels(op) }]));
    const perKind = [...this.#requestLabels.values()];
    this.#requests = meter.counter({
      name: 'dht_peer_requests_total', help: 'Requests sent to peers.', labelNames: ['op', 'result'],
      initial: perKind.flatMap(({ results }) => Object.values(results)),
    });
    this.#durations = meter.histogram({
      name: 'dht_peer_request_duration_seconds', help: 'Duration of requests to peers.', labelNames: ['op'],
      initial: perKind.map(({ op }) => op), buckets: DURATION_BUCKETS_SECONDS,
    });
    const connections = meter.gauge({
      name: 'dht_peer_connections', help: 'Open peer connections.', labelNames: ['direction'], initial: DIRECTIONS.map((direction) => ({ direction })),
    });
    const inFlight = meter.gauge({ name: 'dht_peer_inflight_requests', help: 'Peer requests awaiting an answer.' });
    meter.onScrape(() => {
      for (const tally of [this.bytes, this.frames, this.handshakeFailures, this.connectionFailures, this.drops]) tally.flush();
      for (const direction of DIRECTIONS) connections.set(this.#open[direction], { direction });
      inFlight.set(this.callsInFlight);
    });
  }

  opened(direction: Direction): void {
    this.#open[direction]++;
  }

  closed(direction: Direction): void {
    this.#open[direction]--;
  }

  callEnded(kind: RequestKind, outcome: CallOutcome<RequestKind>, durationMs: number): void {
    const labels = this.#requestLabels.get(kind);
    this.#requests.add(1, labels?.results[resultOf(outcome)]);
    this.#durations.observe(durationMs / 1000, labels?.op);
  }

  /** A HELLO was refused, by either side. */
  refused(code: ErrorCode): void {
    this.handshakeFailures.add(code === 'DHT_ERR_CLUSTER_FOREIGN' ? 'cluster_id' : code === 'DHT_ERR_PEER_VERSION' ? 'version' : 'protocol', 1);
  }
}

function resultLabels(op: RequestKind): Readonly<Record<Result, Labels>> {
  return { ok: { op, result: 'ok' }, error: { op, result: 'error' }, timeout: { op, result: 'timeout' }, refused: { op, result: 'refused' } };
}

function resultOf(outcome: CallOutcome<RequestKind>): Result {
  switch (outcome.kind) {
    case 'reply':
      return outcome.reply.kind === 'fault' ? 'error' : 'ok';
    case 'no-answer':
      return 'timeout';
    case 'not-sent':
    case 'wrong-node':
      return 'refused';
  }
}
