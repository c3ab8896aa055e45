import { expect, test } from '@jest/globals';
import { DhtError } from '../../../src/domain/error-catalogue.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import type { PeerCaller } from '../../../src/peer/peer-caller.ts';
import { CatchUp } from '../../../src/repair/catch-up.ts';
import { CopySource } from '../../../src/repair/copy-source.ts';
import type { NodeStateStore } from '../../../src/storage/register-store.ts';
import { drained, layoutOf, ReplicaRing } from '../../support/replica-ring.ts';
import { silentLog } from '../../support/silent-log.ts';

test('a catch-up that a full volume broke off is tried again after a pause', async () => {
  const ring = new ReplicaRing(4, (ids) => layoutOf(2, ids, ids.slice(0, 3), ids.filter((_, i) => i !== 1)));
  const joiner = ring.node(3);
  const sources = new Map(ring.nodes.map(({ id, store, views }) => [id, new CopySource({ store, views, pace: () => Promise.resolve(), onGiven: () => undefined }, { pageEntriesMax: 10 })]));
  const call = async (target: { readonly nodeId: never }, request: { readonly kind: string }): Promise<unknown> =>
    ({ kind: 'reply', from: target.nodeId, reply: await sources.get(target.nodeId)?.page(request as never) });
  let caught = new Set<Position>();
  let isFull = true;
  const state = {
    layout: () => joiner.views.view.layout, caught: () => caught,
    saveCaught: (_epoch: number, ends: Set<Position>) => {
      if (isFull) return Promise.reject(new DhtError('DHT_ERR_DISK_FULL', 'no space'));
      caught = ends;
      return Promise.resolve();
    },
  } as unknown as NodeStateStore;
  const transfers: string[] = [];
  const catchUp = new CatchUp({
    caller: { call: call as unknown as PeerCaller['call'] }, store: joiner.store, views: joiner.views, rules: ALL_RULES, pulls: joiner.pulls, clock: ring.clock, log: silentLog, state,
    identityRound: () => Promise.resolve(true), pace: () => Promise.resolve(), onTaken: () => undefined, onBytes: () => undefined, onCaught: () => undefined, onTransfer: (result) => { transfers.push(result); },
  }, { pageEntriesMax: 10, recordKeysMax: 4, callTimeoutMs: 500, arcsAtOnce: 2, retryMs: 1_000 });
  catchUp.onLayout(joiner.views.view.layout);
  await drained();
  expect(caught.size).toBe(0);
  expect(transfers).toEqual(['failed']);
  isFull = false;
  ring.clock.step();
  await drained();
  expect(caught.size).toBe(1);
  expect(transfers).toEqual(['failed', 'ok']);
  expect(catchUp.progress()).toBe(null);
});
