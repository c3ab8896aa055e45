/**
 * Layout exchange: what a coordinator does when a replica answers from another epoch. Whoever has the older layout gets
 * the newer one; the operation goes on under its own deadline.
 * Source: protocol rule R3.
 */
import type { Epoch } from '../domain/ids.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import type { StaleEpochReply } from '../protocol/message.ts';
import type { OperationContext } from './operation-context.ts';

/** moved-on: this node has a newer layout now, begin again. told: the replica has ours now, ask again. failed: neither. */
export type ExchangeOutcome = 'moved-on' | 'told' | 'failed';

/** `epoch`: that of the message which the replica refused. Never rejects. */
export async function exchangeLayouts(context: OperationContext, epoch: Epoch, target: PeerTarget, reply: StaleEpochReply): Promise<ExchangeOutcome> {
  const { views, caller, options } = context;
  if (reply.layout !== null && reply.layout.epoch > epoch) await views.adopt(reply.layout);
  const layout = views.current()?.layout ?? null;
  if (layout === null) return 'failed';
  if (layout.epoch > epoch) return 'moved-on';
  if (reply.epoch >= epoch) return 'failed';
  const outcome = await caller.call<'layout-announce'>(target, { kind: 'layout-announce', layout }, options.callTimeoutMs);
  const isTold = outcome.kind === 'reply' && outcome.reply.kind === 'layout-reply';
  if ((views.current()?.layout.epoch ?? 0) > epoch) return 'moved-on';
  return isTold ? 'told' : 'failed';
}
