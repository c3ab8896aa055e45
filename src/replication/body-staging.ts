/**
 * Body staging: a replica's side of a large body on its way here. Each body has one session, which feeds the messages to
 * the store one after the other; a reply follows the write, so the sender's window is the back-pressure.
 *
 *   stage --openBody--> open --stage in order--> open --stage-end--> held | mismatch   (session over)
 *                        |  out-of-order: tells where to go on; kept bytes of an earlier attempt count
 *                        |--stage-abort--> dropped
 *                        '--silent for progressMs, or wanted by a pull and silent for wantedSilenceMs--> kept for later
 *
 * Needs no epoch: a body is immutable and named by a random id, and counts for nothing until a record names it.
 * Invariants: at most `sessionsMax` open writers; a session ends by itself.
 * Source: protocol sections C.2 (2) and G, rules R3 and R6.
 */
import type { BodyId } from '../domain/ids.ts';
import { elapsedMs, type MonotonicMs } from '../domain/instant.ts';
import type { Timer } from '../ports/clock.ts';
import type {
  StageAbortReply, StageAbortRequest, StageEndReply, StageEndRequest, StageReply, StageRequest,
} from '../protocol/message.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { isAtLeast } from '../domain/space-level.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { objectKey } from '../ring/hasher.ts';
import type { BodyWriter, RegisterStore } from '../storage/register-store.ts';
import type { Pauses } from '../transfer/pauses.ts';

export interface BodyStagingDeps {
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly pauses: Pauses;
}

export interface BodyStagingOptions {
  /** Bytes of every piece but the last. */
  readonly chunkBytes: number;
  /** Bodies received at the same time; more are refused. */
  readonly sessionsMax: number;
  /** Milliseconds of silence after which a session is given up. */
  readonly progressMs: number;
  /** The same once the body is wanted by a pull: its sender has probably cut this replica. */
  readonly wantedSilenceMs: number;
}

/** Milliseconds between two looks for silent sessions. */
const SWEEP_MS = 500;

interface Session {
  readonly key: ObjectKey;
  /** held: nothing to write. busy: someone else writes it. full: no space. */
  writer: BodyWriter | 'held' | 'busy' | 'full';
  length: number;
  /** Everything of this session runs behind this. */
  tail: Promise<void>;
  /** Messages that wait or run. */
  open: number;
  lastAt: MonotonicMs;
  isWanted: boolean;
  isOver: boolean;
  readonly ended: Promise<void>;
  readonly resolveEnded: () => void;
}

export class BodyStaging {
  readonly #deps: BodyStagingDeps;
  readonly #options: BodyStagingOptions;
  readonly #sessions = new Map<BodyId, Session>();
  #sweep: Timer | null = null;

  constructor(deps: BodyStagingDeps, options: BodyStagingOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Appends; resolves when the disk took the bytes. */
  stage({ name, bodyId, offset, body }: StageRequest): Promise<StageReply> {
    const { chunkBytes } = this.#options;
    const refused: StageReply = { kind: 'stage-reply', state: 'refused', length: 0 };
    return this.#inOrder(name, bodyId, refused, async (session) => {
      const { writer } = session;
      if (writer === 'held') return { kind: 'stage-reply', state: 'out-of-order', length: offset + body.length };
      if (writer === 'full') return { kind: 'stage-reply', state: 'full', length: 0 };
      if (writer === 'busy' || body.length > chunkBytes || session.length % chunkBytes !== 0) return refused;
      if (offset !== session.length) return { kind: 'stage-reply', state: 'out-of-order', length: session.length };
      await writer.append(body);
      session.length += body.length;
      return { kind: 'stage-reply', state: 'ok', length: session.length };
    });
  }

  /** `held` only once file, directories and the log know it (rule R1). */
  stageEnd({ name, bodyId, size, sha256 }: StageEndRequest): Promise<StageEndReply> {
    const refused: StageEndReply = { kind: 'stage-end-reply', state: 'refused' };
    return this.#inOrder(name, bodyId, refused, async (session) => {
      const { writer } = session;
      if (writer === 'held') {
        await this.#deps.store.settled(session.key);
        return { kind: 'stage-end-reply', state: 'held' };
      }
      if (writer === 'full' || writer === 'busy' || session.length !== size) return refused;
      session.writer = 'busy';
      const state = await writer.finish({ size, sha256 });
      this.#end(bodyId, session);
      return { kind: 'stage-end-reply', state };
    });
  }

  /** What is here of the body is of no use to anyone. */
  stageAbort({ bodyId }: StageAbortRequest): Promise<StageAbortReply> {
    const session = this.#sessions.get(bodyId);
    if (session !== undefined) this.#close(bodyId, session, 'drop');
    return Promise.resolve({ kind: 'stage-abort-reply' });
  }

  /** Bytes here of a body that is being received; null: none is. */
  progress(bodyId: BodyId): number | null {
    return this.#sessions.get(bodyId)?.length ?? null;
  }

  /** Null: the body isn't being received. Otherwise resolves when that is over, one way or the other: soon, if nothing comes any more. */
  ended(bodyId: BodyId): Promise<void> | null {
    const session = this.#sessions.get(bodyId);
    if (session === undefined) return null;
    session.isWanted = true;
    return session.ended;
  }

  /** Closes all sessions; what is here stays for later. Resolves when no writer is open. */
  async stop(): Promise<void> {
    this.#sweep?.cancel();
    this.#sweep = null;
    const sessions = [...this.#sessions];
    for (const [bodyId, session] of sessions) this.#close(bodyId, session, 'keep');
    await Promise.all(sessions.map(([, session]) => session.tail));
  }

  /** Runs a step of the body's session behind all earlier ones; `refused` when there can be no session. */
  #inOrder<R>(name: string, bodyId: BodyId, refused: R, step: (session: Session) => Promise<R>): Promise<R> {
    const layout = this.#deps.views.current()?.layout;
    if (layout === undefined || this.#deps.pauses.isStopped) return Promise.resolve(refused);
    const session = this.#sessions.get(bodyId) ?? this.#begin(objectKey(name, layout.keyBits), bodyId);
    if (session === null) return Promise.resolve(refused);
    session.open++;
    const result = session.tail.then(() => (session.isOver ? refused : step(session))).finally(() => {
      session.open--;
      session.lastAt = this.#deps.pauses.clock.monotonicNow();
    });
    session.tail = result.then(() => undefined, () => undefined);
    return result;
  }

  #begin(key: ObjectKey, bodyId: BodyId): Session | null {
    if (this.#sessions.size >= this.#options.sessionsMax) return null;
    const { store, pauses } = this.#deps;
    const { promise: ended, resolve: resolveEnded } = Promise.withResolvers<void>();
    const session: Session = {
      key, writer: 'busy', length: 0, tail: Promise.resolve(), open: 0, lastAt: pauses.clock.monotonicNow(), isWanted: false, isOver: false,
      ended, resolveEnded,
    };
    this.#sessions.set(bodyId, session);
    session.tail = this.#open(store, bodyId, session);
    this.#sweep ??= pauses.clock.after(SWEEP_MS, () => { this.#sweepNow(); });
    return session;
  }

  async #open(store: RegisterStore, bodyId: BodyId, session: Session): Promise<void> {
    if (store.holdsBody(session.key, bodyId)) session.writer = 'held';
    else session.writer = isAtLeast(store.spaceLevel(), 'full') ? 'full' : await store.openBody(session.key, bodyId);
    if (typeof session.writer !== 'string') session.length = session.writer.length;
  }

  /** Ends the session behind what is in work. */
  #close(bodyId: BodyId, session: Session, keep: 'keep' | 'drop'): void {
    session.tail = session.tail.then(async () => {
      if (session.isOver) return;
      session.isOver = true;
      if (typeof session.writer !== 'string') await session.writer.abort(keep);
      this.#end(bodyId, session);
    }).catch(() => { this.#end(bodyId, session); });
  }

  #end(bodyId: BodyId, session: Session): void {
    session.isOver = true;
    this.#sessions.delete(bodyId);
    session.resolveEnded();
  }

  #sweepNow(): void {
    const { clock } = this.#deps.pauses;
    const { progressMs, wantedSilenceMs } = this.#options;
    const now = clock.monotonicNow();
    for (const [bodyId, session] of this.#sessions) {
      const silenceMs = session.open > 0 ? 0 : elapsedMs(session.lastAt, now);
      const limitMs = typeof session.writer === 'string' ? 0 : session.isWanted ? wantedSilenceMs : progressMs;
      if (session.open === 0 && silenceMs >= limitMs) this.#close(bodyId, session, 'keep');
    }
    this.#sweep = this.#sessions.size === 0 ? null : clock.after(SWEEP_MS, () => { this.#sweepNow(); });
  }
}
