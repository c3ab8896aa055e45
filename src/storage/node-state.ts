/**
 * What a node must not forget besides registers: layout, acceptor slot, caught arcs, promised founder, and what it remembers
 * of its peers. A value that log records change one by one. Source: protocol sections A.4, A.7 and rule R16.
 */
import { ZERO_BALLOT } from '../domain/ballot.ts';
import type { ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { Position } from '../domain/ring-position.ts';
import type { LogRecord } from './log-record.ts';
import type { LayoutSlot } from './register-store.ts';

export interface RememberedPeer {
  readonly boot: number;
  readonly position: number;
}

const EMPTY_SLOT: LayoutSlot = { promised: ZERO_BALLOT, accepted: null };
/** Peers remembered: four times the largest ring, so that only ids of disks long gone are dropped. */
const REMEMBERED_MAX = 4000;

export class NodeState {
  layout: Layout | null = null;
  slot: LayoutSlot = EMPTY_SLOT;
  caught: ReadonlySet<Position> = new Set();
  promisedFounder: NodeId | null = null;
  /** Least recently heard of first. */
  readonly #remembered = new Map<NodeId, RememberedPeer>();

  adoptLayout(layout: Layout): void {
    this.layout = layout;
    this.slot = EMPTY_SLOT;
    this.caught = new Set();
  }

  /** Arcs caught up in an epoch that has passed no longer count. */
  setCaught(epoch: Epoch, arcEnds: readonly Position[]): void {
    if (epoch === this.layout?.epoch) this.caught = new Set(arcEnds);
  }

  abandonLayout(clusterId: ClusterId): void {
    if (this.layout?.clusterId !== clusterId) return;
    this.layout = null;
    this.slot = EMPTY_SLOT;
    this.caught = new Set();
    this.promisedFounder = null;
  }

  /** Log records that make this state out of an empty one. */
  records(): readonly LogRecord[] {
    const { layout, slot, caught, promisedFounder } = this;
    const records: LogRecord[] = [];
    if (layout !== null) records.push({ kind: 'adopt-layout', layout, discards: [] });
    records.push({ kind: 'slot', slot });
    if (layout !== null && caught.size > 0) records.push({ kind: 'caught', epoch: layout.epoch, arcEnds: [...caught] });
    if (promisedFounder !== null) records.push({ kind: 'promised-founder', founder: promisedFounder });
    for (const [peer, { boot, position }] of this.#remembered) records.push({ kind: 'remember', peer, boot, position });
    return records;
  }

  remembered(peer: NodeId): RememberedPeer | null {
    return this.#remembered.get(peer) ?? null;
  }

  /** Keeps the highest; false: nothing new. */
  remember(peer: NodeId, boot: number, position: number): boolean {
    const known = this.#remembered.get(peer);
    const isHigher = known === undefined || boot > known.boot || (boot === known.boot && position > known.position);
    if (!isHigher) return false;
    this.#remembered.delete(peer);
    this.#remembered.set(peer, { boot, position: Math.max(position, known?.position ?? 0) });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
    return true;
  }
}
