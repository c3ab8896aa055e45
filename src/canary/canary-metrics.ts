/** What the canary publishes. Every label set exists from the start, so that the first event is an increase. */
import type { Counter, Gauge, Histogram, Meter } from '../ports/meter.ts';
import type { Findings } from './canary-state.ts';

export const OPERATIONS = ['put', 'get', 'delete'] as const;
export type Operation = (typeof OPERATIONS)[number];
/** ok: answered, a 404 too. conflict: its condition didn't hold. unknown: a write that may have been applied. */
export const RESULTS = ['ok', 'conflict', 'unavailable', 'unknown', 'error'] as const;
export type Result = (typeof RESULTS)[number];

/** Seconds, as those of the gateway. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const FINDINGS: Readonly<Record<keyof Findings, readonly [name: string, help: string]>> = {
  lost: ['dht_canary_lost_objects_total', 'Objects whose acknowledged version was gone, absent or older, in every answer for a while.'],
  stale: ['dht_canary_stale_reads_total', 'Answers older than what was acknowledged, before the right one came again.'],
  corrupt: ['dht_canary_corrupt_objects_total', 'Objects read with other bytes than were stored.'],
  resurrected: ['dht_canary_resurrected_objects_total', 'Objects that were back after an acknowledged delete, in every answer for a while.'],
  unexpected: ['dht_canary_unexpected_objects_total', 'Objects newer than the canary remembers: its own memory went back, or somebody else wrote.'],
};

/** What is read at each scrape. */
export interface CanaryGauges {
  /** Objects that should exist. */
  readonly objects: number;
  readonly doubtful: number;
  readonly unknownWrites: number;
  /** Seconds since 1970. */
  readonly oldestVerified: number;
}

export class CanaryMetrics {
  readonly #operations: Counter;
  readonly #durations: Histogram;
  readonly #acknowledged: Counter;
  readonly #skipped: Counter;
  readonly #saves: Counter;
  readonly #findings: ReadonlyMap<keyof Findings, Counter>;

  constructor(meter: Meter, read: () => CanaryGauges) {
    const labelNames = ['op', 'result'];
    const initial = OPERATIONS.flatMap((op) => RESULTS.map((result) => ({ op, result })));
    this.#operations = meter.counter({ name: 'dht_canary_operations_total', help: 'Requests of the canary by how they ended.', labelNames, initial });
    this.#durations = meter.histogram({ name: 'dht_canary_operation_duration_seconds', help: 'Duration of the requests of the canary, failed ones too.', labelNames: ['op'], initial: OPERATIONS.map((op) => ({ op })), buckets: BUCKETS });
    this.#acknowledged = meter.counter({ name: 'dht_canary_acknowledged_writes_total', help: 'Writes and deletes that the ring acknowledged.' });
    this.#skipped = meter.counter({ name: 'dht_canary_skipped_operations_total', help: 'Turns that were left out because as many requests as allowed were under way.' });
    this.#saves = meter.counter({ name: 'dht_canary_state_saves_total', help: 'Saves of what the canary remembers; without one no write leaves.', labelNames: ['result'], initial: [{ result: 'ok' }, { result: 'failed' }] });
    this.#findings = new Map((Object.keys(FINDINGS) as (keyof Findings)[]).map((finding) => [finding, meter.counter({ name: FINDINGS[finding][0], help: FINDINGS[finding][1] })]));
    const gauges: readonly (readonly [Gauge, keyof CanaryGauges])[] = [
      [meter.gauge({ name: 'dht_canary_objects', help: 'Objects of the canary that should exist now.' }), 'objects'],
      [meter.gauge({ name: 'dht_canary_doubtful_objects', help: 'Objects whose last answers were wrong and are being read again.' }), 'doubtful'],
      [meter.gauge({ name: 'dht_canary_unknown_writes', help: 'Writes that may still have been applied or not.' }), 'unknownWrites'],
      [meter.gauge({ name: 'dht_canary_oldest_verified_timestamp_seconds', help: 'When the object was verified that waits longest; the start of the canary for one that never was.' }), 'oldestVerified'],
    ];
    meter.onScrape(() => {
      const values = read();
      for (const [gauge, name] of gauges) gauge.set(values[name]);
    });
  }

  operation(op: Operation, result: Result, durationMs: number): void {
    this.#operations.add(1, { op, result });
    this.#durations.observe(durationMs / 1000, { op });
    if (op !== 'get' && result === 'ok') this.#acknowledged.add(1);
  }

  skipped(): void {
    this.#skipped.add(1);
  }

  saved(isSaved: boolean): void {
    this.#saves.add(1, { result: isSaved ? 'ok' : 'failed' });
  }

  found(finding: keyof Findings, count: number): void {
    this.#findings.get(finding)?.add(count);
  }
}
