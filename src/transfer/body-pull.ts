/**
 * Body pull: brings a large body here from the nodes that hold it, piece by piece into its staging file. Used by an ACCEPT
 * whose body isn't here yet (rule R6) and by every copy of a record (rule R10). A pull that breaks off leaves what it has,
 * and the next one goes on there; the whole is checked by its length and SHA-256 before it counts as held.
 *
 *   waiting (at most pullsMax run) --> open staging file --> pieces in order --> finish: held | mismatch: failed
 *                                                            no holder left --> failed, kept for the next attempt
 *
 * Invariants: one pull a body, whoever asks for it; more holders may be added while it runs.
 * Cost: `aheadBytes` for each of at most `pullsMax` pulls.
 * Source: protocol section E (3), rules R6 and R10.
 */
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { PeerCaller, PeerTarget } from '../peer/peer-caller.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { memberById } from '../ring/placement.ts';
import type { BodyWriter, RegisterStore } from '../storage/register-store.ts';
import { AheadBudget, BodyStream, type BodyStreamOptions } from './body-stream.ts';
import type { Pauses } from './pauses.ts';

export interface BodyPullDeps {
  readonly caller: PeerCaller;
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly pauses: Pauses;
  /** Resolves when background work may move more than these bytes, which it has moved. */
  readonly pace: (bytes: number) => Promise<void>;
  /** Bytes that arrived, for metrics and progress. */
  readonly onBytes: (bytes: number) => void;
}

export interface BodyPullOptions extends BodyStreamOptions {
  /** Bodies pulled side by side: more is faster and takes more from client requests. */
  readonly pullsMax: number;
  /** Bodies that wait for their turn; more are refused. */
  readonly waitingMax: number;
}

export interface BodyPullTask {
  readonly key: ObjectKey;
  readonly name: string;
  readonly body: Pick<RecordBody, 'bodyId' | 'size' | 'sha256'>;
  /** Who is known or likely to hold it, best first. */
  readonly holders: readonly NodeId[];
  /** Nobody waits for it: it gives way to clients. */
  readonly isBackground: boolean;
}

/** held: durable here. full: no space. failed: no holder gave it, or someone else writes it just now; ask again later. */
export type BodyPullEnd = 'held' | 'full' | 'failed';

interface Pull {
  holders: readonly NodeId[];
  bytes: number;
  isBackground: boolean;
  readonly end: Promise<BodyPullEnd>;
}

export class BodyPull {
  readonly #deps: BodyPullDeps;
  readonly #options: BodyPullOptions;
  readonly #pulls = new Map<BodyId, Pull>();
  readonly #waiting: (() => void)[] = [];
  readonly #ahead: AheadBudget;
  #running = 0;

  constructor(deps: BodyPullDeps, options: BodyPullOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#ahead = new AheadBudget(options.pullsMax * options.aheadBytes);
  }

  /** Bytes here of a body that is being pulled; null: it isn't. */
  progress(bodyId: BodyId): number | null {
    return this.#pulls.get(bodyId)?.bytes ?? null;
  }

  /** Pulls the body, or joins the pull that runs. Never rejects. */
  pull(task: BodyPullTask): Promise<BodyPullEnd> {
    const { bodyId } = task.body;
    if (this.#deps.store.holdsBody(task.key, bodyId)) return Promise.resolve('held');
    const running = this.#pulls.get(bodyId);
    if (running !== undefined) {
      running.holders = [...new Set([...task.holders, ...running.holders])];
      running.isBackground &&= task.isBackground;
      return running.end;
    }
    if (this.#deps.pauses.isStopped || this.#waiting.length >= this.#options.waitingMax) return Promise.resolve('failed');
    const turn = this.#turn();
    const pull: Pull = {
      holders: task.holders,
      bytes: 0,
      isBackground: task.isBackground,
      end: turn.then(() => this.#run(task, pull)).finally(() => {
        this.#pulls.delete(bodyId);
        this.#running--;
        this.#waiting.shift()?.();
      }),
    };
    this.#pulls.set(bodyId, pull);
    return pull.end;
  }

  #turn(): Promise<void> {
    const begin = (): void => { this.#running++; };
    if (this.#running < this.#options.pullsMax) {
      begin();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push(() => { begin(); resolve(); });
    });
  }

  async #run({ key, name, body }: BodyPullTask, pull: Pull): Promise<BodyPullEnd> {
    const { store, caller, pauses } = this.#deps;
    if (pauses.isStopped) return 'failed';
    // A write that fails costs this attempt; whether the disk as a whole has failed is for the store to say.
    const writer = await store.openBody(key, body.bodyId).catch(() => 'busy' as const);
    if (writer === 'full') return 'full';
    if (writer === 'busy') return 'failed';
    pull.bytes = writer.length;
    const range = { offset: writer.length, length: Math.max(0, body.size - writer.length) };
    const stream = new BodyStream({ caller, pauses, ahead: this.#ahead }, this.#options, {
      name, bodyId: body.bodyId, size: body.size, range, holders: () => this.#targets(pull.holders),
    });
    const isComplete = await this.#copy(stream, writer, pull);
    if (!isComplete) {
      await writer.abort('keep');
      return 'failed';
    }
    const end = await writer.finish({ size: body.size, sha256: body.sha256 }).catch(() => 'failed' as const);
    return end === 'held' ? 'held' : 'failed';
  }

  /** False: no holder gives the next piece, or it can't be written. */
  async #copy(stream: BodyStream, writer: BodyWriter, pull: Pull): Promise<boolean> {
    const { chunkBytes } = this.#options;
    for (;;) {
      const piece = await stream.next().catch(() => 'failed' as const);
      if (piece === null) return true;
      if (piece === 'failed') return false;
      try {
        for (let at = 0; at < piece.length; at += chunkBytes) await writer.append(piece.subarray(at, at + chunkBytes));
      } catch {
        stream.cancel();
        return false;
      }
      pull.bytes += piece.length;
      this.#deps.onBytes(piece.length);
      if (pull.isBackground) await this.#deps.pace(piece.length);
    }
  }

  #targets(holders: readonly NodeId[]): readonly PeerTarget[] {
    const view = this.#deps.views.current();
    if (view === null) return [];
    const targets: PeerTarget[] = [];
    for (const nodeId of holders) {
      const member = memberById(view.layout, nodeId);
      if (member !== undefined && nodeId !== view.self) targets.push({ nodeId, advertise: member.advertise });
    }
    return targets;
  }
}
