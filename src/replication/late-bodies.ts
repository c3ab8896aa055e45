/**
 * Late bodies: what a replica does with an ACCEPT whose large body isn't here. It brings the body in the background (or
 * waits for a sender that is still at it), tells the proposer how far it is, and evaluates the ACCEPT again once the body
 * is durable, as if the message had only now arrived: so a slow replica ends up with the record even when its quorum was
 * met without it. If the body can't be had, the register is left to the repair queue.
 *
 * Invariants: one task a body, the highest ballot's ACCEPT counts; at most `tasksMax` tasks.
 * Source: protocol rule R6 ("fetch it from the holders and evaluate again"), section C.2 ("cut and repaired later").
 */
import { compareBallots } from '../domain/ballot.ts';
import { DhtError } from '../domain/error-catalogue.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { AcceptRequest } from '../protocol/message.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import type { BodyPull } from '../transfer/body-pull.ts';
import type { Pauses } from '../transfer/pauses.ts';
import type { BodyStaging } from './body-staging.ts';

export interface LateBodiesDeps {
  readonly store: RegisterStore;
  readonly staging: BodyStaging;
  readonly pulls: BodyPull;
  readonly pauses: Pauses;
  /** Evaluates the ACCEPT; its reply goes nowhere. */
  readonly acceptAgain: (request: AcceptRequest) => Promise<unknown>;
  /** The body of this name couldn't be had: to be repaired later. */
  readonly onLacking: (name: string) => void;
}

export interface LateBodiesOptions {
  readonly tasksMax: number;
  /** Milliseconds that a proposer waits for one answer, at most. */
  readonly waitMs: number;
}

interface Task {
  request: AcceptRequest;
  readonly arrived: Promise<boolean>;
}

export class LateBodies {
  readonly #deps: LateBodiesDeps;
  readonly #options: LateBodiesOptions;
  readonly #tasks = new Map<BodyId, Task>();

  constructor(deps: LateBodiesDeps, options: LateBodiesOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /**
   * Begins to bring the body, or goes on, and waits for it a moment, at most half of `deadlineMs`. Gives the bytes that are
   * here while it is on its way; null: it is here, or can't be had.
   */
  async await(key: ObjectKey, request: AcceptRequest, body: RecordBody, holders: readonly NodeId[], deadlineMs: number): Promise<number | null> {
    const { bodyId } = body;
    const { staging, pulls, pauses } = this.#deps;
    let task = this.#tasks.get(bodyId);
    if (task === undefined) {
      if (this.#tasks.size >= this.#options.tasksMax) return null;
      task = { request, arrived: this.#bring(key, request.name, body, holders) };
      this.#tasks.set(bodyId, task);
      void this.#finish(bodyId, task);
    } else if (compareBallots(request.ballot, task.request.ballot) > 0) {
      task.request = request;
    }
    const isOver = await pauses.within(task.arrived, Math.min(this.#options.waitMs, deadlineMs / 2));
    return isOver === null ? staging.progress(bodyId) ?? pulls.progress(bodyId) ?? 0 : null;
  }

  async #bring(key: ObjectKey, name: string, body: RecordBody, holders: readonly NodeId[]): Promise<boolean> {
    const { store, staging, pulls } = this.#deps;
    for (let sent = staging.ended(body.bodyId); sent !== null; sent = staging.ended(body.bodyId)) await sent;
    if (store.holdsBody(key, body.bodyId)) return true;
    return (await pulls.pull({ key, name, body, holders, isBackground: false })) === 'held';
  }

  async #finish(bodyId: BodyId, task: Task): Promise<void> {
    try {
      const isHere = await task.arrived;
      this.#tasks.delete(bodyId);
      if (isHere) await this.#deps.acceptAgain(task.request);
      else if (!this.#deps.pauses.isStopped) this.#deps.onLacking(task.request.name);
    } catch (error) {
      // The store failed: the node ends.
      this.#tasks.delete(bodyId);
      if (!(error instanceof DhtError)) throw error;
    }
  }
}
