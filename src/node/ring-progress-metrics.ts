/**
 * How this node came into its ring and which layout it has now: whether all have the same one, since when, how many tokens
 * this node has in it, and how long and how many attempts it took to serve.
 */
import { crc32 } from 'node:zlib';
import { BinaryWriter } from '../encoding/binary-writer.ts';
import { writeLayout } from '../encoding/layout-encoding.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { JoinAttempt } from '../membership/membership-notes.ts';
import type { Clock } from '../ports/clock.ts';
import type { Counter, Gauge, Histogram, Meter } from '../ports/meter.ts';
import { memberById } from '../ring/placement.ts';

const JOIN_ATTEMPTS: readonly JoinAttempt[] = ['ok', 'no_ring', 'rejected', 'unreachable'];
const JOIN_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

export class RingProgressMetrics {
  readonly #clock: Clock;
  readonly #startedAt: MonotonicMs;
  readonly #attempts: Counter;
  readonly #joinSeconds: Histogram;
  readonly #lastChange: Gauge;
  #hasServed = false;
  #expected: () => number | null = () => null;

  /** `source`: the layout in use, and this node; null before there is one. */
  constructor(meter: Meter, clock: Clock, source: () => { readonly layout: Layout; readonly self: NodeId } | null) {
    this.#clock = clock;
    this.#startedAt = clock.monotonicNow();
    this.#attempts = meter.counter({
      name: 'dht_ring_join_attempts_total', help: 'Attempts to join or to found a ring, for each node that was asked.', labelNames: ['result'],
      initial: JOIN_ATTEMPTS.map((result) => ({ result })),
    });
    this.#joinSeconds = meter.histogram({ name: 'dht_ring_join_duration_seconds', help: 'Time from the start of the node until it first served.', buckets: JOIN_SECONDS });
    this.#lastChange = meter.gauge({ name: 'dht_ring_last_change_timestamp_seconds', help: 'When this node last took over a layout; its start until then.' });
    this.#lastChange.set(clock.wallNow() / 1000);
    const expected = meter.gauge({ name: 'dht_ring_expected_members', help: 'Members that the StatefulSet wants; 0 when that is not known.' });
    const checksum = meter.gauge({ name: 'dht_ring_checksum', help: 'CRC-32 of the layout in use: the same on all nodes that agree on it. 0 without one.' });
    const tokens = meter.gauge({ name: 'dht_ring_tokens', help: 'Positions of this node on the ring.' });
    let shown: { readonly layout: Layout; readonly checksum: number } | null = null;
    meter.onScrape(() => {
      expected.set(this.#expected() ?? 0);
      const now = source();
      if (now === null) {
        checksum.set(0);
        tokens.set(0);
        return;
      }
      if (shown?.layout !== now.layout) shown = { layout: now.layout, checksum: checksumOf(now.layout) };
      checksum.set(shown.checksum);
      tokens.set(memberById(now.layout, now.self)?.tokens.length ?? 0);
    });
  }

  /** From now on: how many members an orchestrator wants; null when it doesn't say. */
  expect(members: () => number | null): void {
    this.#expected = members;
  }

  attempted(result: JoinAttempt): void {
    this.#attempts.add(1, { result });
  }

  layoutChanged(): void {
    this.#lastChange.set(this.#clock.wallNow() / 1000);
  }

  /** Counts once. */
  serves(): void {
    if (this.#hasServed) return;
    this.#hasServed = true;
    this.#joinSeconds.observe(elapsedMs(this.#startedAt, this.#clock.monotonicNow()) / 1000);
  }
}

function checksumOf(layout: Layout): number {
  const writer = new BinaryWriter();
  writeLayout(writer, layout);
  return crc32(writer.finish());
}
