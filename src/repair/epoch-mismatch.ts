/**
 * The epoch fence of copy messages: they are answered only in the epoch of the sender, after the gate opened. Null when
 * the epochs agree, otherwise the reply that tells the sender so (with our layout when ours is newer).
 * Source: protocol rules R3, R14.
 */
import type { Epoch } from '../domain/ids.ts';
import type { StaleEpochReply } from '../protocol/message.ts';
import type { ViewSource } from '../ring/cluster-view.ts';

export async function epochMismatch(views: ViewSource, epoch: Epoch): Promise<StaleEpochReply | null> {
  for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
  const layout = views.current()?.layout ?? null;
  if (layout !== null && layout.epoch === epoch) return null;
  const isNewer = layout !== null && layout.epoch > epoch;
  return { kind: 'stale-epoch', epoch: layout?.epoch ?? 0, layout: isNewer ? layout : null };
}
