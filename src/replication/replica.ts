/**
 * Replica side: answers PREPARE, ACCEPT, READ, body fetches and `inspect` for the keys this node holds. Each handler
 * waits for the gate, then checks the epoch, decides and applies in the step that saw it open, and replies once what the reply
 * shows is durable. After any other wait it starts again from the epoch, because everything may have changed.
 *
 *   gate open? --> same epoch, a replica of the key? --> decide (register/) --> apply --> durable --> reply
 *                    no: stale-epoch                      body missing: fetch it, from the start; a large one
 *                                                         comes in the background: "body-pulling", ask again
 *
 * A request whose caller gave up while the gate was closed ends there, before it touches the disk.
 * A volume that is nearly full refuses clients' bodies in PREPARE, and later every body, but never what takes no room.
 * Source: protocol rules R1, R3, R5, R6, R14, section D.5; [CASPaxos] "Acceptor".
 */
import { createHash, hash } from 'node:crypto';
import { assertNever } from '../domain/assert.ts';
import { ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { Epoch, NodeId } from '../domain/ids.ts';
import { elapsedMs } from '../domain/instant.ts';
import type { Layout } from '../domain/layout.ts';
import { FRAME_BODY_BYTES_MAX } from '../domain/limits.ts';
import { positionOfKey, type ObjectKey } from '../domain/ring-position.ts';
import type { Rules } from '../domain/rules.ts';
import { isAtLeast } from '../domain/space-level.ts';
import type { RecordBody } from '../domain/stored-object.ts';
import type { PeerCaller } from '../peer/peer-caller.ts';
import type {
  AcceptReply, AcceptRequest, BodyFetchReply, BodyFetchRequest, FaultReply, InspectReply, InspectRequest, PrepareReply, PrepareRequest,
  ReadReply, ReadRequest, StaleEpochReply,
} from '../protocol/message.ts';
import { ballotToOutbid, decideAccept, decidePrepare, type AcceptorState } from '../register/acceptor.ts';
import type { AcceptedValue } from '../register/read-decision.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { objectKey } from '../ring/hasher.ts';
import { replicaSets } from '../ring/placement.ts';
import type { RegisterHead, RegisterStore } from '../storage/register-store.ts';
import type { StoreOperations } from '../storage/store-operations.ts';
import type { BodyPull } from '../transfer/body-pull.ts';
import type { Pauses } from '../transfer/pauses.ts';
import { fetchBody } from './body-source.ts';
import type { BodyStaging } from './body-staging.ts';
import { LateBodies, type LateBodiesOptions } from './late-bodies.ts';

export interface ReplicaDeps {
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly caller: PeerCaller;
  readonly rules: Rules;
  readonly pauses: Pauses;
  readonly staging: BodyStaging;
  readonly pulls: BodyPull;
  readonly operations: StoreOperations;
  /** This replica lacks the newest record of a name because its body couldn't be had. */
  readonly onLacking: (name: string) => void;
}

export interface ReplicaOptions {
  /** Bytes of a body that travels in a frame. */
  readonly inlineBytesMax: number;
  /** Milliseconds that one holder is given to send a missing body. Higher: more patience; lower: earlier at the next. */
  readonly bodyFetchTimeoutMs: number;
  /** Milliseconds of silence after which the next holder is asked too. */
  readonly bodyGraceMs: number;
  readonly lateBodies: LateBodiesOptions;
}

const NOBODY: readonly NodeId[] = [];
/** The patience of no caller: the ACCEPT is evaluated for its own sake, however long that takes. */
const NOBODY_WAITS = 0;

/** Where a request applies: the key under the layout of its epoch. */
interface Place {
  readonly kind: 'here';
  readonly layout: Layout;
  readonly key: ObjectKey;
  readonly head: RegisterHead | null;
  readonly state: AcceptorState;
}

export class Replica {
  readonly #deps: ReplicaDeps;
  readonly #options: ReplicaOptions;
  readonly #lateBodies: LateBodies;

  constructor(deps: ReplicaDeps, options: ReplicaOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#lateBodies = new LateBodies({ ...deps, acceptAgain: (request) => this.accept(request, NOBODY_WAITS) }, options.lateBodies);
  }

  /** Phase 1, with the inline body in the same batch of the log. `deadlineMs`, here and below: what is left of the caller's patience. */
  async prepare(request: PrepareRequest, deadlineMs: number): Promise<PrepareReply | StaleEpochReply | FaultReply> {
    const { store, views, rules } = this.#deps;
    const staged = request.staged === null ? null : { bodyId: request.staged.bodyId, bytes: request.body ?? Buffer.alloc(0) };
    if (staged !== null && hash('sha256', staged.bytes, 'hex') !== request.staged?.sha256) {
      return fault('DHT_ERR_PEER_PROTOCOL', 'the staged body has another digest than announced');
    }
    while (views.gate() !== null) if (!await this.#opens(deadlineMs)) return expired();
    const place = this.#place(request.epoch, request.name);
    if (place.kind !== 'here') return place;
    // Only a client's write stages. A record that others choose may still come, by ACCEPT.
    if (staged !== null && isAtLeast(store.spaceLevel(), 'full')) return fullFault();
    const { key, head, state } = place;
    const isPromised = decidePrepare(state, request.ballot, rules) === 'promise';
    // A refused PREPARE doesn't end the staging: the body will be wanted again (rule R5).
    const durable = isPromised
      ? store.promise(key, request.name, request.ballot, staged)
      : staged === null ? store.settled(key) : store.stage(key, staged.bodyId, staged.bytes);
    const accepted = await this.#load(key, request.name, head, durable);
    if (accepted === 'unreadable') return unreadable();
    return {
      kind: 'prepare-reply',
      epoch: request.epoch,
      state: isPromised ? 'promised' : 'refused',
      promised: isPromised ? request.ballot : state.promised,
      accepted,
      floor: state.floor,
      isStaged: staged !== null,
    };
  }

  /** Phase 2. */
  async accept(request: AcceptRequest, deadlineMs: number): Promise<AcceptReply | StaleEpochReply | FaultReply> {
    const { store, views, rules } = this.#deps;
    const body = request.record.kind === 'object' ? request.record.body : null;
    let wasFetched = false;
    for (;;) {
      while (views.gate() !== null) if (!await this.#opens(deadlineMs)) return expired();
      const place = this.#place(request.epoch, request.name);
      if (place.kind !== 'here') return place;
      const { key, layout, state } = place;
      const isHeld = body === null || !rules.acceptNeedsBody || store.holdsBody(key, body.bodyId);
      const decision = decideAccept(state, request.ballot, isHeld, rules);
      switch (decision) {
        case 'refuse':
          await this.#durable(store.settled(key));
          return acceptReply(request.epoch, 'refused', ballotToOutbid(state));
        case 'repeat':
          // A body that had rotted under its record is here again, but only a record names it for good.
          await this.#durable(wasFetched ? store.accept(key, request.name, request.ballot, request.record) : store.settled(key));
          return acceptReply(request.epoch, 'accepted', state.promised);
        case 'accept':
          await this.#store(key, request);
          return acceptReply(request.epoch, 'accepted', request.ballot);
        case 'fetch-body': {
          if (store.spaceLevel() === 'read-only') return fullFault();
          if (body?.where === 'file') {
            if (wasFetched) return acceptReply(request.epoch, 'body-missing', state.promised);
            const holders = this.#others(request.holders, replicaSets(layout, positionOfKey(key, layout.keyBits)).all);
            const pulledBytes = await this.#lateBodies.await(key, request, body, holders, deadlineMs);
            if (pulledBytes !== null) return { ...acceptReply(request.epoch, 'body-pulling', state.promised), pulledBytes };
            wasFetched = true;
            break;
          }
          const bytes = body === null || wasFetched ? null : await this.#fetch(layout, request.name, body, request.holders, deadlineMs);
          if (body === null || bytes === null) return acceptReply(request.epoch, 'body-missing', state.promised);
          wasFetched = true;
          // Durable before the record that names it: one log, in order.
          await store.stage(key, body.bodyId, bytes);
          break;
        }
        default:
          return assertNever(decision);
      }
    }
  }

  async read(request: ReadRequest, deadlineMs: number): Promise<ReadReply | StaleEpochReply | FaultReply> {
    const { store, views, operations } = this.#deps;
    while (views.gate() !== null) if (!await this.#opens(deadlineMs)) return expired();
    const place = this.#place(request.epoch, request.name);
    if (place.kind !== 'here') return place;
    const { key, head, state } = place;
    const beginAt = operations.begin();
    const wantsBody = request.wantBody && head?.kind === 'object' && head.bodyId !== null && head.size <= this.#options.inlineBytesMax;
    const body = wantsBody && head.bodyId !== null ? store.readBody(key, head.bodyId, 0, head.size).catch(() => null) : null;
    const accepted = await this.#load(key, request.name, head, store.settled(key));
    if (accepted === 'unreadable') {
      operations.end('read', beginAt, false);
      return unreadable();
    }
    const isInline = accepted?.record.kind === 'object' && accepted.record.body.where === 'inline';
    const bytes = body === null ? null : await body;
    operations.end('read', beginAt, body === null || bytes !== null);
    return {
      kind: 'read-reply', epoch: request.epoch, promised: state.promised, accepted, floor: state.floor,
      body: isInline ? bytes?.bytes ?? null : null,
    };
  }

  /** Needs no epoch: a body is immutable and named by its id. */
  async bodyFetch(request: BodyFetchRequest): Promise<BodyFetchReply> {
    const { store, views } = this.#deps;
    const layout = views.current()?.layout;
    if (layout === undefined) return { kind: 'body-fetch-reply', isHeld: false, size: 0, body: null };
    // Not `holdsBody`: a body that was just replaced is still readable to its end.
    const key = objectKey(request.name, layout.keyBits);
    const found = await store.readBody(key, request.bodyId, request.offset, Math.min(request.length, FRAME_BODY_BYTES_MAX)).catch(() => null);
    return { kind: 'body-fetch-reply', isHeld: found !== null, size: found?.size ?? 0, body: found?.bytes ?? null };
  }

  /** What is really here, digest computed from the stored bytes; in any epoch. A digest that takes longer than the caller waits is left out. */
  async inspect(request: InspectRequest, deadlineMs: number): Promise<InspectReply | FaultReply> {
    const { store, views } = this.#deps;
    const layout = views.current()?.layout;
    if (layout === undefined) return fault('DHT_ERR_NOT_READY', 'no layout yet');
    const key = objectKey(request.name, layout.keyBits);
    const head = store.head(key);
    const accepted = await this.#load(key, request.name, head, store.settled(key));
    if (accepted === 'unreadable') return unreadable();
    const body = accepted?.record.kind === 'object' ? accepted.record.body : null;
    return {
      kind: 'inspect-reply', epoch: layout.epoch, promised: head?.promised ?? ZERO_BALLOT, accepted,
      sha256: body === null ? null : await this.#digest(key, body, deadlineMs), isDurable: accepted !== null,
    };
  }

  async #digest(key: ObjectKey, { bodyId, size }: RecordBody, deadlineMs: number): Promise<string | null> {
    const { store, pauses: { clock } } = this.#deps;
    const beginAt = clock.monotonicNow();
    const digest = createHash('sha256');
    for (let offset = 0; offset < size; offset += FRAME_BODY_BYTES_MAX) {
      const found = await store.readBody(key, bodyId, offset, Math.min(FRAME_BODY_BYTES_MAX, size - offset)).catch(() => null);
      if (found === null || elapsedMs(beginAt, clock.monotonicNow()) > deadlineMs) return null;
      digest.update(found.bytes);
    }
    return digest.digest('hex');
  }

  /** Waits until the gate opened; it can have closed again since, so look once more. False: longer than the sender waits. */
  async #opens(deadlineMs: number): Promise<boolean> {
    const { views, pauses: { clock } } = this.#deps;
    const beginAt = clock.monotonicNow();
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    return deadlineMs === NOBODY_WAITS || elapsedMs(beginAt, clock.monotonicNow()) < deadlineMs;
  }

  /** The fence (rule R3): only in the epoch of the message, only for keys this node holds in it. */
  #place(epoch: Epoch, name: string): Place | StaleEpochReply | FaultReply {
    const { store, views, rules } = this.#deps;
    const view = views.current();
    if (view === null) return { kind: 'stale-epoch', epoch: 0, layout: null };
    const { layout, self } = view;
    const key = objectKey(name, layout.keyBits);
    if (rules.epochFence) {
      if (layout.epoch !== epoch) return { kind: 'stale-epoch', epoch: layout.epoch, layout: layout.epoch > epoch ? layout : null };
      if (!replicaSets(layout, positionOfKey(key, layout.keyBits)).all.includes(self)) {
        return fault('DHT_ERR_CONFLICT', 'this node is no replica of the key in this epoch');
      }
    }
    const head = store.head(key);
    const state = { promised: head?.promised ?? ZERO_BALLOT, accepted: head?.accepted ?? ZERO_BALLOT, floor: store.floor(key) };
    return { kind: 'here', layout, key, head, state };
  }

  /** The record of the head, once everything it shows is durable. */
  async #load(key: ObjectKey, name: string, head: RegisterHead | null, durable: Promise<void>): Promise<AcceptedValue | null | 'unreadable'> {
    if (head === null || head.kind === 'none') {
      await this.#durable(durable);
      return null;
    }
    const loading = this.#deps.store.load(key, head).catch(() => null);
    await this.#durable(durable);
    const loaded = await loading;
    // Another name under the same 160 bits of hash: refused rather than mixed up.
    if (loaded === null || loaded.name !== name) return 'unreadable';
    return { ballot: head.accepted, record: loaded.record };
  }

  async #store(key: ObjectKey, { name, ballot, record }: AcceptRequest): Promise<void> {
    const { store, operations } = this.#deps;
    const beginAt = operations.begin();
    let isOk = false;
    try {
      await this.#durable(store.accept(key, name, ballot, record));
      isOk = true;
    } finally {
      operations.end(record.kind === 'object' ? 'write' : 'delete', beginAt, isOk);
    }
  }

  /** Rule R1. A rejection means that the disk failed: the store ends the process. */
  async #durable(change: Promise<void>): Promise<void> {
    if (this.#deps.rules.replyAfterFsync) await change;
    else change.catch(() => undefined);
  }

  #fetch(layout: Layout, name: string, body: RecordBody, holders: readonly NodeId[], deadlineMs: number): Promise<Buffer | null> {
    const timeoutMs = Math.min(this.#options.bodyFetchTimeoutMs, deadlineMs);
    const { caller, pauses: { clock } } = this.#deps;
    return fetchBody({ caller, clock, graceMs: this.#options.bodyGraceMs }, layout, name, body, this.#others(holders, NOBODY), timeoutMs);
  }

  /** First the holders, then the rest of the replicas, each once, without this node. */
  #others(holders: readonly NodeId[], replicas: readonly NodeId[]): readonly NodeId[] {
    const self = this.#deps.views.current()?.self;
    return [...holders, ...replicas.filter((id) => !holders.includes(id))].filter((id) => id !== self);
  }
}

function acceptReply(epoch: Epoch, state: AcceptReply['state'], promised: Ballot): AcceptReply {
  return { kind: 'accept-reply', epoch, state, pulledBytes: 0, promised };
}

function fault(code: ErrorCode, detail: string): FaultReply {
  return { kind: 'fault', code, detail };
}

/** Nobody reads it: the caller's time is up. */
function expired(): FaultReply {
  return fault('DHT_ERR_NOT_READY', 'the time of this request passed while it waited');
}

function fullFault(): FaultReply {
  return fault('DHT_ERR_DISK_FULL', 'the volume of this replica is too full');
}

function unreadable(): FaultReply {
  return fault('DHT_ERR_DATA_DAMAGED', 'the stored record of this key cannot be read');
}
