/**
 * What each node's registers may not do between two looks, whatever happens in between:
 *
 * - I8: promised and accepted of a key never go back on a node, restarts included. Exceptions are the protocol's own: the
 *   arc was discarded with a newer layout (A.4, 10), the node is no replica any more and let go (R15), or a tombstone was
 *   erased and the bucket's floor says so (R13).
 * - I9: one value for each ballot: whoever accepted under a ballot accepted the same.
 * - I11: nobody holds a ballot of an epoch that it hasn't reached.
 *
 * Only what was durable at the time of a look is remembered of it, as a crash may take the rest back.
 * Cost: one scan of a handful of keys for each look.
 */
import { ballotText, compareBallots, type Ballot } from '../../domain/ballot.ts';
import type { Epoch, NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { positionOfKey, type ObjectKey, type Position, type RingArc } from '../../domain/ring-position.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { RegisterStore } from '../../storage/register-store.ts';

const WHOLE_RING: RingArc = { from: 0 as Position, to: 0 as Position };
/** Keys looked at: more than any run has. */
const KEYS_MAX = 1000;

interface Seen {
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly epoch: Epoch;
}

export type CheckedStore = Pick<RegisterStore, 'scan' | 'floor' | 'flushed' | 'head'>;

export class RegisterChecker {
  readonly #durable = new Map<NodeId, Map<ObjectKey, Seen>>();
  readonly #valueOf = new Map<string, string>();
  readonly #report: (violation: string) => void;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  /** `layout`: the one in which the node answers now. */
  observe(name: string, nodeId: NodeId, layout: Layout, store: CheckedStore): void {
    const { epoch } = layout;
    const { entries } = store.scan(WHOLE_RING, null, KEYS_MAX);
    const seen = new Map<ObjectKey, Seen>();
    for (const { key, promised, accepted, kind, bodyId } of entries) {
      seen.set(key, { promised, accepted, epoch });
      if (promised.epoch > epoch || accepted.epoch > epoch) this.#report(`${name} in epoch ${epoch} holds the ballot ${ballotText(promised)} of ${key}`);
      if (kind === 'none') continue;
      const place = `${key} ${ballotText(accepted)}`;
      const value = `${kind} ${bodyId ?? ''}`;
      const known = this.#valueOf.get(place);
      if (known === undefined) this.#valueOf.set(place, value);
      else if (known !== value) this.#report(`under one ballot, ${place}, ${name} accepted ${value}, another ${known}`);
    }
    for (const [key, before] of this.#durable.get(nodeId) ?? []) this.#compare(name, nodeId, layout, store, key, before, seen.get(key) ?? null);
    store.flushed().then(() => { this.#remember(nodeId, seen); }, () => undefined);
  }

  #compare(name: string, nodeId: NodeId, layout: Layout, store: CheckedStore, key: ObjectKey, before: Seen, now: Seen | null): void {
    const isBack = now === null || compareBallots(now.promised, before.promised) < 0 || compareBallots(now.accepted, before.accepted) < 0;
    if (!isBack || layout.epoch > before.epoch) return;
    const isReplica = replicaSets(layout, positionOfKey(key, layout.keyBits)).all.includes(nodeId);
    const isErased = compareBallots(store.floor(key), before.accepted) >= 0;
    if (!isReplica || isErased) return;
    const text = ({ promised, accepted }: Seen): string => `${ballotText(promised)}, ${ballotText(accepted)}`;
    this.#report(`${name} went back on ${key} from promised and accepted ${text(before)} to ${now === null ? 'nothing' : text(now)}`);
    this.#durable.get(nodeId)?.delete(key);
  }

  #remember(nodeId: NodeId, seen: ReadonlyMap<ObjectKey, Seen>): void {
    const known = this.#durable.get(nodeId) ?? new Map<ObjectKey, Seen>();
    for (const key of known.keys()) if (!seen.has(key)) known.delete(key);
    for (const [key, value] of seen) {
      const before = known.get(key);
      // Two looks may become durable in one batch, in any order of their promises.
      if (before === undefined || value.epoch > before.epoch || compareBallots(value.promised, before.promised) >= 0) known.set(key, value);
    }
    this.#durable.set(nodeId, known);
  }
}
