/**
 * Calls to other nodes, and to this one: the sending half of the peer protocol. One pool of connections for each address
 * (remote-peer.ts), one timer for all deadlines (pending-call.ts), one sweep for idle and stalled connections.
 *
 * A call to the node itself goes to its own handler without bytes, but keeps the same promises: it starts later, never
 * within the caller's step, and ends by its deadline.
 */
import type { Timer } from '../ports/clock.ts';
import type { ReplyOf, RequestKind, RequestOf } from '../protocol/message.ts';
import type { LocalNode } from './local-node.ts';
import { CallDeadlines, type PendingCall } from './pending-call.ts';
import type { CallOutcome, PeerCaller, PeerTarget, RequestHandler } from './peer-caller.ts';
import type { PeerOptions } from './peer-options.ts';
import { RemotePeer, type RemotePeerDeps } from './remote-peer.ts';

export interface PeerClientDeps extends Omit<RemotePeerDeps, 'deadlines'> {
  readonly local: LocalNode;
  /** Takes the calls to this node itself. */
  readonly handler: RequestHandler;
}

export class PeerClient implements PeerCaller {
  readonly #deps: RemotePeerDeps;
  readonly #handler: RequestHandler;
  readonly #options: PeerOptions;
  readonly #deadlines: CallDeadlines;
  readonly #peers = new Map<string, RemotePeer>();
  #sweepTimer: Timer | null = null;
  #stopping: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;

  constructor(deps: PeerClientDeps, options: PeerOptions) {
    this.#deadlines = new CallDeadlines({ clock: deps.clock, meters: deps.meters });
    this.#deps = { ...deps, deadlines: this.#deadlines };
    this.#handler = deps.handler;
    this.#options = options;
  }

  call<K extends RequestKind>(target: PeerTarget, request: RequestOf<K> & { readonly kind: K }, timeoutMs: number): Promise<CallOutcome<K>> {
    if (this.#stopping !== null) return Promise.resolve({ kind: 'not-sent', detail: 'the node is stopping' });
    const outcome = new Promise<CallOutcome<RequestKind>>((resolve) => {
      const call = this.#deadlines.open(request, target.nodeId, timeoutMs, resolve);
      this.#start(call, target);
    });
    // isReplyTo has held the reply's kind against the request's.
    return outcome as Promise<CallOutcome<K>>;
  }

  /** Ends all calls and connections; resolves when every stream is gone. */
  stop(): Promise<void> {
    if (this.#stopping === null) {
      this.#stopping = Promise.withResolvers<void>();
      this.#sweepTimer?.cancel();
      this.#deadlines.stop();
      for (const peer of [...this.#peers.values()]) peer.close('the node is stopping');
      this.#resolveIfEmpty();
    }
    return this.#stopping.promise;
  }

  #start(call: PendingCall, target: PeerTarget): void {
    const own = this.#deps.local.identity();
    if (target.nodeId === own.nodeId || (target.nodeId === null && target.advertise === own.advertise)) {
      void this.#callSelf(call);
    } else if (target.advertise === own.advertise) {
      this.#deadlines.settle(call, { kind: 'wrong-node', detail: `${own.advertise} is ${own.nodeId}, this node` });
    } else {
      this.#peerAt(target.advertise).submit(call);
    }
  }

  async #callSelf(call: PendingCall): Promise<void> {
    const own = this.#deps.local.identity();
    await Promise.resolve();
    if (call.state === 'settled') return;
    call.state = 'sent';
    const reply: ReplyOf<RequestKind> = await this.#handler.handle<RequestKind>(own, call.request, this.#deadlines.remainingMs(call), this.#deps.local.epoch());
    this.#deadlines.settle(call, { kind: 'reply', from: own.nodeId, reply });
  }

  #peerAt(advertise: string): RemotePeer {
    const known = this.#peers.get(advertise);
    if (known !== undefined) return known;
    const peer = new RemotePeer(this.#deps, this.#options, advertise, () => { this.#resolveIfEmpty(); });
    this.#peers.set(advertise, peer);
    this.#sweepTimer ??= this.#deps.clock.after(this.#options.sweepIntervalMs, () => { this.#sweep(); });
    return peer;
  }

  #resolveIfEmpty(): void {
    if (this.#stopping === null) return;
    for (const peer of this.#peers.values()) if (!peer.isEmpty) return;
    this.#stopping.resolve();
  }

  #sweep(): void {
    const now = this.#deps.clock.monotonicNow();
    for (const [advertise, peer] of [...this.#peers]) {
      peer.sweep(now);
      if (peer.isForgettable(now)) this.#peers.delete(advertise);
    }
    this.#sweepTimer = this.#deps.clock.after(this.#options.sweepIntervalMs, () => { this.#sweep(); });
  }
}
