/**
 * A replica's side of erasing tombstones: shows what it holds, and erases when told that all replicas showed the same. It
 * never believes the teller: in the step in which it erases it looks again at its own state, its epoch and its layout, which
 * has to be stable. Replies follow the sync (rule R1).
 * Source: protocol rule R13; register/erasure.ts.
 */
import { ZERO_BALLOT } from '../domain/ballot.ts';
import type { Rules } from '../domain/rules.ts';
import { positionOfKey, type ObjectKey } from '../domain/ring-position.ts';
import type { EraseReply, EraseRequest, StaleEpochReply, TombstonesReply, TombstonesRequest } from '../protocol/message.ts';
import type { AcceptorState } from '../register/acceptor.ts';
import { decideErase, viewTombstone } from '../register/erasure.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { replicaSets } from '../ring/placement.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import { epochMismatch } from './epoch-mismatch.ts';

export interface TombstoneSourceDeps {
  readonly store: RegisterStore;
  readonly views: ViewSource;
  readonly rules: Rules;
  /** So many tombstones were erased here. */
  readonly onErased: (count: number) => void;
}

export class TombstoneSource {
  readonly #deps: TombstoneSourceDeps;

  constructor(deps: TombstoneSourceDeps) {
    this.#deps = deps;
  }

  async tombstones({ epoch, entries }: TombstonesRequest): Promise<TombstonesReply | StaleEpochReply> {
    const { store, views } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const stale = epochMismatch(views, epoch);
    if (stale !== null) return stale;
    const isAlike = entries.map(({ key, ballot }) => this.#isReplicaInRest(key) && viewTombstone(this.#stateOf(key), ballot) === 'alike');
    await store.flushed();
    return { kind: 'tombstones-reply', epoch, isAlike };
  }

  async erase({ epoch, entries }: EraseRequest): Promise<EraseReply | StaleEpochReply> {
    const { store, views, rules, onErased } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const stale = epochMismatch(views, epoch);
    if (stale !== null) return stale;
    const mine = entries.filter(({ key, ballot }) => this.#isReplicaInRest(key) && decideErase(this.#stateOf(key), ballot) === 'erase');
    if (!rules.eraseRaisesFloor) await store.release(mine.map(({ key, ballot }) => ({ key, accepted: ballot })));
    const erased = await store.erase(mine);
    if (erased > 0) onErased(erased);
    return { kind: 'erase-reply', epoch, erased };
  }

  /** The layout is stable, and this node is a replica of the key in it. */
  #isReplicaInRest(key: ObjectKey): boolean {
    const view = this.#deps.views.current();
    if (view?.layout.phase !== 'stable') return false;
    return replicaSets(view.layout, positionOfKey(key, view.layout.keyBits)).old.includes(view.self);
  }

  #stateOf(key: ObjectKey): AcceptorState {
    const { store } = this.#deps;
    const head = store.head(key);
    return { promised: head?.promised ?? ZERO_BALLOT, accepted: head?.accepted ?? ZERO_BALLOT, floor: store.floor(key) };
  }
}
