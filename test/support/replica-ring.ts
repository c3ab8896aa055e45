import { BODY_LIMITS, type BodyLimits } from '../../src/domain/body-limits.ts';
import type { Ballot } from '../../src/domain/ballot.ts';
import type { ClusterId, NodeId } from '../../src/domain/ids.ts';
import type { MonotonicMs, WallMs } from '../../src/domain/instant.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { PeerTarget } from '../../src/domain/peer-identity.ts';
import type { Position } from '../../src/domain/ring-position.ts';
import { ALL_RULES, type Rules } from '../../src/domain/rules.ts';
import type { CallOutcome, PeerCaller } from '../../src/peer/peer-caller.ts';
import type { Clock, Timer } from '../../src/ports/clock.ts';
import type { PeerReply, PeerRequest, ReplyOf, RequestKind, RequestOf } from '../../src/protocol/message.ts';
import { BodyStaging } from '../../src/replication/body-staging.ts';
import { Coordinator, type CoordinatorOptions } from '../../src/replication/coordinator.ts';
import type { RepairNotes } from '../../src/replication/operation-context.ts';
import { Replica } from '../../src/replication/replica.ts';
import { NO_STRAIN } from '../../src/ring/cluster-view.ts';
import type { ClusterView, ViewSource } from '../../src/ring/cluster-view.ts';
import { BodyPull } from '../../src/transfer/body-pull.ts';
import { Pauses } from '../../src/transfer/pauses.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { StoreOperations } from '../../src/storage/store-operations.ts';
import { SimRandom } from '../../src/sim/sim-random.ts';
import { MemoryRegisterStore } from './memory-register-store.ts';
import { nodeId } from './register-replica.ts';

/** Time that a test moves by hand. */
export class ManualClock implements Clock {
  nowMs = 0;
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  monotonicNow(): MonotonicMs {
    return this.nowMs as MonotonicMs;
  }

  wallNow(): WallMs {
    return (1_800_000_000_000 + this.nowMs) as WallMs;
  }

  after(delayMs: number, fn: () => void): Timer {
    const timer = { at: this.nowMs + delayMs, fn };
    this.#timers.push(timer);
    return { cancel: () => { this.#timers = this.#timers.filter((other) => other !== timer); } };
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  /** Jumps to the next timer and runs it. */
  step(): void {
    const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined) throw new Error('nothing left to wait for');
    this.#timers = this.#timers.filter((other) => other !== next);
    this.nowMs = Math.max(this.nowMs, next.at);
    next.fn();
  }

  /** The value of the promise, moving time as far as it takes. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    const watched = promise.finally(() => { isDone = true; });
    watched.catch(() => undefined);
    for (;;) {
      await drained();
      if (isDone) return watched;
      this.step();
    }
  }
}

/** Lets all microtasks run out. */
export function drained(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}

/** One arc, the whole ring: `old` and `next` are its replica sets. */
export function layoutOf(epoch: number, members: readonly NodeId[], old: readonly NodeId[], next: readonly NodeId[] = old): Layout {
  return {
    clusterId: 'f'.repeat(32) as ClusterId, epoch, keyBits: 48, replicas: 3, tokensPerNode: 1, candidatesPerToken: 1,
    members: members.map((id, i) => ({ nodeId: id, name: `node:${i}`, advertise: `node:${i}`, tokens: [i as Position], zone: '', weight: 1, state: 'member' })),
    voters: members.slice(0, 1), phase: old === next ? 'stable' : 'moving', arcs: [{ end: 0 as Position, old, new: next, since: new Map() }], recoveries: [],
  };
}

export class FakeViews implements ViewSource {
  view: ClusterView;
  closed: Promise<void> | null = null;

  constructor(self: NodeId, layout: Layout) {
    this.view = { self, layout, unreachable: new Set(), strain: NO_STRAIN };
  }

  current(): ClusterView {
    return this.view;
  }

  gate(): Promise<void> | null {
    return this.closed;
  }

  adopt(layout: Layout): Promise<void> {
    if (layout.epoch > this.view.layout.epoch) this.view = { ...this.view, layout };
    return Promise.resolve();
  }
}

/** What happens to a call before it arrives; undefined: nothing special. */
export type Interference = (from: NodeId, to: NodeId, request: PeerRequest) => 'lose-request' | 'lose-reply' | 'hang' | 'late' | PeerReply | undefined;

export const OPTIONS: CoordinatorOptions = {
  operationDeadlineMs: 30_000, callTimeoutMs: 2_000, backOffMinMs: 5, backOffMaxMs: 500, retries: { share: 0.1, perSecond: 100, burst: 100, waitMsMax: 2_000 }, readGraceMs: 20, operationsMax: 100, keyWaitingMax: 4, listingsMax: 4,
  resolver: { pendingMax: 10, delayMinMs: 1_000, delayMaxMs: 30_000 },
  unreachableDeadlineMs: 10_000, fanOutsMax: 2, fanOutBytesMax: 1 << 30, readAheadBytesMax: 1 << 20, senderGiveUpMs: 3_000, senderRetryMs: 100,
  bodies: BODY_LIMITS, streams: streamsOf(BODY_LIMITS),
};

export function streamsOf({ chunkBytes, progressMs }: BodyLimits): CoordinatorOptions['streams'] {
  return { chunkBytes, fetchBytes: 2 * chunkBytes, aheadBytes: 4 * chunkBytes, callTimeoutMs: 2_000, progressMs };
}

export interface RingNode {
  readonly id: NodeId;
  readonly store: MemoryRegisterStore;
  readonly views: FakeViews;
  readonly replica: Replica;
  readonly staging: BodyStaging;
  readonly pulls: BodyPull;
  readonly pauses: Pauses;
  /** Names left to the repair queue. */
  readonly lacking: string[];
  readonly coordinator: Coordinator;
}

/** Real replicas and coordinators of nodes a, b, c, ... over a network of function calls. */
export class ReplicaRing {
  readonly clock = new ManualClock();
  readonly nodes: readonly RingNode[];
  readonly calls: { readonly from: NodeId; readonly to: NodeId; readonly request: PeerRequest }[] = [];
  /** What coordinators told repair. */
  readonly missed: { readonly seenBy: NodeId; readonly missedBy: NodeId; readonly name: string; readonly accepted: Ballot; readonly cause: string }[] = [];
  interfere: Interference = () => undefined;
  /** Turns of the microtask queue by which replies are late that an interference makes so. */
  turnsLate = 0;
  /** Operations of which a round began again. */
  readonly retried: string[] = [];
  /** How clients' writes ended, in order. */
  readonly writes: string[] = [];
  /** By all pulls of large bodies. */
  pulledBytes = 0;

  constructor(nodeCount: number, layout: (ids: readonly NodeId[]) => Layout, rules: Rules = ALL_RULES, bodies: BodyLimits = BODY_LIMITS) {
    const ids = Array.from({ length: nodeCount }, (_, i) => nodeId('abcdef'.charAt(i)));
    this.nodes = ids.map((id) => {
      const store = new MemoryRegisterStore();
      const views = new FakeViews(id, layout(ids));
      const caller = this.#caller(id);
      const pauses = new Pauses(this.clock);
      const lacking: string[] = [];
      const streams = streamsOf(bodies);
      const pulls = new BodyPull({ caller, store, views, pauses, onBytes: (bytes) => { this.pulledBytes += bytes; }, pace: () => Promise.resolve() }, { ...streams, pullsMax: 2, waitingMax: 10 });
      const staging = new BodyStaging({ store, views, pauses }, {
        chunkBytes: bodies.chunkBytes, sessionsMax: 4, progressMs: bodies.progressMs, wantedSilenceMs: 2_000,
      });
      const replica = new Replica({ store, views, caller, rules, pauses, staging, pulls, operations: new StoreOperations(SIM_METER, this.clock), onLacking: (name) => { lacking.push(name); } }, {
        inlineBytesMax: bodies.inlineBytesMax, bodyFetchTimeoutMs: 500, bodyGraceMs: 20, lateBodies: { tasksMax: 4, waitMs: 1_000 },
      });
      const repair: RepairNotes = {
        missed: (missedBy, name, accepted, cause) => { this.missed.push({ seenBy: id, missedBy, name, accepted, cause }); },
        readRepaired: () => undefined,
      };
      const coordinator = new Coordinator({ caller, views, clock: this.clock, random: new SimRandom(id), rules, repair, onRetry: (op) => { this.retried.push(op); }, onWrite: (result) => { this.writes.push(result); } }, { ...OPTIONS, bodies, streams });
      return { id, store, views, replica, staging, pulls, pauses, lacking, coordinator };
    });
  }

  node(index: number): RingNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no node ${index}`);
    return node;
  }

  /** Kinds of the requests sent since, in order of sending. */
  sent(kind: RequestKind): number {
    return this.calls.filter((call) => call.request.kind === kind).length;
  }

  #caller(from: NodeId): PeerCaller {
    const call = async <K extends RequestKind>(target: PeerTarget, request: RequestOf<K> & { readonly kind: K }, timeoutMs: number): Promise<CallOutcome<K>> => {
      const to = this.nodes.find((node) => node.id === target.nodeId);
      if (to === undefined) return { kind: 'not-sent', detail: 'nobody there' };
      this.calls.push({ from, to: to.id, request });
      const fate = this.interfere(from, to.id, request);
      if (fate === 'lose-request') return { kind: 'not-sent', detail: 'cut' };
      if (fate === 'hang') return new Promise((resolve) => { this.clock.after(timeoutMs, () => { resolve({ kind: 'no-answer', detail: 'timeout' }); }); });
      const reply = typeof fate === 'object' ? fate : await dispatch(to, request);
      if (fate === 'late') for (let turn = 0; turn < this.turnsLate; turn++) await Promise.resolve();
      if (fate === 'lose-reply') return { kind: 'no-answer', detail: 'cut' };
      return { kind: 'reply', from: to.id, reply: reply as ReplyOf<K> };
    };
    return { call };
  }
}

async function dispatch(node: RingNode, request: PeerRequest): Promise<PeerReply> {
  switch (request.kind) {
    case 'prepare': return node.replica.prepare(request, 2_000);
    case 'accept': return node.replica.accept(request, 2_000);
    case 'read': return node.replica.read(request, 2_000);
    case 'body-fetch': return node.replica.bodyFetch(request);
    case 'inspect': return node.replica.inspect(request, 2_000);
    case 'stage': return node.staging.stage(request);
    case 'stage-end': return node.staging.stageEnd(request);
    case 'stage-abort': return node.staging.stageAbort(request);
    case 'layout-announce':
      await node.views.adopt(request.layout);
      return { kind: 'layout-reply', layout: node.views.view.layout };
    default: return { kind: 'fault', code: 'DHT_ERR_PEER_PROTOCOL', detail: request.kind };
  }
}
