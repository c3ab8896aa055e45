import { expect, test } from '@jest/globals';
import { ZERO_BALLOT, type Ballot } from '../../../src/domain/ballot.ts';
import type { ObjectKey, Position } from '../../../src/domain/ring-position.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import type { PeerCaller } from '../../../src/peer/peer-caller.ts';
import { ArcPull, type PullOutcome } from '../../../src/repair/arc-pull.ts';
import { CopySource } from '../../../src/repair/copy-source.ts';
import { ballot, tombstone } from '../../support/register-replica.ts';
import { layoutOf, ReplicaRing } from '../../support/replica-ring.ts';

const KEY = 'ab'.repeat(20) as ObjectKey;

interface Pulled {
  readonly ring: ReplicaRing;
  readonly outcome: PullOutcome;
  /** What identity rounds were asked for. */
  readonly rounds: readonly { readonly name: string; readonly above: Ballot }[];
}

/** The set abc becomes acd; d pulls from a and b, a majority of the old set, what `prepare` put there. */
async function pullAtD(prepare: (ring: ReplicaRing) => Promise<void>): Promise<Pulled> {
  const ring = new ReplicaRing(4, (ids) => layoutOf(2, ids, ids.slice(0, 3), ids.filter((_, i) => i !== 1)));
  await prepare(ring);
  const [a, b, , d] = ring.nodes;
  if (a === undefined || b === undefined || d === undefined) throw new Error('four nodes');
  const sources = new Map([a, b].map(({ id, store, views }) => [id, new CopySource({ store, views, pace: () => Promise.resolve(), onGiven: () => undefined }, { pageEntriesMax: 10 })]));
  const rounds: { readonly name: string; readonly above: Ballot }[] = [];
  const call = async (target: { readonly nodeId: never }, request: { readonly kind: string }): Promise<unknown> => {
    const source = sources.get(target.nodeId);
    const reply = request.kind === 'page' ? await source?.page(request as never) : await source?.records(request as never);
    return { kind: 'reply', from: target.nodeId, reply };
  };
  const pull = new ArcPull({
    caller: { call: call as unknown as PeerCaller['call'] }, store: d.store, views: d.views, rules: ALL_RULES, pulls: d.pulls,
    identityRound: (name, above) => { rounds.push({ name, above }); return Promise.resolve(true); },
    pace: () => Promise.resolve(), onTaken: () => undefined, onBytes: () => undefined,
  }, { pageEntriesMax: 10, recordKeysMax: 4, callTimeoutMs: 500 }, {
    epoch: 2, isMoving: true, arc: { from: 0 as Position, to: 0 as Position }, sources: [a, b].map(({ id }) => ({ nodeId: id, advertise: '' })), needed: 2,
  });
  return { ring, outcome: await pull.run(), rounds };
}

test('a record at the highest promise is taken', async () => {
  const { ring, outcome, rounds } = await pullAtD(async ({ nodes: [a, b] }) => {
    for (const node of [a, b]) await node?.store.accept(KEY, 'n', ballot(5), tombstone(ballot(5)));
  });
  expect([outcome, rounds]).toEqual(['done', []]);
  expect(ring.node(3).store.head(KEY)?.accepted).toEqual(ballot(5));
});

test('a record below a promise of another source isn\'t taken: an identity round above the promise decides', async () => {
  const { ring, outcome, rounds } = await pullAtD(async ({ nodes: [a, b] }) => {
    await a?.store.accept(KEY, 'n', ballot(5), tombstone(ballot(5)));
    await b?.store.accept(KEY, 'n', ballot(3), tombstone(ballot(3)));
    await b?.store.promise(KEY, 'n', ballot(6), null);
  });
  expect([outcome, rounds]).toEqual(['done', [{ name: 'n', above: ballot(6) }]]);
  expect(ring.node(3).store.head(KEY)).toBe(null);
});

test('a promise comes over where no source has a record', async () => {
  const { ring, outcome, rounds } = await pullAtD(async ({ nodes: [a] }) => { await a?.store.promise(KEY, 'n', ballot(6), null); });
  expect([outcome, rounds]).toEqual(['done', []]);
  expect(ring.node(3).store.head(KEY)).toMatchObject({ promised: ballot(6), accepted: ZERO_BALLOT });
});
