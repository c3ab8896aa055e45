/**
 * Contacts: when each member last gave this node a sign of life itself, and how long the silence of a watched one was when
 * it came to be avoided. A member that isn't pinged from here may say nothing for hours and be well, so only the silence of
 * watched ones tells how fast failures are found.
 * Bounds: one entry for each member of the layout.
 */
import type { NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';

export class Contacts {
  readonly #heardAt = new Map<NodeId, MonotonicMs>();
  readonly #watchedSince = new Map<NodeId, MonotonicMs>();

  /** Null: not in this process life. */
  heardAt(nodeId: NodeId): MonotonicMs | null {
    return this.#heardAt.get(nodeId) ?? null;
  }

  heard(nodeId: NodeId, now: MonotonicMs): void {
    this.#heardAt.set(nodeId, now);
  }

  /** Exactly these members are pinged from now on. */
  watch(targets: readonly NodeId[], now: MonotonicMs): void {
    const wanted = new Set(targets);
    for (const nodeId of this.#watchedSince.keys()) if (!wanted.has(nodeId)) this.#watchedSince.delete(nodeId);
    for (const nodeId of targets) if (!this.#watchedSince.has(nodeId)) this.#watchedSince.set(nodeId, now);
  }

  /** Forgets whoever is no member. */
  keep(isMember: (nodeId: NodeId) => boolean): void {
    for (const nodeId of this.#heardAt.keys()) if (!isMember(nodeId)) this.#heardAt.delete(nodeId);
  }

  /** Milliseconds since the last sign of life; null: it isn't watched, or gave none since it is. */
  silenceMs(nodeId: NodeId, now: MonotonicMs): number | null {
    const since = this.#watchedSince.get(nodeId);
    const heardAt = this.#heardAt.get(nodeId);
    return since === undefined || heardAt === undefined || heardAt < since ? null : elapsedMs(heardAt, now);
  }
}
