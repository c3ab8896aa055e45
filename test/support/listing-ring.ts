import { RetryBudget } from '../../src/replication/retry-budget.ts';
import type { Ballot } from '../../src/domain/ballot.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import { plusMs } from '../../src/domain/instant.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { GetOutcome, ListOutcome, ListRequest } from '../../src/domain/object-operation.ts';
import type { LiveRecord } from '../../src/domain/stored-object.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { CallOutcome, PeerCaller } from '../../src/peer/peer-caller.ts';
import type { ListRequest as ListMessage, PeerReply, RequestKind } from '../../src/protocol/message.ts';
import { HybridClock } from '../../src/register/hybrid-clock.ts';
import { listNames } from '../../src/replication/list-run.ts';
import { ListSource, type ListSourceOptions } from '../../src/replication/list-source.ts';
import type { OperationContext } from '../../src/replication/operation-context.ts';
import { OperationTimers } from '../../src/replication/operation-timers.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import { AheadBudget } from '../../src/transfer/body-stream.ts';
import { Pauses } from '../../src/transfer/pauses.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { StoreOperations } from '../../src/storage/store-operations.ts';
import { SimRandom } from '../../src/sim/sim-random.ts';
import type { NamedEntry } from '../../src/storage/register-store.ts';
import { live } from './register-replica.ts';
import { FakeViews, ManualClock, OPTIONS } from './replica-ring.ts';

/** What a linearizable read finds: an object of this version. */
export const found = (version: Ballot): GetOutcome => ({
  kind: 'found', record: live(version) as LiveRecord, body: null, open: () => { throw new Error('nobody reads it'); }, isStalePossible: false,
});

/** The names of one node, in a sorted array: the contract of scanNames in its plainest form. */
export class NameTable {
  readonly #rows: { readonly bytes: Buffer; readonly entry: NamedEntry }[] = [];

  set(entry: NamedEntry): void {
    const bytes = Buffer.from(entry.name);
    const at = this.#indexOf(bytes);
    this.#rows.splice(at, this.#rows[at]?.entry.name === entry.name ? 1 : 0, { bytes, entry });
  }

  scanNames(prefix: string, from: { readonly name: string; readonly isInclusive: boolean } | null, limit: number): { readonly entries: readonly NamedEntry[]; readonly isLast: boolean } {
    let at = this.#indexOf(Buffer.from(from?.name ?? prefix));
    if (from?.isInclusive === false && this.#rows[at]?.entry.name === from.name) at += 1;
    const entries: NamedEntry[] = [];
    for (; this.#rows[at]?.entry.name.startsWith(prefix) === true; at++) {
      if (entries.length === limit) return { entries, isLast: false };
      entries.push((this.#rows[at] as { readonly entry: NamedEntry }).entry);
    }
    return { entries, isLast: true };
  }

  /** Of the first row that isn't before the name. */
  #indexOf(name: Buffer): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.#rows[middle]?.bytes ?? name, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }
}

export interface ListingNode {
  readonly id: NodeId;
  readonly names: NameTable;
  readonly views: FakeViews;
  readonly source: ListSource;
}

/** Called before each `list` message; may change the world, and say what becomes of the message. */
export type ListInterference = (to: NodeId, request: ListMessage) => 'lose' | 'hang' | PeerReply | undefined;

/** Real sources and list runs of several nodes over a network of function calls. */
export class ListingRing {
  readonly clock = new ManualClock();
  readonly nodes: readonly ListingNode[];
  readonly listCalls: ListMessage[] = [];
  readonly #keyBits: number;
  interfere: ListInterference = () => undefined;
  /** Names that were read, in order. */
  readonly reads: string[] = [];
  /** What a read of a name finds; by default that it is absent. */
  found: (name: string) => GetOutcome = () => ({ kind: 'absent' });

  constructor(layout: Layout, options: ListSourceOptions) {
    this.#keyBits = layout.keyBits;
    this.nodes = layout.members.map(({ nodeId: id }) => {
      const names = new NameTable();
      const views = new FakeViews(id, layout);
      return { id, names, views, source: new ListSource({ store: names, views, operations: new StoreOperations(SIM_METER, new ManualClock()) }, options) };
    });
  }

  node(id: NodeId): ListingNode {
    const node = this.nodes.find((other) => other.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** Writes a register as one node has it. */
  write(id: NodeId, name: string, accepted: Ballot, kind: 'object' | 'tombstone', size = 0): void {
    this.node(id).names.set({ name, key: objectKey(name, this.#keyBits), accepted, version: accepted, kind, size });
  }

  list(at: ListingNode, request: Partial<ListRequest>): Promise<ListOutcome> {
    const { clock } = this;
    const context: OperationContext = {
      caller: this.#caller(), views: at.views, clock, random: new SimRandom(at.id), rules: ALL_RULES,
      onRetry: () => undefined, onWrite: () => undefined, retries: new RetryBudget(this.clock.monotonicNow(), OPTIONS.retries), ballots: new HybridClock(), timers: new OperationTimers(clock),
      large: { pauses: new Pauses(clock), ahead: new AheadBudget(0) }, options: OPTIONS,
      repair: { missed: () => undefined, readRepaired: () => undefined },
    };
    const deadline = plusMs(clock.monotonicNow(), OPTIONS.operationDeadlineMs);
    return clock.until(listNames(context, (name) => this.#read(name), { prefix: '', delimiter: null, limit: 1000, cursor: null, ...request }, deadline));
  }

  #read(name: string): Promise<GetOutcome> {
    this.reads.push(name);
    return Promise.resolve(this.found(name));
  }

  #caller(): PeerCaller {
    const call = async (target: { readonly nodeId: NodeId | null }, request: { readonly kind: RequestKind }, timeoutMs: number): Promise<CallOutcome<RequestKind>> => {
      const to = this.nodes.find((node) => node.id === target.nodeId);
      if (to === undefined) return { kind: 'not-sent', detail: 'nobody there' };
      const fate = request.kind === 'list' ? this.interfere(to.id, request as ListMessage) : undefined;
      if (request.kind === 'list') this.listCalls.push(request as ListMessage);
      if (fate === 'lose') return { kind: 'not-sent', detail: 'cut' };
      if (fate === 'hang') return await new Promise((resolve) => { this.clock.after(timeoutMs, () => { resolve({ kind: 'no-answer', detail: 'timeout' }); }); });
      return { kind: 'reply', from: to.id, reply: typeof fate === 'object' ? fate : await answer(to, request as never) };
    };
    return { call: call as PeerCaller['call'] };
  }
}

async function answer(node: ListingNode, request: ListMessage | { readonly kind: 'layout-announce'; readonly layout: Layout }): Promise<PeerReply> {
  if (request.kind === 'list') return await node.source.list(request);
  await node.views.adopt(request.layout);
  return { kind: 'layout-reply', layout: node.views.view.layout };
}
