/**
 * Before a node that came back answers register messages, a majority of the layout's members (itself included) confirms
 * that its recovered log position isn't below what they remember. One "no" is enough to know that state was lost: the
 * node then gives up its identity and joins anew. A fresh node has nothing to confirm.
 *
 *   asking --majority says yes--> confirmed
 *   asking --anyone says no----> lost
 *
 * The node counts itself, because otherwise a ring of three with one node down could not restart another; the nodes it
 * exchanged pings with are among those asked. Source: protocol rule R16.
 */
import type { NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { BootPosition } from '../protocol/message.ts';

export interface BootConfirmationDeps {
  readonly caller: PeerCaller;
  readonly clock: Clock;
  readonly self: NodeId;
  readonly recovered: BootPosition;
  readonly layout: () => Layout | null;
  readonly onConfirmed: () => void;
  readonly onLost: (remembered: BootPosition, by: NodeId) => void;
}

export interface BootConfirmationOptions {
  readonly retryMs: number;
  readonly callTimeoutMs: number;
}

export class BootConfirmation {
  readonly #deps: BootConfirmationDeps;
  readonly #options: BootConfirmationOptions;
  readonly #confirmedBy = new Set<NodeId>();
  #state: 'asking' | 'confirmed' | 'lost' | 'stopped' = 'asking';
  #retry: Timer | null = null;

  constructor(deps: BootConfirmationDeps, options: BootConfirmationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#confirmedBy.add(deps.self);
  }

  get isConfirmed(): boolean {
    return this.#state === 'confirmed';
  }

  /** In words, for readiness. */
  get waitsFor(): string {
    const { have, needed } = this.#count();
    return `${have} of ${needed} members confirmed that this node's log is complete`;
  }

  start(): void {
    this.#ask();
  }

  stop(): void {
    if (this.#state === 'asking') this.#state = 'stopped';
    this.#retry?.cancel();
    this.#retry = null;
  }

  #count(): { have: number; needed: number } {
    // Those that the ring has given up can't confirm anything.
    const members = (this.#deps.layout()?.members ?? []).filter((m) => m.state !== 'lost');
    const have = members.filter((m) => this.#confirmedBy.has(m.nodeId)).length;
    return { have, needed: Math.floor(members.length / 2) + 1 };
  }

  #ask(): void {
    if (this.#state !== 'asking') return;
    const { have, needed } = this.#count();
    const layout = this.#deps.layout();
    if (layout === null || have >= needed || !layout.members.some((m) => m.nodeId === this.#deps.self)) {
      this.#state = 'confirmed';
      this.#deps.onConfirmed();
      return;
    }
    for (const { nodeId, advertise } of layout.members) {
      if (!this.#confirmedBy.has(nodeId)) void this.#askOne(nodeId, advertise);
    }
    this.#retry = this.#deps.clock.after(this.#options.retryMs, () => { this.#ask(); });
  }

  async #askOne(nodeId: NodeId, advertise: string): Promise<void> {
    const { self, recovered, caller } = this.#deps;
    const outcome = await caller.call<'position-check'>(
      { nodeId, advertise }, { kind: 'position-check', nodeId: self, boot: recovered }, this.#options.callTimeoutMs,
    );
    if (this.#state !== 'asking' || outcome.kind !== 'reply' || outcome.reply.kind !== 'position-check-reply') return;
    if (!outcome.reply.isConfirmed) {
      this.#state = 'lost';
      this.#retry?.cancel();
      this.#deps.onLost(outcome.reply.remembered, nodeId);
      return;
    }
    this.#confirmedBy.add(nodeId);
    const { have, needed } = this.#count();
    if (have < needed) return;
    this.#retry?.cancel();
    this.#ask();
  }
}
