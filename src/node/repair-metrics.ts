/** Numbers about repair for Prometheus: hints, comparisons, single keys, and how many objects lack a replica. */
import type { Counter, Meter } from '../ports/meter.ts';
import { HINT_DROPS, type HintDrop } from '../repair/hint-book.ts';
import { REPAIR_CAUSES, type RepairCause } from '../repair/key-repair.ts';
import type { RepairView } from './node-service.ts';

const RESULTS = ['ok', 'failed'] as const;
type Result = (typeof RESULTS)[number];
const RUN_BUCKETS_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800];

export class RepairMetrics {
  readonly #delivered: Counter;
  readonly #dropped: Counter;
  readonly #readRepairs: Counter;
  readonly #attempts: Counter;
  readonly #runs: Counter;
  readonly #repaired: Counter;
  readonly #observeRun: (seconds: number) => void;
  #passedAtSeconds: number;

  /** `view`: null before the node is assembled. */
  constructor(meter: Meter, nowMs: number, view: () => RepairView | null) {
    this.#passedAtSeconds = nowMs / 1000;
    this.#delivered = meter.counter({ name: 'dht_hints_replayed_total', help: 'Keys of missed writes that absent members were told.' });
    this.#dropped = meter.counter({
      name: 'dht_hints_dropped_total', help: 'Keys of missed writes that were given up; comparisons find them.', labelNames: ['reason'],
      initial: HINT_DROPS.map((reason) => ({ reason })),
    });
    this.#readRepairs = meter.counter({
      name: 'dht_read_repairs_total', help: 'Values chosen or copied again after a read found replicas different.', labelNames: ['result'],
      initial: RESULTS.map((result) => ({ result })),
    });
    this.#attempts = meter.counter({
      name: 'dht_resync_attempts_total', help: 'Attempts to bring single registers and bodies here.', labelNames: ['cause', 'result'],
      initial: REPAIR_CAUSES.flatMap((cause) => RESULTS.map((result) => ({ cause, result }))),
    });
    this.#runs = meter.counter({
      name: 'dht_anti_entropy_runs_total', help: 'Comparisons with one other replica.', labelNames: ['result'], initial: RESULTS.map((result) => ({ result })),
    });
    this.#repaired = meter.counter({ name: 'dht_anti_entropy_repaired_objects_total', help: 'Registers pulled because a comparison found them different.' });
    const duration = meter.histogram({ name: 'dht_anti_entropy_run_duration_seconds', help: 'Duration of a comparison with one other replica.', buckets: RUN_BUCKETS_SECONDS });
    this.#observeRun = (seconds) => { duration.observe(seconds); };
    const under = meter.gauge({ name: 'dht_replication_under_replicated_objects', help: 'Objects known here to lack replicas; may lag until the next comparison.' });
    const queued = meter.gauge({ name: 'dht_hints_queued', help: 'Keys of writes that absent members missed.' });
    const oldest = meter.gauge({ name: 'dht_hints_oldest_timestamp_seconds', help: 'When the oldest kept hint was written; the present time if there is none.' });
    const pending = meter.gauge({ name: 'dht_resync_pending', help: 'Single registers and bodies that wait to be brought here.' });
    const pendingAge = meter.gauge({ name: 'dht_resync_oldest_seconds', help: 'Age of the oldest of them.' });
    const rate = meter.gauge({ name: 'dht_repair_rate_limit_bytes_per_second', help: 'What background copies may take at this node now; less while clients wait longer than usual.' });
    const passed = meter.gauge({ name: 'dht_anti_entropy_last_success_timestamp_seconds', help: 'When all replicas were last compared with; process start until then.' });
    meter.onScrape(() => {
      passed.set(this.#passedAtSeconds);
      const now = view();
      if (now === null) return;
      under.set(now.underReplicatedObjects);
      queued.set(now.hintsQueued);
      oldest.set(now.oldestHintMs / 1000);
      pending.set(now.keysPending);
      rate.set(now.bytesPerSecond);
      pendingAge.set(now.oldestUnrepairedSeconds ?? 0);
    });
  }

  deliveredHints(count: number): void {
    this.#delivered.add(count);
  }

  droppedHints(reason: HintDrop, count: number): void {
    this.#dropped.add(count, { reason });
  }

  readRepaired(isOk: boolean): void {
    this.#readRepairs.add(1, { result: isOk ? 'ok' : 'failed' });
  }

  attempted(cause: RepairCause, result: Result): void {
    this.#attempts.add(1, { cause, result });
    if (cause === 'read') this.readRepaired(result === 'ok');
  }

  compared(result: Result, seconds: number): void {
    this.#runs.add(1, { result });
    this.#observeRun(seconds);
  }

  repaired(count: number): void {
    this.#repaired.add(count);
  }

  passed(nowMs: number): void {
    this.#passedAtSeconds = nowMs / 1000;
  }
}
