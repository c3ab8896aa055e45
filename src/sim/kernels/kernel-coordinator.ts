/**
 * Coordinator side of the register kernel: drives the state machines of register/ over the kernel's network, with the
 * retries, back-offs and adoptions of a real coordinator.
 */
import { ZERO_BALLOT, type Ballot } from '../../domain/ballot.ts';
import type { BodyId, NodeId } from '../../domain/ids.ts';
import type { Rules } from '../../domain/rules.ts';
import { replicasOf } from '../../register/joint-quorum.ts';
import type { WriteIntent } from '../../register/proposal.ts';
import { bodyIdOf, ReadTally, type AcceptedValue } from '../../register/read-decision.ts';
import { WriteOperation, type WriteResult, type WriteStep } from '../../register/write-operation.ts';
import type { Accepted, Held, KernelReplica, Stale } from './kernel-replica.ts';
import type { KernelNode, KernelWorld } from './kernel-world.ts';

export const DEADLINE = 700;
const CALL_TIMEOUT = 90;
const NONE: ReadonlySet<NodeId> = new Set();

/** gone: the time is up; `isProposed` tells whether that means unknown or not applied. */
export type KernelWriteResult = WriteResult | { readonly kind: 'gone'; readonly isProposed: boolean };

export class KernelCoordinator {
  readonly #world: KernelWorld;
  readonly #node: KernelNode;
  readonly #boot: number;
  readonly #rules: Rules;
  readonly #replicaOf: (node: KernelNode) => KernelReplica;

  constructor(world: KernelWorld, node: KernelNode, rules: Rules, replicaOf: (node: KernelNode) => KernelReplica) {
    this.#world = world;
    this.#node = node;
    this.#boot = node.boot;
    this.#rules = rules;
    this.#replicaOf = replicaOf;
  }

  get #isAlive(): boolean {
    return this.#node.isUp && this.#node.boot === this.#boot;
  }

  /** One call with at most one outcome: the reply, or null. */
  call<Reply>(to: NodeId, ask: (replica: KernelReplica, reply: (answer: Reply) => void) => void, done: (answer: Reply | null) => void): void {
    const world = this.#world;
    let isDone = false;
    const finish = (answer: Reply | null): void => {
      if (isDone || !this.#isAlive) return;
      isDone = true;
      done(answer);
    };
    const target = world.byId(to);
    if (target !== undefined) {
      world.send(this.#node, target, () => {
        if (target.id !== to) return;
        ask(this.#replicaOf(target), (answer) => {
          world.send(target, this.#node, () => { finish(answer); });
        });
      });
    }
    world.after(CALL_TIMEOUT, () => { finish(null); });
  }

  write(key: string, intent: WriteIntent, done: (result: KernelWriteResult) => void): void {
    const world = this.#world;
    const operation = new WriteOperation(intent, this.#rules);
    const deadline = world.now + DEADLINE;
    const staged = intent.kind === 'put' ? intent.body.bodyId : null;
    let round = 0;
    let isDone = false;

    const finish = (result: KernelWriteResult): void => {
      if (isDone) return;
      isDone = true;
      done(result);
    };
    const begin = (refused: Ballot): void => {
      if (isDone || !this.#isAlive) return;
      const { layout } = this.#node.disk.live;
      const sets = layout.arcs.get(key);
      if (world.now >= deadline) {
        finish({ kind: 'gone', isProposed: operation.hasProposed });
        return;
      }
      if (sets === undefined) {
        world.after(20, () => { begin(refused); });
        return;
      }
      const mine = ++round;
      const ballot = { epoch: layout.epoch, hlc: this.#node.clock.next(Math.max(1, 1000 + world.now + this.#node.skew), refused.hlc), nodeId: this.#node.id };
      const nodes = replicasOf(sets);
      operation.begin(ballot, sets, NONE);
      const take = (step: WriteStep): void => {
        switch (step.kind) {
          case 'wait':
            return;
          case 'retry':
            world.after(5 + world.random.below(60), () => { begin(step.refused); });
            return;
          case 'finished':
            finish(step.result);
            return;
          case 'accept':
            for (const id of nodes) {
              this.call<Stale | Accepted>(id, (replica, reply) => { replica.accept(layout.epoch, key, ballot, step.record, step.holders, reply); }, (answer) => {
                if (mine !== round) return;
                if (answer?.kind === 'accepted') take(operation.onAcceptReply(id, answer.state, answer.promised));
                else {
                  this.#exchangeLayouts(id, answer);
                  take(operation.onAcceptFailure(id));
                }
              });
            }
        }
      };
      for (const id of nodes) {
        this.call<Parameters<Parameters<KernelReplica['prepare']>[4]>[0]>(id, (replica, reply) => { replica.prepare(layout.epoch, key, ballot, staged, reply); }, (answer) => {
          if (mine !== round) return;
          if (answer?.kind === 'promise') take(operation.onPrepareReply(id, answer));
          else {
            this.#exchangeLayouts(id, answer);
            take(operation.onPrepareFailure(id));
          }
        });
      }
    };
    begin(ZERO_BALLOT);
  }

  /** Whoever has the older layout gets the newer one. */
  #exchangeLayouts(id: NodeId, answer: Stale | null): void {
    if (answer === null) return;
    const { layout } = this.#node.disk.live;
    this.#replicaOf(this.#node).adopt(answer.layout);
    const target = this.#world.byId(id);
    if (answer.layout.epoch < layout.epoch && target !== undefined) {
      this.#world.send(this.#node, target, () => { this.#replicaOf(target).adopt(layout); });
    }
  }

  /** Calls back with the chosen value, or undefined when the time is up. */
  read(key: string, done: (value: AcceptedValue | null | undefined) => void): void {
    const world = this.#world;
    const deadline = world.now + DEADLINE;
    const attempt = (): void => {
      if (!this.#isAlive) return;
      const { layout } = this.#node.disk.live;
      const sets = layout.arcs.get(key);
      if (world.now >= deadline) {
        done(undefined);
        return;
      }
      let isOpen = true;
      const again = (): void => { world.after(5 + world.random.below(30), attempt); };
      if (sets === undefined) {
        again();
        return;
      }
      const tally = new ReadTally(sets, this.#rules);
      const settle = (): void => {
        const { decision } = tally;
        if (!isOpen || decision === 'wait') return;
        isOpen = false;
        if (decision === 'settled') this.#withBody(tally.highest, tally.holders, done, again);
        else if (decision === 'impossible') again();
        else this.write(key, { kind: 'identity' }, (result) => {
          if (result.kind === 'unchanged') this.#withBody(result.current, replicasOf(sets), done, again);
          else again();
        });
      };
      for (const id of replicasOf(sets)) {
        this.call<Stale | Held>(id, (replica, reply) => { replica.read(layout.epoch, key, reply); }, (answer) => {
          if (answer?.kind === 'held') tally.add(id, answer.value);
          else {
            this.#exchangeLayouts(id, answer);
            tally.fail(id);
          }
          settle();
        });
      }
    };
    attempt();
  }

  /** The body from any holder; none has it any more: read the record again. */
  #withBody(value: AcceptedValue | null, holders: readonly NodeId[], done: (value: AcceptedValue | null) => void, again: () => void): void {
    const bodyId: BodyId | null = bodyIdOf(value?.record);
    if (bodyId === null) {
      done(value);
      return;
    }
    let open = holders.length;
    let isFound = false;
    for (const id of holders) {
      this.call<boolean>(id, (replica, reply) => { reply(replica.holds(bodyId)); }, (isHeld) => {
        open--;
        if (isFound) return;
        if (isHeld === true) {
          isFound = true;
          done(value);
        } else if (open === 0) again();
      });
    }
  }
}
