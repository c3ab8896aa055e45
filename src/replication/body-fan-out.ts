/**
 * Body fan-out: the coordinator's side of staging a large body. It reads the source, cuts chunks, hashes the whole once and
 * hands every chunk to one sender for each replica of old ∪ new, this node included.
 *
 * Pace: the source is read on while the slowest member of the *fastest joint quorum* has less than `windowBytes`
 * outstanding, so with three replicas the client goes as fast as the second fastest. Whoever is more than `lagBytes` behind
 * is cut and gets the body later. So at most `lagBytes` and what the source gives at once are in memory, whatever the size.
 * A cut costs a pull of the rest, so a replica that is only a little slower, or paused a moment, is waited for: as long as
 * it makes progress, and in all for at most GRACE_SHARE of the time so far.
 *
 *   reading --end, verified--> ending --quorum holds--> staged        (slower replicas go on in the background)
 *      |  source breaks off, not verified: all replicas drop it       --> refused
 *      '--no quorum can be had any more                               --> refused
 *
 * The replicas are those of the layout at the beginning: staging needs no epoch, and a replica that a later layout brings in
 * pulls the body when it gets the ACCEPT (rule R6).
 * Source: protocol section C.2 (2 to 4, "Parallel fan-out, not a chain"), rule R4.
 */
import { createHash } from 'node:crypto';
import type { BodyId, NodeId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { BodySource } from '../domain/object-operation.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import { JointQuorum } from '../register/joint-quorum.ts';
import type { ClusterView } from '../ring/cluster-view.ts';
import { memberById, type ReplicaSets } from '../ring/placement.ts';
import type { Pauses } from '../transfer/pauses.ts';
import { BodySender, type BodySenderOptions } from './body-sender.ts';
import { ChunkCutter } from './chunk-cutter.ts';

export interface BodyFanOutDeps {
  readonly caller: PeerCaller;
  readonly pauses: Pauses;
}

export interface BodyFanOutOptions extends BodySenderOptions {
  readonly chunkBytes: number;
  /** Bytes by which the fastest quorum may be behind the source. */
  readonly windowBytes: number;
  /** Bytes by which any replica may be behind before it is cut. */
  readonly lagBytes: number;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

export type FanOutEnd =
  /** `holders` grows while slower replicas finish. */
  | { readonly kind: 'staged'; readonly body: RecordBody; readonly holders: readonly NodeId[] }
  /** Nothing was proposed, and the replicas were told to drop it. */
  | ({ readonly kind: 'refused' } & Refusal);

/** Milliseconds that are always there for waiting, and the longest wait without any progress. */
const GRACE_MIN_MS = 250;
/** Part of the upload's time that may be spent waiting for replicas beyond the quorum. */
const GRACE_SHARE = 0.25;

interface Replica {
  readonly nodeId: NodeId;
  readonly sender: BodySender;
}

export class BodyFanOut {
  readonly #pauses: Pauses;
  readonly #options: BodyFanOutOptions;
  readonly #sets: ReplicaSets;
  readonly #bodyId: BodyId;
  readonly #replicas: readonly Replica[];
  readonly #holders: NodeId[] = [];
  #readBytes = 0;
  #wake: (() => void) | null = null;
  readonly #beginAt: MonotonicMs;
  #waitedMs = 0;

  constructor(deps: BodyFanOutDeps, options: BodyFanOutOptions, view: ClusterView, sets: ReplicaSets, name: string, bodyId: BodyId) {
    this.#pauses = deps.pauses;
    this.#beginAt = deps.pauses.clock.monotonicNow();
    this.#options = options;
    this.#sets = sets;
    this.#bodyId = bodyId;
    const onChange = (): void => { this.#onChange(); };
    this.#replicas = sets.all.map((nodeId) => {
      const target = { nodeId, advertise: memberById(view.layout, nodeId)?.advertise ?? '' };
      return { nodeId, sender: new BodySender({ ...deps, onChange }, options, target, name, bodyId) };
    });
  }

  /** `check`: asked after the last byte with the size; null to go on. Never rejects. */
  async run(source: BodySource, check: (size: number) => Refusal | null): Promise<FanOutEnd> {
    const { chunkBytes } = this.#options;
    const cutter = new ChunkCutter(chunkBytes);
    const digest = createHash('sha256');
    const push = (chunk: Buffer): void => {
      digest.update(chunk);
      for (const { sender } of this.#replicas) sender.push(this.#readBytes, chunk);
      this.#readBytes += chunk.length;
    };
    for (;;) {
      const piece = await source.next().catch(() => 'broken' as const);
      if (piece === 'broken') return this.#refuse('DHT_ERR_REQUEST_INVALID', 'the sender of the body broke off');
      if (piece === null) break;
      for (const chunk of cutter.cut(piece)) {
        push(chunk);
        if (!(await this.#untilRoom())) return this.#tooFew();
      }
    }
    const rest = cutter.rest();
    if (rest !== null) push(rest);
    const refusal = check(this.#readBytes);
    if (refusal !== null) return this.#refuse(refusal.code, refusal.detail);
    const size = this.#readBytes;
    const sha256 = digest.digest('hex');
    for (const { sender } of this.#replicas) sender.end(size, sha256);
    if (!(await this.#untilQuorum(({ state }) => state === 'held'))) return this.#tooFew();
    return { kind: 'staged', body: { bodyId: this.#bodyId, size, sha256, where: 'file', chunkCrcs: [] }, holders: this.#holders };
  }

  /** Tells all replicas to drop the body: nothing will name it. */
  abort(): void {
    for (const { sender } of this.#replicas) sender.abort();
  }

  #tooFew(): FanOutEnd {
    const isFull = this.#replicas.some(({ sender }) => sender.isFull);
    return isFull
      ? this.#refuse('DHT_ERR_DISK_FULL', 'the disks of too many replicas are full')
      : this.#refuse('DHT_ERR_NO_QUORUM', 'too few replicas take the body');
  }

  #refuse(code: ErrorCode, detail: string): FanOutEnd {
    this.abort();
    return { kind: 'refused', code, detail };
  }

  /** Waits until a quorum has room in its window, and a little for the others; false: no quorum can be had. */
  async #untilRoom(): Promise<boolean> {
    const { windowBytes, lagBytes } = this.#options;
    const { clock } = this.#pauses;
    for (;;) {
      if (!(await this.#untilQuorum(({ ackedBytes }) => this.#readBytes - ackedBytes < windowBytes))) return false;
      const laggards = this.#replicas.filter(({ sender }) => sender.state === 'sending' && this.#readBytes - sender.ackedBytes > lagBytes);
      if (laggards.length === 0) return true;
      const now = clock.monotonicNow();
      const graceMs = Math.min(GRACE_MIN_MS, GRACE_MIN_MS + GRACE_SHARE * elapsedMs(this.#beginAt, now) - this.#waitedMs);
      const hasMoved = graceMs <= 0 ? null : await this.#pauses.within(this.#nextChange(), graceMs);
      this.#waitedMs += elapsedMs(now, clock.monotonicNow());
      if (hasMoved === null) for (const { sender } of laggards) sender.cut();
    }
  }

  #nextChange(): Promise<'moved'> {
    return new Promise((resolve) => { this.#wake = () => { resolve('moved'); }; });
  }

  /** Waits until a joint quorum of senders is as wanted; false when too many are cut. */
  async #untilQuorum(isAsWanted: (sender: BodySender) => boolean): Promise<boolean> {
    for (;;) {
      const quorum = new JointQuorum(this.#sets);
      for (const { nodeId, sender } of this.#replicas) {
        if (sender.state === 'cut') quorum.fail(nodeId);
        else if (isAsWanted(sender)) quorum.add(nodeId);
      }
      if (quorum.isMet) return true;
      if (quorum.isImpossible()) return false;
      await this.#nextChange();
    }
  }

  #onChange(): void {
    for (const { nodeId, sender } of this.#replicas) {
      if (sender.state === 'held' && !this.#holders.includes(nodeId)) this.#holders.push(nodeId);
    }
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
