/**
 * A lone record: an ex-owner has accepted it, all replicas of today answer, and no majority of them holds anything as high. The
 * move didn't bring it, so receipts alone would wait for it for ever. Who decides is a quorum of the present replicas, by an identity
 * round that the ex-owner coordinates and has no vote in; nothing of its own is pushed (rule R15).
 *
 * The round ends in one of two ways, in the stable epoch e in which it was asked:
 * - *chosen*: some value was accepted again in epoch e, above every ballot of an older epoch and so above the lone record. The
 *   next question for receipts finds it.
 * - *absent*: a quorum holds nothing. Then the lone record may be dropped. Proof: suppose it had been chosen, at ballot b of an
 *   epoch d < e. Then a majority of the owners of epoch d had accepted it or a later value built on it, and every move since
 *   became stable only after a majority of its new owners had merged a majority of its old ones (A.4, 5 and 8; R11). So in e a
 *   majority had accepted something at b or above; a replica goes back from that to holding nothing only by erasing a later
 *   tombstone (R13), or by discarding what it held before it was away (A.4, 10), which its catch-up makes good before it counts.
 *   Any quorum meets that majority: one that finds nothing proves that the record was never chosen, or was deleted since. And
 *   it never can be chosen any more: ACCEPTs of epoch d are refused in e.
 *
 * The proof needs what the rules promise. Where an operator gave up members for lost (layout.recoveries), a majority may be gone
 * and this copy the last one: then it is *kept*. It keeps no leave waiting, for its directory stays, and it is never served.
 * Source: protocol section E (6), rules R11, R13, R15.
 */
import type { Layout } from '../domain/layout.ts';
import type { RegisterStore, ScanEntry } from '../storage/register-store.ts';

/** settled: replicas hold more than it now; ask for receipts again. droppable, kept: see above. failed: ask again later. */
export type LoneRecordEnd = 'settled' | 'droppable' | 'kept' | 'failed';

/** Chooses again, in this epoch, whatever a quorum has of the name; absent: it has nothing. Never rejects. */
export type Settle = (name: string, epoch: number) => Promise<'chosen' | 'absent' | 'failed'>;

export async function settleLoneRecord(store: RegisterStore, settle: Settle, layout: Layout, { key, ...head }: ScanEntry): Promise<LoneRecordEnd> {
  const loaded = await store.load(key, head);
  if (loaded === null) return 'failed';
  const end = await settle(loaded.name, layout.epoch);
  if (end !== 'absent') return end === 'chosen' ? 'settled' : 'failed';
  return layout.recoveries.length === 0 ? 'droppable' : 'kept';
}
