/**
 * The names of the whole ring in order, in one epoch: merges the streams of as many nodes as make a quorum of every arc.
 * Of each name the highest accepted record among its replicas counts. These are a quorum, so nothing that was acknowledged is
 * missed. Where no quorum holds that record the name is not settled: a write that is under way may still come to nothing,
 * and what is beneath it is then what was there all the time.
 *
 * Nodes that aren't needed for a quorum are never waited for: the slowest, or one that is down, costs nothing.
 * Cost: a step for each node and name, one SHA-256 a name; in memory one reply of each node.
 */
import { compareBallots, type Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import { compareNames } from '../domain/name-order.ts';
import type { ListedEntry } from '../protocol/message.ts';
import { majorityOf, votingSets, type ReplicaSets } from '../register/joint-quorum.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { hasher } from '../ring/hasher.ts';
import { allReplicaSets, memberById, replicaSets } from '../ring/placement.ts';
import { shares } from '../ring/shares.ts';
import { exchangeLayouts } from './layout-exchange.ts';
import type { ListFrom } from './list-cursor.ts';
import { NameStream, type NameSelection } from './name-stream.ts';
import type { OperationContext } from './operation-context.ts';
import { RingQuorum } from './ring-quorum.ts';

export interface RingName {
  readonly name: string;
  /** Its highest accepted record; null: what was given isn't its replicas'. */
  readonly entry: ListedEntry | null;
  /** So it is; otherwise only a read of the name can tell. */
  readonly isSettled: boolean;
}

/** moved-on: there is a newer layout. failed: too few nodes answered. */
export type FillOutcome = { readonly kind: 'filled' } | { readonly kind: 'moved-on' } | { readonly kind: 'failed'; readonly detail: string };

export class RingNames {
  readonly #context: OperationContext;
  readonly #view: ClusterView;
  readonly #quorum: RingQuorum;
  /** Of nodes that are still needed. */
  #streams: readonly NameStream[];

  constructor(context: OperationContext, view: ClusterView, selection: NameSelection, from: ListFrom) {
    this.#context = context;
    this.#view = view;
    this.#quorum = new RingQuorum(view.layout, context.rules);
    this.#streams = [...shares(view.layout)]
      .filter(([, { heldShare }]) => heldShare > 0)
      .map(([nodeId, { heldShare }]) => new NameStream(nodeId, heldShare, selection, from));
  }

  /** Which name is next can't be told before `fill`. */
  get isOpen(): boolean {
    return this.#streams.some((stream) => stream.isOpen);
  }

  /** The next name; null at the end. Not while open. */
  next(): RingName | null {
    let name: string | null = null;
    for (const { head } of this.#streams) {
      if (head !== null && (name === null || compareNames(head.name, name) < 0)) name = head.name;
    }
    if (name === null) return null;
    const { layout } = this.#view;
    const sets = replicaSets(layout, hasher(name, layout.keyBits));
    let highest: ListedEntry | null = null;
    let holders: NodeId[] = [];
    for (const stream of this.#streams) {
      const { head, nodeId } = stream;
      if (head?.name !== name) continue;
      stream.take();
      if (!sets.all.includes(nodeId)) continue;
      const order = highest === null ? 1 : compareBallots(head.accepted, highest.accepted);
      if (order < 0) continue;
      holders = order > 0 ? [nodeId] : [...holders, nodeId];
      highest = head;
    }
    return { name, entry: highest, isSettled: highest === null || this.#isSettled(sets, highest.accepted, holders) };
  }

  /** Goes on behind all names that begin with it. */
  skip(group: string): void {
    for (const stream of this.#streams) stream.skip(group);
  }

  /** Asks who has to be asked for about `wanted` more names; ends as soon as a quorum of every arc can go on. */
  fill(wanted: number, callTimeoutMs: number): Promise<FillOutcome> {
    return new Promise((resolve) => {
      const open = this.#streams.filter((stream) => stream.isOpen);
      const ready = new Set<NodeId>(this.#streams.filter((stream) => !stream.isOpen).map((stream) => stream.nodeId));
      let left = open.length;
      let isOver = false;
      const end = (outcome: FillOutcome): void => {
        isOver = true;
        resolve(outcome);
      };
      const look = (): void => {
        if (isOver) return;
        if (this.#quorum.isMet(ready)) {
          this.#streams = this.#streams.filter((stream) => ready.has(stream.nodeId));
          end({ kind: 'filled' });
        } else if (left === 0) {
          end({ kind: 'failed', detail: this.#missing(ready) });
        }
      };
      look();
      if (isOver) return;
      for (const stream of open) {
        void this.#ask(stream, wanted, callTimeoutMs, () => isOver).then((outcome) => {
          left -= 1;
          if (outcome === 'moved-on' && !isOver) end({ kind: 'moved-on' });
          if (outcome === 'filled') ready.add(stream.nodeId);
          look();
        });
      }
    });
  }

  /**
   * No lower ballot can be chosen any more, and every later round meets this one. What the old replicas held before the move
   * began need not be with the new ones yet: they take it over before they count alone (rule R10).
   */
  #isSettled(sets: ReplicaSets, accepted: Ballot, holders: readonly NodeId[]): boolean {
    const { layout } = this.#view;
    const { old, new: next, isMoving } = votingSets(sets, this.#context.rules);
    return hasMajority(old, holders) && (!isMoving || accepted.epoch < layout.epoch || hasMajority(next, holders));
  }

  async #ask(stream: NameStream, wanted: number, callTimeoutMs: number, isOver: () => boolean): Promise<'filled' | 'moved-on' | 'failed'> {
    const { layout } = this.#view;
    const target = { advertise: memberById(layout, stream.nodeId)?.advertise ?? '', nodeId: stream.nodeId };
    const request = stream.request(layout.epoch, wanted);
    let outcome = await this.#context.caller.call<'list'>(target, request, callTimeoutMs);
    if (outcome.kind === 'reply' && outcome.reply.kind === 'stale-epoch' && !isOver()) {
      const exchanged = await exchangeLayouts(this.#context, layout.epoch, target, outcome.reply);
      if (exchanged !== 'told') return exchanged;
      outcome = await this.#context.caller.call<'list'>(target, request, callTimeoutMs);
    }
    if (isOver() || outcome.kind !== 'reply' || outcome.reply.kind !== 'list-reply' || outcome.reply.epoch !== layout.epoch) return 'failed';
    return stream.fill(outcome.reply) ? 'filled' : 'failed';
  }

  #missing(ready: ReadonlySet<NodeId>): string {
    const { layout } = this.#view;
    const silent = layout.members.filter((member) => !ready.has(member.nodeId)).map((member) => member.name);
    return `${this.#quorum.arcsMissing(ready)} of ${allReplicaSets(layout).length} arcs of the ring have no quorum; no answer from ${silent.slice(0, NAMES_TOLD).join(', ')}`;
  }
}

/** Names in an error: enough to look for the cause. */
const NAMES_TOLD = 5;

function hasMajority(set: readonly NodeId[], holders: readonly NodeId[]): boolean {
  return holders.filter((nodeId) => set.includes(nodeId)).length >= majorityOf(set.length);
}
