/**
 * Layouts in the register kernel: an oracle that decides them one after the other (the layout chain has a simulation of
 * its own), and the catch-up by which the members of a new set earn their vote.
 */
import { compareBallots, maxBallot, ZERO_BALLOT } from '../../domain/ballot.ts';
import type { NodeId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import { majorityOf, replicasOf } from '../../register/joint-quorum.ts';
import { bodyIdOf, type AcceptedValue } from '../../register/read-decision.ts';
import { decideCatchUp } from '../../register/take.ts';
import type { KernelArc, KernelLayout } from './kernel-disk.ts';
import { KernelCoordinator } from './kernel-coordinator.ts';
import type { Held, KernelReplica, Stale } from './kernel-replica.ts';
import type { KernelNode, KernelWorld } from './kernel-world.ts';

export const REPLICAS = 3;

export class KernelSteward {
  readonly #world: KernelWorld;
  readonly #rules: Rules;
  readonly #replicaOf: (node: KernelNode) => KernelReplica;
  readonly #catching = new Set<string>();
  newest: KernelLayout;
  #decidedAt = 0;

  constructor(world: KernelWorld, rules: Rules, founding: KernelLayout, replicaOf: (node: KernelNode) => KernelReplica) {
    this.#world = world;
    this.#rules = rules;
    this.#replicaOf = replicaOf;
    this.newest = founding;
  }

  /** No set in force names a node that lost its disk: only then may another lose its own. */
  get isWhole(): boolean {
    for (const arc of this.newest.arcs.values()) {
      for (const id of arc.old) if (this.#world.byId(id) === undefined) return false;
      if (!arc.isMoving) continue;
      for (const id of arc.new) if (this.#world.byId(id) === undefined) return false;
    }
    return true;
  }

  tick(isMoveWanted: boolean): void {
    const { newest } = this;
    if (!newest.isMoving) {
      if (isMoveWanted || !this.isWhole) this.#startMove();
    } else if (this.#isCaughtUp()) {
      this.#decide(false, (arc) => ({ old: arc.new, new: arc.new }));
    } else if (this.#world.now - this.#decidedAt > 1500 && [...newest.arcs.values()].every((arc) => arc.old.every((id) => this.#world.byId(id) !== undefined))) {
      this.#decide(false, (arc) => ({ old: arc.old, new: arc.old }));
    }
    for (const node of this.#world.nodes) if (node.isUp) this.#catchUp(node);
  }

  #startMove(): void {
    const { random, nodes } = this.#world;
    this.#world.counts.moves++;
    this.#decide(true, (arc) => {
      const kept = arc.old.filter((id) => this.#world.byId(id) !== undefined);
      const leavers = kept.length === REPLICAS && random.chance(0.6) ? random.below(3) : 0;
      for (let i = 0; i < leavers; i++) kept.splice(random.below(kept.length), 1);
      while (kept.length < REPLICAS) {
        const { id } = random.pick(nodes);
        if (!kept.includes(id)) kept.push(id);
      }
      return { old: arc.old, new: kept };
    });
  }

  /** The next layout, with `since` by A.4 (10): left out once the member has persisted an epoch that high. */
  #decide(isMoving: boolean, setsOf: (arc: KernelArc) => { old: readonly NodeId[]; new: readonly NodeId[] }): void {
    const { newest } = this;
    const epoch = newest.epoch + 1;
    const arcs = new Map<string, KernelArc>();
    for (const [key, arc] of newest.arcs) {
      const sets = { ...setsOf(arc), isMoving };
      const since = new Map<NodeId, number>();
      const before = replicasOf(arc);
      for (const id of isMoving ? replicasOf(sets) : sets.old) {
        const first = before.includes(id) ? (arc.since.get(id) ?? 0) : epoch;
        const seen = this.#world.byId(id)?.disk.durable.layout.epoch ?? 0;
        if (first > seen) since.set(id, first);
      }
      arcs.set(key, { ...sets, since });
    }
    this.newest = { epoch, isMoving, arcs };
    this.#decidedAt = this.#world.now;
    for (const node of this.#world.nodes) this.announce(node);
  }

  announce(node: KernelNode): void {
    const { newest } = this;
    this.#world.send(this.#world.random.pick(this.#world.nodes), node, () => { this.#replicaOf(node).adopt(newest); });
  }

  #isCaughtUp(): boolean {
    const { newest } = this;
    return [...newest.arcs].every(([key, arc]) => {
      const caught = arc.new.filter((id) => {
        const durable = this.#world.byId(id)?.disk.durable;
        if (durable?.layout.epoch !== newest.epoch) return false;
        return durable.caught.has(key) || (!this.#rules.retainedCatchUp && arc.old.includes(id));
      });
      return caught.length >= majorityOf(arc.new.length);
    });
  }

  #catchUp(node: KernelNode): void {
    const { layout, caught } = node.disk.live;
    if (!layout.isMoving) return;
    for (const [key, arc] of layout.arcs) {
      const isRetained = arc.old.includes(node.id);
      if (!arc.new.includes(node.id) || caught.has(key) || (isRetained && !this.#rules.retainedCatchUp)) continue;
      const session = `${node.index}/${node.boot}/${layout.epoch}/${key}`;
      if (this.#catching.has(session)) continue;
      this.#catching.add(session);
      this.#catchUpKey(node, key, layout, () => { this.#catching.delete(session); });
    }
  }

  /** Highest record, promise and floor of a majority of the old set, all in this epoch (rule R11). */
  #catchUpKey(node: KernelNode, key: string, layout: KernelLayout, end: () => void): void {
    const world = this.#world;
    const arc = layout.arcs.get(key);
    if (arc === undefined) return;
    const coordinator = new KernelCoordinator(world, node, this.#rules, this.#replicaOf);
    const answers: { readonly id: NodeId; readonly held: Held }[] = [];
    let open = arc.old.length;
    let isMerged = false;
    for (const id of arc.old) {
      coordinator.call<Stale | Held>(id, (replica, reply) => { replica.read(layout.epoch, key, reply); }, (answer) => {
        open--;
        if (answer?.kind === 'held') answers.push({ id, held: answer });
        if (isMerged) return;
        if (answers.length >= majorityOf(arc.old.length)) {
          isMerged = true;
          this.#merge(node, key, layout, coordinator, answers, end);
        } else if (open === 0) end();
      });
    }
  }

  #merge(node: KernelNode, key: string, layout: KernelLayout, coordinator: KernelCoordinator, answers: readonly { readonly id: NodeId; readonly held: Held }[], end: () => void): void {
    let floor = ZERO_BALLOT;
    let promised = ZERO_BALLOT;
    let highest: AcceptedValue | null = null;
    for (const { held } of answers) {
      floor = maxBallot(floor, held.floor);
      promised = maxBallot(promised, held.promised);
      if (held.value !== null && compareBallots(held.value.ballot, highest?.ballot ?? ZERO_BALLOT) > 0) highest = held.value;
    }
    const value = highest;
    const bodyId = bodyIdOf(value?.record);
    const take = (): void => {
      const { live } = node.disk;
      if (live.layout.epoch !== layout.epoch && this.#rules.takeObeysPromise) {
        end();
        return;
      }
      const decision = decideCatchUp(live.acceptor(key), { promised, accepted: value?.ballot ?? ZERO_BALLOT }, layout.epoch, this.#rules);
      if (decision.kind === 'choose-again') {
        coordinator.write(key, { kind: 'identity' }, end);
        return;
      }
      if (decision.kind === 'take' && this.#rules.takeObeysPromise && bodyId !== null && !live.bodies.has(bodyId)) {
        const holders = answers.filter((a) => bodyIdOf(a.held.value?.record) === bodyId).map((a) => a.id);
        this.#replicaOf(node).fetchBody(bodyId, holders, (isFetched) => {
          if (isFetched) take();
          else end();
        });
        return;
      }
      if (decision.kind === 'promise') this.#world.write(node, (state) => { state.promise(key, decision.ballot); }, () => undefined);
      if (decision.kind === 'take' && value !== null) this.#world.write(node, (state) => { state.accept(key, value.ballot, value.record); }, () => undefined);
      this.#world.write(node, (state) => {
        state.raiseFloor(key, floor);
        state.caught.add(key);
      }, end);
    };
    take();
  }
}
