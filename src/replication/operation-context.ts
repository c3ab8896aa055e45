/**
 * What every run of an operation needs: the doors, the node's one ballot clock, and how long to wait for what. Handed
 * down as one value so that a run costs a single object.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { BodyLimits } from '../domain/body-limits.ts';
import { elapsedMs, plusMs, type MonotonicMs } from '../domain/instant.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { HybridClock } from '../register/hybrid-clock.ts';
import type { ClusterView, ViewSource } from '../ring/cluster-view.ts';
import type { ReplicaSets } from '../ring/placement.ts';
import { JointQuorum } from '../register/joint-quorum.ts';
import type { AheadBudget, BodyStreamOptions } from '../transfer/body-stream.ts';
import type { Pauses } from '../transfer/pauses.ts';
import type { BodySourceDeps } from './body-source.ts';
import type { OperationTimers } from './operation-timers.ts';
import type { RetryBudget, RetryBudgetOptions } from './retry-budget.ts';

export interface OperationOptions {
  /** Milliseconds an operation may take in all; then it ends as not applied or unknown. */
  readonly operationDeadlineMs: number;
  /** Milliseconds one call may take. Higher: slow replicas still count; lower: a lost message costs less. A dead replica delays nothing while a majority answers. */
  readonly callTimeoutMs: number;
  /** Milliseconds of the first back-off after a refusal, at most; doubles up to `backOffMaxMs`. */
  readonly backOffMinMs: number;
  readonly backOffMaxMs: number;
  readonly retries: RetryBudgetOptions;
  /** Milliseconds a read waits for a third opinion before an identity round, and for the body from the first choice. */
  readonly readGraceMs: number;
  /** Milliseconds after which an operation gives up when a majority can't even be dialled and nothing was proposed. */
  readonly unreachableDeadlineMs: number;
  readonly bodies: BodyLimits;
  /** How large bodies are read for clients. */
  readonly streams: BodyStreamOptions;
}

/** What begins a round again. */
export type RetriedOp = 'put' | 'delete' | 'identity' | 'get' | 'list';
/**
 * How a client's write ended. full, quorum: it is applied, and all replicas confirmed it, or some had not when their calls ended; the answer to
 * the client waits for neither. not_applied: it certainly changed nothing, failed conditions included. unknown: it may have. A delete of
 * what isn't there is no write.
 */
export const WRITE_COUNTS = ['full', 'quorum', 'not_applied', 'unknown'] as const;
export type WriteCount = (typeof WRITE_COUNTS)[number];

export const RETRIED_OPS: readonly RetriedOp[] = ['put', 'delete', 'identity', 'get', 'list'];

/** What the transfers of large bodies share. */
export interface LargeBodies {
  readonly pauses: Pauses;
  /** Bytes read ahead for all clients together. */
  readonly ahead: AheadBudget;
}

/** What operations notice that repair should know. Must be quick and never throw. */
export interface RepairNotes {
  /** The replica lacks this chosen write of the name: it did not accept it, or a read saw that it lags behind. */
  readonly missed: (nodeId: NodeId, name: string, accepted: Ballot, cause: 'write' | 'read') => void;
  /** A read had to choose the value again, and did, or could not. */
  readonly readRepaired: (isOk: boolean) => void;
}

export interface OperationContext {
  readonly repair: RepairNotes;
  readonly caller: PeerCaller;
  readonly views: ViewSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly rules: Rules;
  readonly ballots: HybridClock;
  readonly timers: OperationTimers;
  readonly large: LargeBodies;
  readonly retries: RetryBudget;
  /** A round begins again. */
  readonly onRetry: (op: RetriedOp) => void;
  /** Once for each write of a client. */
  readonly onWrite: (result: WriteCount) => void;
  readonly options: OperationOptions;
}

/** How a body is asked for. */
export function bodySource({ caller, timers, options }: OperationContext): BodySourceDeps {
  return { caller, clock: timers, graceMs: options.readGraceMs };
}

/** Whom to ask: reachable nodes first, slow ones after the others, each group in preference order. */
export function askingOrder(view: ClusterView, sets: ReplicaSets): readonly NodeId[] {
  const { unreachable, strain } = view;
  if (unreachable.size + strain.slow.size === 0) return sets.all;
  const rankOf = (id: NodeId): number => (unreachable.has(id) ? 2 : strain.slow.has(id) ? 1 : 0);
  return sets.all.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** Too many of the name's replicas said that they take no clients' bodies: no quorum would. */
export function isTooFull({ strain }: ClusterView, sets: ReplicaSets, alsoFull: readonly NodeId[]): boolean {
  if (strain.full.size + alsoFull.length === 0) return false;
  const quorum = new JointQuorum(sets);
  for (const id of sets.all) if (strain.full.has(id) || alsoFull.includes(id)) quorum.fail(id);
  return quorum.isImpossible();
}

/**
 * Milliseconds before the round after attempt `attempt` (1, 2, ...): full jitter below an exponentially growing bound,
 * and what the retry budget wants beside. To be asked once for each retry.
 * Source: [Backoff].
 */
export function backOffMs(context: OperationContext, attempt: number, op: RetriedOp): number {
  const { backOffMinMs, backOffMaxMs } = context.options;
  context.onRetry(op);
  const bound = Math.min(backOffMaxMs, backOffMinMs * 2 ** Math.min(attempt - 1, 20));
  return bound * context.random.float() + context.retries.take(context.clock.monotonicNow());
}

/** Milliseconds left until the deadline; 0 when it is over, or the node stops. */
export function leftMs(context: OperationContext, deadline: MonotonicMs): number {
  return context.timers.isStopped ? 0 : Math.max(0, elapsedMs(context.clock.monotonicNow(), deadline));
}

/**
 * The deadline of an operation that has proposed nothing, after a round in which the calls to `unsent` never left: sooner
 * than its own when the others are no quorum, because waiting longer rarely helps and ending is certain to change nothing.
 */
export function deadlineWithout(context: OperationContext, unsent: readonly NodeId[], sets: ReplicaSets, beginAt: MonotonicMs, deadline: MonotonicMs): MonotonicMs {
  const quorum = new JointQuorum(sets);
  for (const id of unsent) quorum.fail(id);
  if (!quorum.isImpossible()) return deadline;
  const sooner = plusMs(beginAt, context.options.unreachableDeadlineMs);
  return sooner < deadline ? sooner : deadline;
}
