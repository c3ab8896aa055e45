/**
 * Nearest read (`consistency=one`): the copy of one replica, this node's own when it has one. It may be stale, and the
 * outcome says so. It answers while a single replica is reachable.
 * Source: protocol section C.3.
 */
import type { MonotonicMs } from '../domain/instant.ts';
import type { GetOutcome } from '../domain/object-operation.ts';
import type { ReadRequest } from '../protocol/message.ts';
import { hasher } from '../ring/hasher.ts';
import { memberById, replicaSets } from '../ring/placement.ts';
import { fetchBody, isBodyOf } from './body-source.ts';
import { locateBody, openBytes, openStored } from './large-body.ts';
import { exchangeLayouts } from './layout-exchange.ts';
import { askingOrder, bodySource, leftMs, type OperationContext } from './operation-context.ts';

/** Asks each replica once, one after the other; after a newer layout showed up, once more. */
const PASSES_MAX = 3;

export async function readNearest(context: OperationContext, name: string, wantBody: boolean, deadline: MonotonicMs): Promise<GetOutcome> {
  const { caller, views, options } = context;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const view = views.current();
    if (view === null) return { kind: 'unavailable', code: 'DHT_ERR_NOT_READY', detail: 'this node is in no ring yet' };
    const { layout, self } = view;
    const order = askingOrder(view, replicaSets(layout, hasher(name, layout.keyBits)));
    const nearestFirst = order.includes(self) ? [self, ...order.filter((id) => id !== self)] : order;
    const request: ReadRequest = { kind: 'read', epoch: layout.epoch, name, wantBody };
    for (const nodeId of nearestFirst) {
      const callMs = Math.min(options.callTimeoutMs, leftMs(context, deadline));
      if (callMs === 0) return noAnswer();
      const target = { advertise: memberById(layout, nodeId)?.advertise ?? '', nodeId };
      const outcome = await caller.call<'read'>(target, request, callMs);
      const reply = outcome.kind === 'reply' ? outcome.reply : null;
      if (reply?.kind === 'stale-epoch' && (await exchangeLayouts(context, layout.epoch, target, reply)) === 'moved-on') break;
      if (reply?.kind !== 'read-reply') continue;
      const record = reply.accepted?.record ?? null;
      if (record?.kind !== 'object') return { kind: 'absent' };
      const open = openStored(context, name, record.body, [nodeId]);
      if (!wantBody) return { kind: 'found', record, body: null, open, isStalePossible: true };
      if (record.body.where === 'file') {
        const located = await locateBody(context, name, record, [nodeId], callMs);
        if (located === null) continue;
        return { kind: 'found', record, body: null, open: openStored(context, name, record.body, located), isStalePossible: true };
      }
      const sent = reply.body ?? Buffer.alloc(0);
      const body = isBodyOf(record.body, sent) ? sent : await fetchBody(bodySource(context), layout, name, record.body, nearestFirst, callMs);
      if (body !== null) return { kind: 'found', record, body, open: openBytes(body), isStalePossible: true };
    }
  }
  return noAnswer();
}

function noAnswer(): GetOutcome {
  return { kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM', detail: 'no replica of the object answered' };
}
