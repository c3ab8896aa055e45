/**
 * One decided layout per epoch; epochs never go back on a node, restarts included (I1); one cluster is founded (I2).
 * Fed with what every node shows, again and again during the run.
 */
import type { Epoch } from '../../domain/ids.ts';

export class LayoutChecker {
  readonly #fingerprintOf = new Map<Epoch, { readonly fingerprint: string; readonly nodeId: string }>();
  readonly #epochOf = new Map<string, Epoch>();
  readonly #clusterIds = new Set<string>();
  readonly #report: (violation: string) => void;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  /** `fingerprint`: equal for equal layouts and only for them. True: this epoch was never seen before. */
  observe(nodeId: string, clusterId: string, epoch: Epoch, fingerprint: () => string): boolean {
    const before = this.#epochOf.get(nodeId) ?? 0;
    if (epoch === before) return false;
    this.#epochOf.set(nodeId, epoch);
    if (epoch < before) this.#report(`node ${nodeId.slice(0, 8)} went back from epoch ${before} to ${epoch}`);
    if (!this.#clusterIds.has(clusterId)) {
      this.#clusterIds.add(clusterId);
      if (this.#clusterIds.size > 1) this.#report(`two clusters were founded: ${[...this.#clusterIds].join(', ')}`);
    }
    const known = this.#fingerprintOf.get(epoch);
    const text = fingerprint();
    if (known === undefined) this.#fingerprintOf.set(epoch, { fingerprint: text, nodeId });
    else if (known.fingerprint !== text) this.#report(`two layouts of epoch ${epoch}: one at ${known.nodeId.slice(0, 8)}, one at ${nodeId.slice(0, 8)}`);
    return known === undefined;
  }

  /** Layouts seen, the founding one included. */
  count(): number {
    return this.#fingerprintOf.size;
  }
}
