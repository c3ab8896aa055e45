/**
 * Coordinator: every node takes every request and carries it to the key's replicas. It gives each operation its id, its
 * body's id and digest and its turn in the key's queue, runs it (write-run, read-run), and says how it ended.
 *
 * Invariants: `not-applied` only when certain, that is when nothing was proposed or a proof is chosen; everything else
 * that found no end is `unknown`, and goes on being resolved in the background. At most `operationsMax` operations are in
 * work; more are refused before anything is sent.
 * Source: protocol sections C.2 to C.4; [CASPaxos] "The protocol".
 */
import { hash } from 'node:crypto';
import { ballotText, ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import { assertNever } from '../domain/assert.ts';
import type { BodyId, Epoch, NodeId, OpId } from '../domain/ids.ts';
import { plusMs, type MonotonicMs } from '../domain/instant.ts';
import {
  ALWAYS_AWAITED, type DeleteOutcome, type DeleteRequest, type GetOutcome, type GetRequest, type IsAwaited, type ListOutcome, type ListRequest, type PutOutcome, type PutRequest,
  type PutStreamRequest, type Receipt, type WriteFailure,
} from '../domain/object-operation.ts';
import type { OpResult, RecordBody } from '../domain/stored-object.ts';
import type { Rules } from '../domain/rules.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { HybridClock } from '../register/hybrid-clock.ts';
import { findOp, isConditionMet, type WriteIntent } from '../register/proposal.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { hasher } from '../ring/hasher.ts';
import { ownerOf } from '../ring/owner.ts';
import { effectiveReplicas, memberById, replicaSets } from '../ring/placement.ts';
import { AheadBudget } from '../transfer/body-stream.ts';
import { Pauses } from '../transfer/pauses.ts';
import { collectBody } from './body-collector.ts';
import { BodyStager, refusalOf, type BodyStagerOptions } from './body-stager.ts';
import { KeyQueue } from './key-queue.ts';
import { listNames } from './list-run.ts';
import { readNearest } from './nearest-read.ts';
import { isTooFull, type OperationContext, type OperationOptions, type RepairNotes, type RetriedOp, type WriteCount } from './operation-context.ts';
import { OperationTimers } from './operation-timers.ts';
import { OutcomeResolver, type OutcomeResolverOptions } from './outcome-resolver.ts';
import { ReadRun } from './read-run.ts';
import { RetryBudget } from './retry-budget.ts';
import { WriteRun, type Asker, type ChosenIn, type WriteBody, type WriteEnd } from './write-run.ts';

export interface CoordinatorDeps {
  readonly caller: PeerCaller;
  readonly views: ViewSource;
  readonly clock: Clock;
  /** A stream of its own: operation ids, body ids, back-off. */
  readonly random: Random;
  readonly rules: Rules;
  readonly repair: RepairNotes;
  readonly onRetry: (op: RetriedOp) => void;
  /** A client's write came to its end. */
  readonly onWrite: (result: WriteCount) => void;
}

export interface CoordinatorOptions extends OperationOptions, BodyStagerOptions {
  /** Operations in work at the same time; more are refused with DHT_ERR_OVERLOADED. */
  readonly operationsMax: number;
  /** Writes that wait for their turn on one key. */
  readonly keyWaitingMax: number;
  /** Pages of listings in work at the same time. Higher: more memory, up to 2 MiB each. */
  readonly listingsMax: number;
  readonly resolver: OutcomeResolverOptions;
  /** Bytes that all clients together read ahead. */
  readonly readAheadBytesMax: number;
}

export class Coordinator {
  readonly #context: OperationContext;
  readonly #options: CoordinatorOptions;
  readonly #queue: KeyQueue;
  readonly #resolver: OutcomeResolver;
  readonly #stager: BodyStager;
  #inWork = 0;
  #listings = 0;

  constructor(deps: CoordinatorDeps, options: CoordinatorOptions) {
    const timers = new OperationTimers(deps.clock);
    const large = { pauses: new Pauses(deps.clock), ahead: new AheadBudget(options.readAheadBytesMax) };
    this.#context = { ...deps, ballots: new HybridClock(), timers, large, retries: new RetryBudget(deps.clock.monotonicNow(), options.retries), options };
    this.#options = options;
    this.#stager = new BodyStager(this.#context, options);
    this.#queue = new KeyQueue(options.keyWaitingMax);
    this.#resolver = new OutcomeResolver(deps.clock, (name) => this.identityRound(name, ZERO_BALLOT), options.resolver);
  }

  /** Operations in work, and names whose outcome is being resolved. */
  load(): { readonly inWork: number; readonly unresolved: number } {
    return { inWork: this.#inWork, unresolved: this.#resolver.pendingCount };
  }

  /** Ends everything that waits; operations end as if their time were up. */
  stop(): void {
    this.#resolver.stop();
    this.#context.timers.stop();
    this.#context.large.pauses.stop();
  }

  /** Stores the body under the name. Fails with DHT_ERR_TOO_LARGE above the inline limit, DHT_ERR_OVERLOADED, DHT_ERR_NOT_READY, DHT_ERR_NO_QUORUM. */
  put(request: PutRequest): Promise<PutOutcome> {
    if (this.#hasNoRoom(request.name)) return Promise.resolve(this.#failed({ kind: 'not-applied', ...FULL }));
    const { body: bytes } = request;
    const { inlineBytesMax } = this.#options.bodies;
    if (bytes.length > inlineBytesMax) {
      const detail = `the body has ${bytes.length} bytes, more than ${inlineBytesMax} have to be streamed`;
      return Promise.resolve(this.#failed({ kind: 'not-applied', code: 'DHT_ERR_TOO_LARGE', detail }));
    }
    const body: RecordBody = {
      bodyId: this.#context.random.hex(16) as BodyId, size: bytes.length, sha256: hash('sha256', bytes, 'hex'), where: 'inline', chunkCrcs: [],
    };
    return this.#putRecord(request, body, bytes);
  }

  /**
   * Stores a body of any length. A large one is staged on the replicas first, at their pace; then its record is written like
   * any other. Fails as `put` does, and with DHT_ERR_REQUEST_INVALID when the sender breaks off or announced another
   * length, DHT_ERR_DISK_FULL, or the code that `verify` gives. May answer before the source is read to its end.
   */
  async putStream(request: PutStreamRequest): Promise<PutOutcome> {
    if (this.#inWork >= this.#options.operationsMax) return this.#failed(overloaded('too many operations in work'));
    // Before a byte of the body is read.
    if (this.#hasNoRoom(request.name)) return this.#failed({ kind: 'not-applied', ...FULL });
    this.#inWork++;
    const collected = await collectBody(request.source, this.#options.bodies.inlineBytesMax);
    this.#inWork--;
    switch (collected.kind) {
      case 'broken':
        return this.#failed({ kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: 'the sender of the body broke off' });
      case 'small': {
        const refusal = refusalOf(request, collected.bytes.length);
        return refusal === null ? this.put({ ...request, body: collected.bytes }) : this.#failed({ kind: 'not-applied', ...refusal });
      }
      case 'large':
        return this.#putLarge({ ...request, source: collected.source });
      default:
        return assertNever(collected);
    }
  }

  async #putLarge(request: PutStreamRequest): Promise<PutOutcome> {
    const failed = await this.#failedCondition(request);
    if (failed !== null) return this.#failed(failed);
    const end = await this.#stager.stage(request);
    if (end.kind === 'refused') return this.#failed({ kind: 'not-applied', code: end.code, detail: end.detail });
    return this.#putRecord(request, end.body, end.holders);
  }

  /** Saves sending a large body whose condition fails now; it is decided inside the round all the same. Null: go on. */
  async #failedCondition({ name, condition, opId }: PutStreamRequest): Promise<WriteFailure | null> {
    if (condition.kind === 'none') return null;
    const found = await this.get({ name, consistency: 'linearizable', wantBody: false });
    if (found.kind === 'unavailable') return null;
    const record = found.kind === 'found' ? found.record : null;
    if (isConditionMet(condition, record) || (opId !== null && findOp(record, opId) !== null)) return null;
    return { kind: 'precondition-failed', current: record?.version ?? null };
  }

  #putRecord(request: Omit<PutRequest, 'body'>, body: RecordBody, staged: WriteBody): Promise<PutOutcome> {
    const { name, condition, contentType, meta } = request;
    const opId = request.opId ?? (this.#context.random.hex(16) as OpId);
    const intent: WriteIntent = { kind: 'put', opId, condition, body, contentType, meta };
    return new Promise((resolve) => {
      this.#write(name, intent, staged, this.#askerOf(request), (end) => {
        const op = appliedOp(end);
        if (op === null || end.kind !== 'settled') resolve(this.#failed(this.#failure(name, end)));
        else resolve({ kind: 'stored', isCreated: op.kind === 'created', receipt: receiptOf(name, body, op, end.round) });
      }, resolve);
    });
  }

  /** Deletes; a name without an object is a success that changes nothing. */
  delete(request: DeleteRequest): Promise<DeleteOutcome> {
    const { name } = request;
    const opId = request.opId ?? (this.#context.random.hex(16) as OpId);
    return new Promise((resolve) => {
      this.#write(name, { kind: 'delete', opId, condition: request.condition }, null, this.#askerOf(request), (end) => {
        if (appliedOp(end) !== null) resolve({ kind: 'deleted', wasPresent: true });
        else if (end.kind === 'settled' && end.result.kind === 'unchanged') resolve({ kind: 'deleted', wasPresent: false });
        else resolve(this.#failed(this.#failure(name, end)));
      }, resolve);
    });
  }

  get(request: GetRequest): Promise<GetOutcome> {
    const { name, wantBody } = request;
    if (this.#inWork >= this.#options.operationsMax) {
      return Promise.resolve({ kind: 'unavailable', code: 'DHT_ERR_OVERLOADED', detail: 'too many operations in work' });
    }
    this.#inWork++;
    const deadline = this.#deadline();
    return new Promise((resolve) => {
      const done = (outcome: GetOutcome): void => {
        this.#inWork--;
        resolve(outcome);
      };
      if (request.consistency === 'one') {
        void readNearest(this.#context, name, wantBody, deadline).then(done);
        return;
      }
      this.#read(name, wantBody, deadline, done);
    });
  }

  /** One page of the names of the whole ring. Fails with DHT_ERR_REQUEST_INVALID, DHT_ERR_OVERLOADED, DHT_ERR_NOT_READY, DHT_ERR_NO_QUORUM. */
  async list(request: ListRequest): Promise<ListOutcome> {
    if (this.#listings >= this.#options.listingsMax) return { kind: 'failed', code: 'DHT_ERR_OVERLOADED', detail: 'too many listings in work' };
    this.#listings++;
    const outcome = await listNames(this.#context, (name, deadline) => new Promise((resolve) => { this.#read(name, false, deadline, resolve); }), request, this.#deadline());
    this.#listings--;
    return outcome;
  }

  /**
   * Chooses again whatever the name has, above every promise and above `above`; true when a value, or its absence, is settled.
   * Never rejects.
   */
  identityRound(name: string, above: Ballot): Promise<boolean> {
    return new Promise((resolve) => {
      this.#identity(name, above, this.#deadline(), (end) => { resolve(end.kind === 'settled' && end.result.kind === 'unchanged'); });
    });
  }

  /** The same for a question about one epoch: failed when it was answered in another. */
  settle(name: string, epoch: Epoch): Promise<'chosen' | 'absent' | 'failed'> {
    return new Promise((resolve) => {
      this.#identity(name, ZERO_BALLOT, this.#deadline(), (end) => {
        if (end.kind !== 'settled' || end.result.kind !== 'unchanged' || end.round.view.layout.epoch !== epoch) resolve('failed');
        else resolve(end.result.current === null ? 'absent' : 'chosen');
      });
    });
  }

  #read(name: string, wantBody: boolean, deadline: MonotonicMs, done: (outcome: GetOutcome) => void): void {
    const identity = (end: (end: WriteEnd) => void): void => { this.#identity(name, ZERO_BALLOT, deadline, end); };
    new ReadRun(this.#context, name, wantBody, deadline, identity, done).begin();
  }

  /** So many of the name's replicas said that they are full that no quorum would take a body. */
  #hasNoRoom(name: string): boolean {
    const view = this.#context.views.current();
    return view !== null && view.strain.full.size > 0 && isTooFull(view, replicaSets(view.layout, hasher(name, view.layout.keyBits)), []);
  }

  #askerOf({ opId, isAwaited = ALWAYS_AWAITED }: { readonly opId: OpId | null; readonly isAwaited?: IsAwaited }): Asker {
    const { views, clock, ballots } = this.#context;
    const view = views.current();
    const isNamed = opId !== null && view !== null;
    return {
      isAwaited,
      heard: isNamed ? { at: clock.monotonicNow(), ballot: { epoch: view.layout.epoch, hlc: ballots.next(clock.wallNow(), 0), nodeId: view.self } } : null,
    };
  }

  #deadline(): MonotonicMs {
    return plusMs(this.#context.clock.monotonicNow(), this.#options.operationDeadlineMs);
  }

  #identity(name: string, above: Ballot, deadline: MonotonicMs, done: (end: WriteEnd) => void): void {
    const isQueued = this.#inTurn(name, { kind: 'identity' }, null, above, deadline, NOBODY_ASKED, done);
    if (!isQueued) done({ kind: 'gave-up', isProposed: false, reason: 'no-quorum' });
  }

  #write(name: string, intent: WriteIntent, body: WriteBody, asker: Asker, done: (end: WriteEnd) => void, refuse: (failure: WriteFailure) => void): void {
    if (this.#inWork >= this.#options.operationsMax) {
      refuse(this.#failed(overloaded('too many operations in work')));
      return;
    }
    this.#inWork++;
    const isQueued = this.#inTurn(name, intent, body, ZERO_BALLOT, this.#deadline(), asker, (end) => {
      this.#inWork--;
      done(end);
    });
    if (isQueued) return;
    this.#inWork--;
    refuse(this.#failed(overloaded('too many writes of this name wait')));
  }

  #inTurn(name: string, intent: WriteIntent, body: WriteBody, above: Ballot, deadline: MonotonicMs, asker: Asker, done: (end: WriteEnd) => void): boolean {
    return this.#queue.enter(name, () => {
      new WriteRun(this.#context, name, intent, body, deadline, asker, (end) => {
        done(end);
        this.#queue.leave(name);
      }).begin(above);
    });
  }

  #failure(name: string, end: WriteEnd): WriteFailure {
    if (end.kind === 'gave-up') {
      if (end.isProposed) {
        return this.#unknown(name, end.reason === 'body-lost'
          ? 'the write was proposed, but no replica has its body any more'
          : 'the write was proposed, but no majority of the replicas confirmed it in time');
      }
      if (end.reason === 'disk-full') return { kind: 'not-applied', ...FULL };
      if (end.reason === 'abandoned') return { kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID', detail: 'the client has gone before the write was proposed' };
      const [code, detail]: [ErrorCode, string] = end.reason === 'no-layout'
        ? ['DHT_ERR_NOT_READY', 'this node is in no ring yet']
        : ['DHT_ERR_NO_QUORUM', 'too few replicas answered within the deadline'];
      return { kind: 'not-applied', code, detail };
    }
    const { result } = end;
    switch (result.kind) {
      case 'precondition-failed':
        return result;
      case 'unknown':
        return this.#unknown(name, 'the history of the object since then does not tell whether the write was applied');
      case 'applied':
      case 'unchanged':
        return this.#unknown(name, 'the operation ended in an unexpected way');
      default:
        return assertNever(result);
    }
  }

  #failed(failure: WriteFailure): WriteFailure {
    this.#context.onWrite(failure.kind === 'unknown' ? 'unknown' : 'not_applied');
    return failure;
  }

  #unknown(name: string, detail: string): WriteFailure {
    this.#resolver.add(name);
    return { kind: 'unknown', detail };
  }
}

const NOBODY_ASKED: Asker = { isAwaited: ALWAYS_AWAITED, heard: null };
const FULL = { code: 'DHT_ERR_DISK_FULL', detail: 'the volumes of too many of the replicas are nearly full; reads and deletes go on' } as const;

function overloaded(detail: string): WriteFailure {
  return { kind: 'not-applied', code: 'DHT_ERR_OVERLOADED', detail };
}

function appliedOp(end: WriteEnd): OpResult | null {
  return end.kind === 'settled' && end.result.kind === 'applied' ? end.result.op : null;
}

function receiptOf(name: string, body: RecordBody, op: OpResult, round: ChosenIn): Receipt {
  const { view, sets, position, chosenBy } = round;
  const version = ballotText(op.version);
  const nameOf = (nodeId: NodeId): string => memberById(view.layout, nodeId)?.name ?? nodeId;
  const owner = ownerOf(view, position) ?? sets.old[0];
  const replicas = sets.all.map((nodeId) => ({ node: nameOf(nodeId), durable: chosenBy.includes(nodeId) }));
  return {
    name, key: position, size: body.size, sha256: body.sha256, etag: `"${version}"`, version,
    owner: owner === undefined ? '' : nameOf(owner), replicas,
    replicationFactor: effectiveReplicas(view.layout),
    durableCopies: replicas.filter((replica) => replica.durable).length,
  };
}
