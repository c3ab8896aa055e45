/**
 * A call on its way, and the one timer that ends those whose time is up.
 *
 *   waiting --frame handed to the stream--> sent --reply--> settled
 *      \______________ deadline, failure ____/_______________^
 *
 * The state decides what a failure means: while `waiting` the request certainly didn't leave (not-sent); once `sent`
 * nobody knows (no-answer), whatever the stream says.
 *
 * The timer waits for the earliest deadline it was told of and is not moved when calls settle: with time-outs far above
 * the usual answer time it fires about once per time-out, not once per call.
 */
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { PeerRequest, RequestKind } from '../protocol/message.ts';
import type { CallOutcome } from './peer-caller.ts';
import type { PeerMeters } from './peer-meters.ts';

export interface PendingCall {
  readonly request: PeerRequest;
  /** Who has to be at the other end; null: anyone. */
  readonly nodeId: NodeId | null;
  readonly startedAt: MonotonicMs;
  readonly deadlineAt: MonotonicMs;
  state: 'waiting' | 'sent' | 'settled';
  /** Takes the call out of where it waits. Set by whoever holds it. */
  release: (isExpired: boolean) => void;
  readonly resolve: (outcome: CallOutcome<RequestKind>) => void;
}

export interface CallDeadlinesDeps {
  readonly clock: Clock;
  readonly meters: PeerMeters;
}

export class CallDeadlines {
  readonly #deps: CallDeadlinesDeps;
  readonly #open = new Set<PendingCall>();
  #timer: Timer | null = null;
  #timerAt: number = Infinity;

  constructor(deps: CallDeadlinesDeps) {
    this.#deps = deps;
  }

  open(request: PeerRequest, nodeId: NodeId | null, timeoutMs: number, resolve: (outcome: CallOutcome<RequestKind>) => void): PendingCall {
    const startedAt = this.#deps.clock.monotonicNow();
    const call: PendingCall = {
      request, nodeId, startedAt, deadlineAt: plusMs(startedAt, timeoutMs), state: 'waiting', release: () => {}, resolve,
    };
    this.#open.add(call);
    this.#deps.meters.callsInFlight++;
    if (call.deadlineAt < this.#timerAt) this.#arm(call.deadlineAt);
    return call;
  }

  /** Ends the call with this outcome, once. */
  settle(call: PendingCall, outcome: CallOutcome<RequestKind>): void {
    if (call.state === 'settled') return;
    call.state = 'settled';
    const { clock, meters } = this.#deps;
    this.#open.delete(call);
    meters.callsInFlight--;
    meters.callEnded(call.request.kind, outcome, elapsedMs(call.startedAt, clock.monotonicNow()));
    call.resolve(outcome);
  }

  /** Ends the call without a reply: not-sent or no-answer, by its state. */
  fail(call: PendingCall, detail: string): void {
    this.settle(call, { kind: call.state === 'waiting' ? 'not-sent' : 'no-answer', detail });
  }

  /** Whole milliseconds that are left, at least 1: what travels with the request. */
  remainingMs(call: PendingCall): number {
    return Math.max(1, Math.floor(elapsedMs(this.#deps.clock.monotonicNow(), call.deadlineAt)));
  }

  /** Ends all calls. */
  stop(): void {
    this.#timer?.cancel();
    for (const call of [...this.#open]) this.#expire(call, 'the node is stopping');
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.#deps.clock.after(Math.max(0, at - this.#deps.clock.monotonicNow()), () => { this.#sweep(); });
  }

  #sweep(): void {
    this.#timer = null;
    this.#timerAt = Infinity;
    const now = this.#deps.clock.monotonicNow();
    const expired: PendingCall[] = [];
    let earliest = Infinity;
    for (const call of this.#open) {
      if (call.deadlineAt <= now) expired.push(call);
      else if (call.deadlineAt < earliest) earliest = call.deadlineAt;
    }
    if (earliest < Infinity) this.#arm(earliest);
    for (const call of expired) this.#expire(call, 'time is up');
  }

  #expire(call: PendingCall, detail: string): void {
    if (call.state === 'settled') return;
    call.release(true);
    this.fail(call, detail);
  }
}
