/**
 * The shell round the membership machine: feeds it time, messages and outcomes, one event at a time, and carries out its
 * effects in order. It also is where everyone asks for the present view.
 *
 * While a newer layout is being made durable the gate is closed: the store has already discarded registers for it, so
 * nothing may be answered in the old epoch any more, and not yet in the new one (rule R14).
 */
import { assertNever, must } from '../domain/assert.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { Layout } from '../domain/layout.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerIdentity } from '../domain/peer-identity.ts';
import type { Membership } from '../membership/membership.ts';
import type { MembershipEffect } from '../membership/membership-effect.ts';
import type { MembershipEvent, MembershipRequest } from '../membership/membership-event.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { FoundingPermit } from '../ports/cluster-info.ts';
import type { Log } from '../ports/log.ts';
import type { FaultReply, PeerReply, RequestKind } from '../protocol/message.ts';
import type { ClusterView, ViewSource } from '../ring/cluster-view.ts';
import type { NodeStateStore } from '../storage/register-store.ts';

export interface MembershipDriverDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly caller: PeerCaller;
  readonly state: NodeStateStore;
  readonly membership: Membership;
  readonly rules: Rules;
  /** Fsynced log position to tell peers (the recovered one until the boot is confirmed, rule R16). */
  readonly position: () => number;
  /** Whether the local store never held a register: only then may a ring of one be given up. */
  readonly isEmpty: () => boolean;
  readonly remember: (peer: NodeId, boot: number, position: number) => void;
  /** A newer layout is durable and current. */
  readonly onLayout: (layout: Layout) => void;
  /** The view is another one: its layout, or who is reachable. */
  readonly onView: () => void;
  /** Asked before a ring is founded; null: nobody has to be asked. */
  readonly mayFound: (() => Promise<FoundingPermit>) | null;
  readonly onJoined: () => void;
  readonly onJoinFailed: (code: ErrorCode, detail: string) => void;
  readonly onLeft: () => void;
  readonly onDoubled: (detail: string) => void;
  readonly onRecovered: (layout: Layout) => void;
  readonly onRecoverRefused: (detail: string) => void;
  /** The disk failed to keep a write: the process ends. */
  readonly onFailure: (error: unknown) => void;
}

export interface MembershipDriverOptions {
  readonly tickMs: number;
  /** Requests of peers waiting for an answer at most; more are refused. */
  readonly requestsMax: number;
}

/** Events handled in one go before others get their turn. */
const EVENTS_IN_A_ROW_MAX = 10_000;

export class MembershipDriver implements ViewSource {
  readonly #deps: MembershipDriverDeps;
  readonly #options: MembershipDriverOptions;
  readonly #replies = new Map<number, (reply: PeerReply) => void>();
  readonly #queue: MembershipEvent[] = [];
  #isStepping = false;
  #isAskingToFound = false;
  #nextRequestId = 1;
  #timer: Timer | null = null;
  #isStopped = false;
  #layout: Layout | null;
  #view: ClusterView | null = null;
  /** Adoptions that are not durable yet. */
  #adoptions = 0;
  /** Register messages wait for a confirmation of the recovered log (rule R16). */
  #isConfirmed: boolean;
  #gate: { readonly promise: Promise<void>; readonly open: () => void } | null = null;

  constructor(deps: MembershipDriverDeps, options: MembershipDriverOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#layout = deps.state.layout();
    this.#isConfirmed = this.#layout === null;
    this.#updateGate();
  }

  // ------------------------------------------------------------------------------------------------- ViewSource

  current(): ClusterView | null {
    return this.#deps.membership.clusterView();
  }

  gate(): Promise<void> | null {
    return this.#gate?.promise ?? null;
  }

  async adopt(layout: Layout): Promise<void> {
    this.dispatch({ kind: 'layout-seen', layout });
    while (this.#adoptions > 0 && this.#gate !== null && this.#isConfirmed) await this.#gate.promise;
  }

  // ----------------------------------------------------------------------------------------------------- running

  start(): void {
    this.#tick();
  }

  /** The recovered log position was confirmed by a majority, or there was nothing to confirm. */
  confirm(): void {
    this.#isConfirmed = true;
    this.#updateGate();
  }

  /** No event is taken any more; waiting requests are answered with a fault. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const reply of this.#replies.values()) reply(fault('the node is stopping'));
    this.#replies.clear();
    this.#adoptions = 0;
    this.#isConfirmed = true;
    this.#updateGate();
  }

  /** A message of the ring family; answered when the machine replies. */
  handle(from: PeerIdentity, request: MembershipRequest, epoch: Epoch): Promise<PeerReply> {
    if (this.#isStopped || this.#replies.size >= this.#options.requestsMax) return Promise.resolve(fault('the node does not take ring messages now'));
    const id = this.#nextRequestId++;
    return new Promise((resolve) => {
      this.#replies.set(id, resolve);
      this.dispatch({ kind: 'request', id, from, epoch, request });
    });
  }

  /** Any frame or HELLO: that peer has persisted this epoch. Layouts of another cluster never get this far. */
  peerSeen(peer: PeerIdentity, epoch: Epoch): void {
    this.dispatch({ kind: 'peer-seen', peer, clusterId: epoch === 0 ? null : this.#layout?.clusterId ?? null, epoch });
  }

  dispatch(event: MembershipEvent): void {
    if (this.#isStopped) return;
    this.#queue.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let handled = 0; handled < EVENTS_IN_A_ROW_MAX; handled++) {
        const next = this.#queue.shift();
        if (next === undefined) break;
        for (const effect of this.#deps.membership.step(next, this.#deps.clock.monotonicNow())) this.#carryOut(effect);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#noticeView();
  }

  #tick(): void {
    this.#timer = this.#deps.clock.after(this.#options.tickMs, () => { this.#tick(); });
    this.dispatch({ kind: 'tick', position: this.#deps.position() });
  }

  #noticeView(): void {
    const view = this.current();
    if (view === this.#view) return;
    this.#view = view;
    const layout = view?.layout ?? null;
    if (layout !== null && layout !== this.#layout) {
      this.#layout = layout;
      this.#deps.onLayout(layout);
    }
    this.#deps.onView();
  }

  #carryOut(effect: MembershipEffect): void {
    const deps = this.#deps;
    switch (effect.kind) {
      case 'send':
        void this.#send(effect);
        return;
      case 'reply':
        this.#replies.get(effect.id)?.(effect.reply);
        this.#replies.delete(effect.id);
        return;
      case 'adopt':
        this.#adoptions += 1;
        this.#updateGate();
        this.#persist(effect.tag, deps.state.adoptLayout(effect.layout, deps.rules.sinceDiscard ? effect.discards : []), true);
        return;
      case 'save-slot':
        this.#persist(effect.tag, deps.state.saveSlot(effect.slot), false);
        return;
      case 'save-founder':
        this.#persist(effect.tag, deps.state.savePromisedFounder(effect.founder), false);
        return;
      case 'abandon':
        if (deps.isEmpty()) this.#persist(effect.tag, deps.state.abandonLayout(effect.clusterId), false);
        else this.#queue.push({ kind: 'abandon-refused', tag: effect.tag });
        return;
      case 'remember':
        deps.remember(effect.peer, effect.boot, effect.position);
        return;
      case 'ask-to-found':
        void this.#askToFound();
        return;
      case 'joined':
        deps.onJoined();
        return;
      case 'join-failed':
        deps.onJoinFailed(effect.code, effect.detail);
        return;
      case 'left':
        deps.onLeft();
        return;
      case 'identity-doubled':
        deps.onDoubled(effect.detail);
        return;
      case 'recovered':
        deps.onRecovered(effect.layout);
        return;
      case 'recover-refused':
        deps.onRecoverRefused(effect.detail);
        return;
      case 'log':
        deps.log[effect.level](effect.message, effect.fields);
        return;
      default:
        assertNever(effect);
    }
  }

  async #send({ tag, target, request, timeoutMs }: Extract<MembershipEffect, { kind: 'send' }>): Promise<void> {
    const outcome = await this.#deps.caller.call<RequestKind>(target, request, timeoutMs);
    if (outcome.kind === 'reply') this.dispatch({ kind: 'reply', tag, from: outcome.from, reply: outcome.reply });
    else this.dispatch({ kind: 'no-reply', tag, failure: outcome.kind, detail: outcome.detail });
  }

  async #askToFound(): Promise<void> {
    const { mayFound } = this.#deps;
    if (mayFound === null || this.#isAskingToFound) return;
    this.#isAskingToFound = true;
    const permit = await mayFound();
    this.#isAskingToFound = false;
    this.dispatch(permit.kind === 'permitted' ? { kind: 'founding-permitted' } : { kind: 'founding-refused', detail: permit.detail });
  }

  #persist(tag: number, write: Promise<void>, isAdoption: boolean): void {
    write.then(() => {
      if (isAdoption) this.#adoptions -= 1;
      this.dispatch({ kind: 'persisted', tag });
      this.#updateGate();
    }, (error: unknown) => { this.#deps.onFailure(error); });
  }

  #updateGate(): void {
    const isClosed = !this.#isConfirmed || this.#adoptions > 0;
    if (isClosed && this.#gate === null) {
      let open: (() => void) | null = null;
      const promise = new Promise<void>((resolve) => { open = resolve; });
      this.#gate = { promise, open: must<() => void>(open, 'the executor ran') };
    } else if (!isClosed && this.#gate !== null) {
      const { open } = this.#gate;
      this.#gate = null;
      open();
    }
  }
}

function fault(detail: string): FaultReply {
  return { kind: 'fault', code: 'DHT_ERR_NOT_READY', detail };
}
