/**
 * The epoch fence of copy messages: they are answered only in the epoch of the sender, while the gate is open. Callers
 * wait for the gate in a loop and ask this in the same synchronous step in which they look at the store: a layout may be
 * adopted during any wait. Null when the epochs agree, otherwise the reply that tells the sender so (with our layout when
 * ours is newer). Source: protocol rules R3, R14.
 */
import type { Epoch } from '../domain/ids.ts';
import type { StaleEpochReply } from '../protocol/message.ts';
import type { ViewSource } from '../ring/cluster-view.ts';

export function epochMismatch(views: ViewSource, epoch: Epoch): StaleEpochReply | null {
  const layout = views.current()?.layout ?? null;
  if (layout !== null && layout.epoch === epoch && views.gate() === null) return null;
  const isNewer = layout !== null && layout.epoch > epoch;
  return { kind: 'stale-epoch', epoch: layout?.epoch ?? 0, layout: isNewer ? layout : null };
}
