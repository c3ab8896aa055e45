/**
 * Replica side of the register kernel: fence, decide and change in one step, reply after the sync. The decisions are those
 * of register/; only the waiting is modelled here.
 */
import { ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { BodyId, Epoch, NodeId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import type { ObjectRecord } from '../../domain/stored-object.ts';
import { ballotToOutbid, decideAccept, decidePrepare } from '../../register/acceptor.ts';
import { decideErase } from '../../register/erasure.ts';
import { replicasOf } from '../../register/joint-quorum.ts';
import { bodyIdOf, type AcceptedValue } from '../../register/read-decision.ts';
import type { PromiseReport } from '../../register/write-operation.ts';
import type { KernelLayout } from './kernel-disk.ts';
import type { KernelNode, KernelWorld } from './kernel-world.ts';

export interface Stale {
  readonly kind: 'stale';
  readonly layout: KernelLayout;
}
export interface Accepted {
  readonly kind: 'accepted';
  readonly state: 'accepted' | 'refused' | 'body-missing';
  readonly promised: Ballot;
}
export interface Held {
  readonly kind: 'held';
  readonly promised: Ballot;
  readonly value: AcceptedValue | null;
  readonly floor: Ballot;
}

export class KernelReplica {
  readonly #world: KernelWorld;
  readonly #node: KernelNode;
  readonly #rules: Rules;

  constructor(world: KernelWorld, node: KernelNode, rules: Rules) {
    this.#world = world;
    this.#node = node;
    this.#rules = rules;
  }

  /** Takes over a newer layout; discards where this node was away (A.4 (10)), with the layout in one change. */
  adopt(layout: KernelLayout): void {
    const { live } = this.#node.disk;
    if (layout.epoch <= live.layout.epoch) return;
    const discards: string[] = [];
    for (const [key, arc] of layout.arcs) {
      const isActive = replicasOf(arc).includes(this.#node.id);
      if (isActive && this.#rules.sinceDiscard && (arc.since.get(this.#node.id) ?? 0) > live.layout.epoch) discards.push(key);
    }
    this.#world.write(this.#node, (state) => { state.adopt(layout, discards); }, () => undefined);
  }

  #fence(epoch: Epoch, key: string): Stale | null {
    const { layout } = this.#node.disk.live;
    if (!this.#rules.epochFence) return null;
    const arc = layout.arcs.get(key);
    const isReplica = arc !== undefined && replicasOf(arc).includes(this.#node.id);
    return epoch === layout.epoch && isReplica ? null : { kind: 'stale', layout };
  }

  #value(key: string): AcceptedValue | null {
    const record = this.#node.disk.live.record(key);
    return record === null ? null : { ballot: this.#node.disk.live.acceptor(key).accepted, record };
  }

  prepare(epoch: Epoch, key: string, ballot: Ballot, staged: BodyId | null, reply: (answer: Stale | ({ kind: 'promise' } & PromiseReport)) => void): void {
    const stale = this.#fence(epoch, key);
    if (stale !== null) {
      this.#world.write(this.#node, null, () => { reply(stale); });
      return;
    }
    const { live } = this.#node.disk;
    const isPromised = decidePrepare(live.acceptor(key), ballot, this.#rules) === 'promise';
    this.#world.write(this.#node, (state) => {
      if (isPromised) state.promise(key, ballot);
      if (staged !== null) state.bodies.add(staged);
    }, () => undefined);
    const { promised, floor } = live.acceptor(key);
    const report = { kind: 'promise', state: isPromised ? 'promised' : 'refused', promised, accepted: this.#value(key), floor, isStaged: staged !== null } as const;
    this.#world.write(this.#node, null, () => { reply(report); });
  }

  accept(epoch: Epoch, key: string, ballot: Ballot, record: ObjectRecord, holders: readonly NodeId[], reply: (answer: Stale | Accepted) => void): void {
    const stale = this.#fence(epoch, key);
    if (stale !== null) {
      this.#world.write(this.#node, null, () => { reply(stale); });
      return;
    }
    const { live } = this.#node.disk;
    const bodyId = bodyIdOf(record);
    const isHeld = bodyId === null || !this.#rules.acceptNeedsBody || live.bodies.has(bodyId);
    const decision = decideAccept(live.acceptor(key), ballot, isHeld, this.#rules);
    if (decision === 'fetch-body' && bodyId !== null) {
      this.fetchBody(bodyId, holders, (isFetched) => {
        if (isFetched) this.accept(epoch, key, ballot, record, holders, reply);
        else reply({ kind: 'accepted', state: 'body-missing', promised: this.#node.disk.live.acceptor(key).promised });
      });
      return;
    }
    if (decision === 'accept') this.#world.write(this.#node, (state) => { state.accept(key, ballot, record); }, () => undefined);
    const answer = { kind: 'accepted', state: decision === 'refuse' ? 'refused' : 'accepted', promised: ballotToOutbid(live.acceptor(key)) } as const;
    this.#world.write(this.#node, null, () => { reply(answer); });
  }

  /** Also a page of catch-up: the state of one key, durable. */
  read(epoch: Epoch, key: string, reply: (answer: Stale | Held) => void): void {
    const { promised, floor } = this.#node.disk.live.acceptor(key);
    const answer = this.#fence(epoch, key) ?? ({ kind: 'held', promised, value: this.#value(key), floor } as const);
    this.#world.write(this.#node, null, () => { reply(answer); });
  }

  /** Erases the tombstone, when it still is all there is, and raises the floor in the same step (rule R13). */
  erase(epoch: Epoch, key: string, ballot: Ballot): void {
    const { live } = this.#node.disk;
    if (this.#fence(epoch, key) !== null || (this.#rules.eraseChecksAgain && decideErase(live.acceptor(key), ballot) === 'keep')) return;
    this.#world.counts.erasures++;
    this.#world.write(this.#node, (state) => { state.erase(key, this.#rules.eraseRaisesFloor ? ballot : ZERO_BALLOT); }, () => undefined);
  }

  holds(bodyId: BodyId): boolean {
    return this.#node.disk.live.bodies.has(bodyId);
  }

  /** Asks the holders one after the other, each for a bounded time. */
  fetchBody(bodyId: BodyId, holders: readonly NodeId[], done: (isFetched: boolean) => void): void {
    const world = this.#world;
    const node = this.#node;
    const { boot } = node;
    world.counts.bodyFetches++;
    const ask = (index: number): void => {
      if (!node.isUp || node.boot !== boot) return;
      const id = holders[index];
      if (id === undefined) {
        done(false);
        return;
      }
      let isAnswered = false;
      const next = (isHeld: boolean): void => {
        if (isAnswered || !node.isUp || node.boot !== boot) return;
        isAnswered = true;
        if (isHeld) world.write(node, (state) => { state.bodies.add(bodyId); }, () => { done(true); });
        else ask(index + 1);
      };
      const holder = world.byId(id);
      if (holder !== undefined) {
        world.send(node, holder, () => {
          const isHeld = holder.disk.live.bodies.has(bodyId);
          world.send(holder, node, () => { next(isHeld); });
        });
      }
      world.after(60, () => { next(false); });
    };
    ask(0);
  }
}
