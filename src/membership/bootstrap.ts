/**
 * Bootstrap: how k empty nodes found exactly one ring, whatever is started, wiped or cut off in which order.
 *
 * Only the first initial name founds. Every other initial node asks that name who it is and durably promises to follow
 * the nodeId in the reply to its newest own question. The founder founds when, in one round of questions, all the others
 * are empty and promised to it; its founding layout names all k, so the first write already has its copies. A promised
 * node takes its first layout only from the ring of the promised founder, or from that founder's own hand.
 *
 * Where an installation has a record of its ring (a Secret in Kubernetes), the founder asks before it founds (`asksToFound`):
 * a node that lost its disk, alone with other empty ones, must not make a second ring beside the first.
 *
 * Rejected: founding with a majority of the initial nodes. With one disk wiped and one node cut off a second majority of
 * empty nodes can be found, and with it a second ring.
 * Source: protocol section A.7 (1) to (3); invariant I2.
 */
import type { ClusterId, NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import { foundingLayout, type Joiner } from '../layout/founding-layout.ts';
import type { WhoAreYouReply } from '../protocol/message.ts';
import type { Exchange } from './exchange.ts';
import type { MembershipOptions } from './membership-options.ts';

export interface BootstrapDeps {
  readonly exchange: Exchange;
  readonly options: MembershipOptions;
}

export class Bootstrap {
  readonly #deps: BootstrapDeps;
  #promised: NodeId | null;
  #initialNames: readonly string[] = [];
  /** Empty answers of the present round, by the address asked. */
  readonly #empties = new Map<string, WhoAreYouReply>();
  #waitsFor: readonly string[] = [];
  #isPermitted: boolean;
  #refusal: string | null = null;

  constructor(deps: BootstrapDeps, promised: NodeId | null) {
    this.#deps = deps;
    this.#promised = promised;
    this.#isPermitted = !deps.options.asksToFound;
  }

  /** Whether founding needs no further leave. It is never taken back. */
  get isPermitted(): boolean {
    return this.#isPermitted;
  }

  /** Why founding was not permitted when last asked; null: it was, or nobody asked. */
  get refusal(): string | null {
    return this.#refusal;
  }

  permit(): void {
    this.#isPermitted = true;
    this.#refusal = null;
  }

  refuse(detail: string): void {
    this.#refusal = detail;
  }

  /** Takes part when this node is among the names. */
  begin(initialNames: readonly string[]): void {
    this.#initialNames = initialNames.some((name) => this.isSelf(name)) ? initialNames : [];
    this.#waitsFor = this.#initialNames.filter((name) => !this.isSelf(name));
  }

  get promised(): NodeId | null {
    return this.#promised;
  }

  /** The initial names that founding still waits for; empty when this node takes no part. */
  get waitsFor(): readonly string[] {
    return this.#waitsFor;
  }

  get isFounder(): boolean {
    const [first] = this.#initialNames;
    return first !== undefined && this.isSelf(first);
  }

  isSelf(address: string): boolean {
    const { self } = this.#deps.options;
    return address === self.name || address === self.advertise;
  }

  /** Whether this node may take its first layout of this ring, from this node's hand. */
  mayFollow(clusterId: ClusterId | null, from: NodeId | null): boolean {
    return this.#promised === null || this.#promised === from || clusterId === (this.#promised as string);
  }

  /** Where the promised founder is asked for its layout, when it is in another ring than its own. */
  get founder(): PeerTarget | null {
    const [first] = this.#initialNames;
    return this.#promised === null || first === undefined ? null : { advertise: first, nodeId: this.#promised };
  }

  beginRound(): void {
    this.#empties.clear();
  }

  /** The answer of an empty node in the present round. */
  heardEmpty(address: string, reply: WhoAreYouReply): void {
    if (!this.#initialNames.includes(address)) return;
    this.#empties.set(address, reply);
    const { nodeId } = reply.from;
    if (address !== this.#initialNames[0] || nodeId === this.#promised) return;
    this.#promised = nodeId;
    this.#deps.exchange.write((tag) => ({ kind: 'save-founder', tag, founder: nodeId }), () => undefined);
    this.#log('follows the first initial node', { founder: nodeId });
  }

  /** At the end of a round in which nobody knew a ring: the founding layout, when this node is to found it now. */
  founding(): Layout | null {
    if (this.#initialNames.length === 0) return null;
    const { self } = this.#deps.options;
    const promises = this.isFounder ? (reply: WhoAreYouReply): boolean => reply.promisedFounder === self.nodeId : () => true;
    const others = this.#initialNames.filter((name) => !this.isSelf(name));
    const waitsFor = others.filter((name) => {
      const reply = this.#empties.get(name);
      return reply === undefined || !promises(reply);
    });
    if (waitsFor.join() !== this.#waitsFor.join() && waitsFor.length > 0) this.#log('founding waits for initial nodes', { missing: waitsFor.join(', ') });
    this.#waitsFor = waitsFor;
    if (!this.isFounder || waitsFor.length > 0 || (this.#promised !== null && this.#promised !== self.nodeId)) return null;
    const members = others.map((name) => this.#empties.get(name)).filter((reply) => reply !== undefined);
    if (new Set([self.nodeId, ...members.map((reply) => reply.from.nodeId)]).size !== others.length + 1) return null;
    const strange = members.find((reply) => reply.keyBits !== this.#deps.options.ring.keyBits);
    if (strange !== undefined) {
      this.#log('an initial node has another M', { member: strange.from.name, keyBits: strange.keyBits });
      return null;
    }
    return this.foundingOf(members.map(({ from, zone, weight }) => ({ nodeId: from.nodeId, name: from.name, advertise: from.advertise, zone, weight })));
  }

  /** The founding layout of this node and these others. */
  foundingOf(others: readonly Joiner[]): Layout {
    const { self, zone, weight, ring } = this.#deps.options;
    const clusterId = self.nodeId as string as ClusterId;
    return foundingLayout({ ...ring, clusterId, members: [{ ...self, zone, weight }, ...others] });
  }

  serve(id: number, layout: Layout | null, now: MonotonicMs): void {
    const { exchange, options } = this.#deps;
    const { self, zone, weight, ring } = options;
    const reply: WhoAreYouReply = {
      kind: 'who-are-you-reply', from: self, state: layout === null ? 'empty' : 'member', clusterId: layout?.clusterId ?? null,
      promisedFounder: layout === null ? this.#promised : null, zone, weight, keyBits: ring.keyBits,
    };
    exchange.afterWrites(() => { exchange.emit({ kind: 'reply', id, reply }); }, now);
  }

  #log(message: string, fields: Readonly<Record<string, string | number>>): void {
    this.#deps.exchange.emit({ kind: 'log', level: 'info', message, fields });
  }
}
