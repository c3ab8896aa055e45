/**
 * State space of `since`: a ring of few nodes goes from layout to layout; each node takes over any of them, or misses any,
 * and whoever proposes knows the epoch of any of the nodes or of none. Layouts and what is to be discarded are worked out by
 * the product.
 *
 * Checked at every adoption, at every position whose replica the node is in the new layout: it discards there exactly when
 * it wasn't a replica in some layout since its own (A.4 (10)). Less would let forgotten promises and values vote, more
 * would throw away acknowledged copies.
 */
import { must } from '../../domain/assert.ts';
import type { Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { isInArc, type Position } from '../../domain/ring-position.ts';
import { adoption } from '../../layout/adoption.ts';
import { replicaSets } from '../../ring/placement.ts';
import { sinceFromStable, sinceOfArc, type LayoutKernelRules } from '../kernels/layout-kernel-rules.ts';
import { foundedBy, wishOf, type Wish } from './chain-scope.ts';
import { Interner, Memo } from './interner.ts';
import { layoutLabel, layoutText } from './layout-text.ts';
import { replicaId } from './register-scope.ts';
import type { StateSpace } from './search.ts';

export interface SinceScope {
  readonly name: string;
  readonly since: LayoutKernelRules['since'];
  readonly nodes: number;
  readonly members: number;
  /** n. */
  readonly replicas: number;
  readonly epochMax: Epoch;
}

/** The layouts so far, and the index of each node's own (-1: none yet). */
interface SinceState {
  readonly chain: readonly number[];
  readonly own: readonly number[];
}

export class SinceSpace implements StateSpace {
  readonly #scope: SinceScope;
  readonly #nodes: readonly NodeId[];
  readonly #layouts = new Interner<Layout>(layoutText);
  readonly #chainIds = new Interner<readonly number[]>((ids) => ids.join(' '));
  readonly #wishes = new Map<string, readonly number[]>();
  readonly #wrong = new Memo<string | null>();
  readonly initial: string;

  constructor(scope: SinceScope) {
    this.#scope = scope;
    this.#nodes = Array.from({ length: scope.nodes }, (_, i) => replicaId(i));
    const first = this.#layouts.id(foundedBy(scope.members, scope.replicas));
    this.initial = pack({ chain: [first], own: this.#nodes.map((_, i) => (i < scope.members ? 0 : -1)) });
  }

  successors(packed: string, visit: (next: string, action: () => string) => void): void {
    const { chain, own } = this.#unpack(packed);
    for (let node = 0; node < own.length; node++) {
      for (let at = (own[node] as number) + 1; at < chain.length; at++) {
        visit(pack({ chain, own: own.with(node, at) }), () => `${this.#letter(node)} adopts layout ${at + 1}`);
      }
    }
    if (chain.length >= this.#scope.epochMax) return;
    for (const next of this.#next(chain, own)) visit(pack({ chain: [...chain, next], own }), () => `${layoutLabel(this.#layouts.value(next))} is decided: ${sinceLabel(this.#layouts.value(next))}`);
  }

  /** Every layout that may come next, whatever the proposer has heard. */
  #next(chain: readonly number[], own: readonly number[]): readonly number[] {
    const key = `${chain.at(-1)} ${own.join(' ')}`;
    const known = this.#wishes.get(key);
    if (known !== undefined) return known;
    const present = this.#layouts.value(must(chain.at(-1), 'a layout'));
    const found = new Set<number>();
    for (let heard = 0; heard < 1 << own.length; heard++) {
      const seen = new Map(this.#nodes.map((id, i): [NodeId, Epoch] => [id, (heard & (1 << i)) === 0 ? 0 : (own[i] as number) + 1]));
      for (const wish of this.#kinds()) {
        const next = wishOf({ nodes: this.#nodes }, present, wish, seen);
        if (next !== null) found.add(this.#layouts.id(this.#counted(present, next, seen)));
      }
    }
    const next = [...found];
    this.#wishes.set(key, next);
    return next;
  }

  #kinds(): readonly Wish[] {
    return ['end', 'abort', ...this.#nodes.map((_, join) => ({ join })), ...this.#nodes.map((_, leave) => ({ leave }))];
  }

  #counted(present: Layout, next: Layout, seen: ReadonlyMap<NodeId, Epoch>): Layout {
    switch (this.#scope.since) {
      case 'moving': return next;
      case 'arc': return sinceOfArc(next, seen);
      case 'stable': return sinceFromStable(present, next, seen);
      case 'ignored': return { ...next, arcs: next.arcs.map((arc) => ({ ...arc, since: new Map<NodeId, Epoch>() })) };
    }
  }

  /** Looks at every adoption that is possible now. */
  violation(packed: string): string | null {
    const { chain, own } = this.#unpack(packed);
    for (let node = 0; node < own.length; node++) {
      const from = own[node] as number;
      for (let to = Math.max(from, 0) + 1; from >= 0 && to < chain.length; to++) {
        const wrong = this.#wrongAdoption(chain.slice(from, to + 1), node);
        if (wrong !== null) return wrong;
      }
    }
    return null;
  }

  /** From the first of these layouts to the last. */
  #wrongAdoption(ids: readonly number[], node: number): string | null {
    return this.#wrong.get(this.#chainIds.id(ids), node, () => {
      const layouts = ids.map((id) => this.#layouts.value(id));
      const self = must(this.#nodes[node], 'a node');
      const [present, next] = [must(layouts[0], 'a layout'), must(layouts.at(-1), 'a layout')];
      const { discards } = adoption(present, next, self);
      for (const position of new Set(layouts.flatMap(({ arcs }) => arcs.map((arc) => arc.end)))) {
        if (!isReplica(next, position, self)) continue;
        const wasAway = layouts.some((layout) => !isReplica(layout, position, self));
        const isDiscarded = discards.some((arc) => isInArc(position, arc.from, arc.to));
        if (wasAway !== isDiscarded) {
          return `${this.#letter(node)} adopts ${layoutLabel(next)} from epoch ${present.epoch} and ${isDiscarded ? 'discards what it held all the time' : 'keeps what it held before it was away'} at ${position}`;
        }
      }
      return null;
    });
  }

  canonical(packed: string): string {
    return packed;
  }

  #unpack(packed: string): SinceState {
    const count = this.#scope.nodes;
    const codes = Array.from({ length: packed.length }, (_, i) => packed.charCodeAt(i));
    return { own: codes.slice(0, count).map((code) => code - 1), chain: codes.slice(count) };
  }

  #letter(node: number): string {
    return 'ABCDEF'.charAt(node);
  }
}

function pack({ chain, own }: SinceState): string {
  return String.fromCharCode(...own.map((at) => at + 1), ...chain);
}

function isReplica(layout: Layout, position: Position, self: NodeId): boolean {
  return replicaSets(layout, position).all.includes(self);
}

function sinceLabel(layout: Layout): string {
  return layout.arcs.map((arc) => `(${arc.end}: ${[...arc.since].map(([id, epoch]) => `${id.charAt(0).toUpperCase()}${epoch}`).join(' ')})`).join(' ');
}
