/**
 * Peer strain: which nodes said lately that their disk is slow or nearly full. Heard with pings, so in a large ring a node knows
 * it of its neighbours only; it is advice about whom to ask first and what not to begin, never a part of a quorum's rules.
 * What wasn't said again for FRESH_MS is forgotten. Source: protocol sections D.1 "slow/degraded" and D.5.
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import { isAtLeast } from '../domain/space-level.ts';
import type { DiskHealth } from '../protocol/message.ts';
import { NO_STRAIN, type Strain } from '../ring/cluster-view.ts';

/** Milliseconds that a report counts: twenty pings. */
const FRESH_MS = 10_000;
/** Reports kept at most: all members of the largest ring. */
const REPORTS_MAX = 1_000;

export class PeerStrain {
  /** Only nodes with something to report. */
  readonly #reports = new Map<NodeId, { readonly isSlow: boolean; readonly isFull: boolean; readonly at: MonotonicMs }>();
  #strain: Strain = NO_STRAIN;

  /** The same value as long as nothing changes. */
  get current(): Strain {
    return this.#strain;
  }

  heard(nodeId: NodeId, { space, isDiskSlow }: DiskHealth, now: MonotonicMs): void {
    const report = { isSlow: isDiskSlow, isFull: isAtLeast(space, 'full'), at: now };
    const before = this.#reports.get(nodeId);
    this.#reports.delete(nodeId);
    if ((report.isSlow || report.isFull) && this.#reports.size < REPORTS_MAX) this.#reports.set(nodeId, report);
    if (before?.isSlow !== report.isSlow || before.isFull !== report.isFull) this.#refresh();
  }

  forgetOld(now: MonotonicMs): void {
    let isChanged = false;
    for (const [nodeId, { at }] of this.#reports) {
      if (elapsedMs(at, now) < FRESH_MS) break;
      this.#reports.delete(nodeId);
      isChanged = true;
    }
    if (isChanged) this.#refresh();
  }

  #refresh(): void {
    const reports = [...this.#reports];
    const of = (isIt: (report: { readonly isSlow: boolean; readonly isFull: boolean }) => boolean): ReadonlySet<NodeId> =>
      new Set(reports.filter(([, report]) => isIt(report)).map(([nodeId]) => nodeId));
    this.#strain = reports.length === 0 ? NO_STRAIN : { slow: of(({ isSlow }) => isSlow), full: of(({ isFull }) => isFull) };
  }
}
