/**
 * Time at risk: seconds during which something that this node holds had fewer copies than it should, as far as it knew: a
 * member with which it shares an arc was not up, or objects were known to lack a copy.
 *
 * Cost: a pass over the nodes that share an arc with this one at each look; who they are is kept as long as the layout is.
 */
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Counter, Meter } from '../ports/meter.ts';
import { allReplicaSets } from '../ring/placement.ts';

export interface RiskLook {
  readonly self: NodeId;
  readonly layout: Layout | null;
  readonly isUp: (nodeId: NodeId) => boolean;
  /** Objects known to lack a copy. */
  readonly underReplicatedObjects: number;
}

export class TimeAtRisk {
  readonly #seconds: Counter;
  #lookedAt: MonotonicMs | null = null;
  #wasBelow = false;
  #shared: { readonly layout: Layout; readonly with: readonly NodeId[] } | null = null;

  constructor(meter: Meter) {
    this.#seconds = meter.counter({
      name: 'dht_time_below_replication_factor_seconds_total',
      help: 'Seconds during which something that this node holds had fewer live copies than it should, as far as it knew.',
    });
  }

  /** To be called regularly: the time since the last look counts as what that look saw. */
  look({ self, layout, isUp, underReplicatedObjects }: RiskLook, now: MonotonicMs): void {
    if (this.#wasBelow && this.#lookedAt !== null) this.#seconds.add(elapsedMs(this.#lookedAt, now) / 1000);
    this.#lookedAt = now;
    this.#wasBelow = layout !== null && (underReplicatedObjects > 0 || !this.#sharers(layout, self).every(isUp));
  }

  #sharers(layout: Layout, self: NodeId): readonly NodeId[] {
    if (this.#shared?.layout !== layout) {
      const sharers = new Set(allReplicaSets(layout).filter(({ all }) => all.includes(self)).flatMap(({ all }) => all));
      this.#shared = { layout, with: [...sharers].filter((nodeId) => nodeId !== self) };
    }
    return this.#shared.with;
  }
}
