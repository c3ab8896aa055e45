/**
 * Membership kernel: a whole ring of Membership machines on one seed, without connections, stores or clients: messages
 * with delay, loss, doubling and cuts, disks that forget what was under way, catch-up answered by an oracle after a while.
 *
 * Checked at each adoption: one layout an epoch (I1), one cluster (I2), an epoch never goes back on a disk. What else should
 * hold (pointers, ends of joins and leaves) is asked by `wrongPointers` and the nodes' outcomes, once all is quiet.
 * Cost: 100 to 200 thousand events a second.
 */
import { assert, assertNever, must } from '../../domain/assert.ts';
import type { ClusterId, NodeId } from '../../domain/ids.ts';
import type { MonotonicMs } from '../../domain/instant.ts';
import type { Layout } from '../../domain/layout.ts';
import type { Membership } from '../../membership/membership.ts';
import type { MembershipEffect } from '../../membership/membership-effect.ts';
import type { MembershipEvent } from '../../membership/membership-event.ts';
import { MEMBERSHIP_TIMES } from '../../membership/membership-options.ts';
import type { PeerReply } from '../../protocol/message.ts';
import { isMovingArc, memberById } from '../../ring/placement.ts';
import { pointers } from '../../ring/pointers.ts';
import type { TokenAllocationOptions } from '../../ring/token-allocation.ts';
import { EventQueue } from '../event-queue.ts';
import { SimRandom, between, chance } from '../sim-random.ts';
import { MembershipKernelNode, type WriteEffect } from './membership-kernel-node.ts';

export interface KernelFaults {
  /** Chance that one message is lost on its way. */
  lossRate: number;
  /** Chance that a request arrives twice. */
  doubleRate: number;
  /** Chance that a message takes up to a second. */
  slowRate: number;
}

export interface MembershipKernelOptions {
  readonly ring: TokenAllocationOptions;
  readonly latencyMs: readonly [number, number];
  readonly writeMs: readonly [number, number];
  readonly catchUpMs: readonly [number, number];
  /** As in MembershipTimes; left out: as nodes have it. */
  readonly outAfterMs?: number | null;
  /** The installation has a record of its ring, and founders ask it first. */
  readonly hasRecord?: boolean;
}

type SendEffect = Extract<MembershipEffect, { kind: 'send' }>;

export class MembershipKernel {
  readonly nodes = new Map<string, MembershipKernelNode>();
  readonly faults: KernelFaults = { lossRate: 0, doubleRate: 0, slowRate: 0 };
  /** Blocked directions, `from>to`. */
  readonly cuts = new Set<string>();
  readonly random: SimRandom;
  readonly #options: MembershipKernelOptions;
  readonly #queue = new EventQueue();
  readonly #layouts = new Map<string, string>();
  readonly clusters = new Set<ClusterId>();
  readonly #replies = new Map<number, (reply: PeerReply) => void>();
  #nextRequestId = 1;
  #nowMs = 0;
  messages = 0;
  /** What the installation's record says: the founder that asked first. */
  recordedFounder: NodeId | null = null;

  constructor(seed: number, options: MembershipKernelOptions) {
    this.random = new SimRandom(`membership-kernel/${seed}`);
    this.#options = options;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  // ------------------------------------------------------------------------------------------------------ control

  node(name: string): MembershipKernelNode {
    const known = this.nodes.get(name);
    if (known !== undefined) return known;
    const node = new MembershipKernelNode(name, this.random.fork(name), this.#options.ring, { ...MEMBERSHIP_TIMES, outAfterMs: this.#options.outAfterMs ?? MEMBERSHIP_TIMES.outAfterMs }, this.#options.hasRecord ?? false);
    this.nodes.set(name, node);
    return node;
  }

  /** Starts the process; the command is what its shell would give it at start. */
  start(name: string, command: MembershipEvent | null): void {
    const node = this.node(name);
    if (node.machine !== null) return;
    node.start(this.#now());
    if (node.disk.layout !== null) this.#catchUp(node, node.disk.layout);
    this.#tick(node, node.life);
    if (command !== null) this.give(name, command);
  }

  give(name: string, event: MembershipEvent): void {
    this.#step(this.node(name), event);
  }

  crash(name: string): void {
    const node = this.node(name);
    if (node.machine === null) return;
    node.crash();
    if (node.disk.layout !== null) this.#check(node.disk.layout);
  }

  wipe(name: string): void {
    this.crash(name);
    this.node(name).wipe();
  }

  cut(a: string, b: string): void {
    this.cuts.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  /** Runs until the time has come or the condition holds; returns whether it holds. */
  run(untilMs: number, condition: () => boolean = () => false): boolean {
    for (;;) {
      if (condition()) return true;
      const next = this.#queue.pop();
      if (next === null) return condition();
      if (next.atMs > untilMs) {
        this.#queue.push(next.atMs, must(next.run, 'the event'));
        this.#nowMs = untilMs;
        return condition();
      }
      this.#nowMs = next.atMs;
      next.run?.();
    }
  }

  at(delayMs: number, run: () => void): void {
    this.#queue.push(this.#nowMs + delayMs, run);
  }

  // ------------------------------------------------------------------------------------------------------ checking

  machine(name: string): Membership {
    return must(this.node(name).machine, `${name}'s process`);
  }

  /** Differences between what each of these members shows and the ring made of exactly them; none when all is right. */
  wrongPointers(names: readonly string[]): readonly string[] {
    const wrong: string[] = [];
    const epochs = new Set<number>();
    const dead = (layout: Layout): ReadonlySet<string> => new Set(layout.members.filter((member) => !names.includes(member.name)).map((member) => member.nodeId));
    for (const name of names) {
      const view = this.node(name).machine?.clusterView() ?? null;
      if (view === null) {
        wrong.push(`${name} has no layout`);
        continue;
      }
      epochs.add(view.layout.epoch);
      const missing = names.filter((other) => !view.layout.members.some((member) => member.name === other && member.nodeId === this.node(other).disk.nodeId));
      if (missing.length > 0) wrong.push(`${name} misses ${missing.join()}`);
      const shown = JSON.stringify(pointers(view.layout, view.self, view.unreachable));
      const right = JSON.stringify(pointers(view.layout, view.self, dead(view.layout) as ReadonlySet<never>));
      if (shown !== right) wrong.push(`${name} has other pointers, unreachable: ${[...view.unreachable].map((id) => memberById(view.layout, id)?.name).join()}`);
    }
    if (epochs.size > 1) wrong.push(`epochs differ: ${[...epochs].join()}`);
    return wrong;
  }

  #check(layout: Layout): void {
    this.clusters.add(layout.clusterId);
    const key = `${layout.clusterId}/${layout.epoch}`;
    const text = JSON.stringify(layout, (_key, value: unknown) => (value instanceof Map ? [...value] : value));
    const known = this.#layouts.get(key);
    assert(known === undefined || known === text, `I1: two layouts of epoch ${key}`);
    this.#layouts.set(key, text);
  }

  // ------------------------------------------------------------------------------------------------------- running

  #now(): MonotonicMs {
    return this.#nowMs as MonotonicMs;
  }

  #tick(node: MembershipKernelNode, life: number): void {
    if (node.life !== life || node.machine === null) return;
    this.#step(node, { kind: 'tick', position: 0 });
    this.at(MEMBERSHIP_TIMES.tickMs, () => { this.#tick(node, life); });
  }

  #step(node: MembershipKernelNode, event: MembershipEvent): void {
    if (node.machine === null) return;
    for (const effect of node.machine.step(event, this.#now())) this.#carryOut(node, effect);
  }

  #carryOut(node: MembershipKernelNode, effect: MembershipEffect): void {
    switch (effect.kind) {
      case 'send': return this.#send(node, effect);
      case 'reply': {
        const reply = this.#replies.get(effect.id);
        this.#replies.delete(effect.id);
        return reply?.(effect.reply);
      }
      case 'adopt':
      case 'save-slot':
      case 'save-founder':
      case 'abandon': return this.#write(node, effect);
      case 'joined':
        node.outcome.joined = true;
        return;
      case 'join-failed':
        node.outcome.joinFailure = effect.detail;
        return;
      case 'left':
        node.outcome.left = true;
        return;
      case 'identity-doubled': throw new Error(`${node.name}: ${effect.detail}`);
      case 'recovered':
        node.outcome.recovery = 'recovered';
        return;
      case 'recover-refused':
        node.outcome.recovery = effect.detail;
        return;
      case 'ask-to-found':
        this.recordedFounder ??= node.disk.nodeId;
        return this.#answer(node, this.recordedFounder === node.disk.nodeId ? { kind: 'founding-permitted' } : { kind: 'founding-refused', detail: `the ring ${this.recordedFounder} is recorded` });
      case 'remember':
      case 'log': return;
      default: assertNever(effect);
    }
  }

  #answer(node: MembershipKernelNode, event: MembershipEvent): void {
    const { life } = node;
    this.at(between(this.random, ...this.#options.latencyMs), () => { if (node.life === life) this.#step(node, event); });
  }

  #write(node: MembershipKernelNode, write: WriteEffect): void {
    const { life } = node;
    node.writes.push(write);
    node.writeDoneAtMs = Math.max(node.writeDoneAtMs, this.#nowMs + between(this.random, ...this.#options.writeMs));
    this.#queue.push(node.writeDoneAtMs, () => {
      if (node.life !== life) return;
      node.writes.shift();
      if (write.kind === 'adopt') {
        assert(write.layout.epoch > (node.disk.layout?.epoch ?? 0), 'I1: the epoch of a disk never goes back');
        this.#check(write.layout);
      }
      node.apply(write);
      this.#step(node, { kind: 'persisted', tag: write.tag });
      if (write.kind === 'adopt' && node.disk.layout === write.layout) this.#catchUp(node, write.layout);
    });
  }

  /** The oracle: each node has caught up its moved arcs after a while. */
  #catchUp(node: MembershipKernelNode, layout: Layout): void {
    const { life } = node;
    const ends = layout.arcs.filter((arc) => isMovingArc(arc) && arc.new.includes(node.disk.nodeId)).map((arc) => arc.end);
    if (ends.length === 0) return;
    this.at(between(this.random, ...this.#options.catchUpMs), () => {
      if (node.life !== life || node.disk.layout !== layout) return;
      node.disk.caught = new Set(ends);
      this.#step(node, { kind: 'caught', epoch: layout.epoch, arcEnds: ends });
    });
  }

  // ------------------------------------------------------------------------------------------------------ messages

  #send(sender: MembershipKernelNode, { tag, target, request, timeoutMs }: SendEffect): void {
    const { life } = sender;
    let isSettled = false;
    const settle = (event: MembershipEvent): void => {
      if (isSettled || sender.life !== life) return;
      isSettled = true;
      this.#step(sender, event);
    };
    this.at(timeoutMs, () => { settle({ kind: 'no-reply', tag, failure: 'no-answer', detail: 'timed out' }); });
    const receiver = this.nodes.get(target.advertise);
    const from = { identity: sender.identity, clusterId: sender.disk.layout?.clusterId ?? null, epoch: sender.disk.layout?.epoch ?? 0 };
    const times = chance(this.random, this.faults.doubleRate) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      this.#carry(sender.name, target.advertise, () => {
        if (receiver === undefined || receiver.machine === null) {
          this.#carry(target.advertise, sender.name, () => { settle({ kind: 'no-reply', tag, failure: 'not-sent', detail: 'connection refused' }); });
          return;
        }
        const cluster = receiver.disk.layout?.clusterId ?? null;
        const isForeign = cluster !== null && from.clusterId !== null && cluster !== from.clusterId;
        if (isForeign || (target.nodeId !== null && target.nodeId !== receiver.disk.nodeId)) {
          this.#carry(target.advertise, sender.name, () => { settle({ kind: 'no-reply', tag, failure: 'wrong-node', detail: 'somebody else lives there' }); });
          return;
        }
        this.#step(receiver, { kind: 'peer-seen', peer: from.identity, clusterId: from.clusterId, epoch: from.epoch });
        const id = this.#nextRequestId++;
        this.#replies.set(id, (reply) => {
          const seen: MembershipEvent = { kind: 'peer-seen', peer: receiver.identity, clusterId: receiver.disk.layout?.clusterId ?? null, epoch: receiver.disk.layout?.epoch ?? 0 };
          this.#carry(receiver.name, sender.name, () => {
            if (sender.life === life) this.#step(sender, seen);
            settle({ kind: 'reply', tag, from: seen.peer.nodeId, reply });
          });
        });
        this.#step(receiver, { kind: 'request', id, from: from.identity, epoch: from.epoch, request });
      });
    }
  }

  #carry(from: string, to: string, arrive: () => void): void {
    this.messages += 1;
    if (from !== to && (this.cuts.has(`${from}>${to}`) || chance(this.random, this.faults.lossRate))) return;
    const delayMs = chance(this.random, this.faults.slowRate) ? between(this.random, 0, 1000) : between(this.random, ...this.#options.latencyMs);
    this.at(from === to ? 0 : delayMs, arrive);
  }
}
