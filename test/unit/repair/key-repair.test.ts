import { describe, expect, test } from '@jest/globals';
import { DhtError } from '../../../src/domain/error-catalogue.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { KeyRepair } from '../../../src/repair/key-repair.ts';
import { SimRandom } from '../../../src/sim/sim-random.ts';
import { CopySource } from '../../../src/repair/copy-source.ts';
import type { PeerCaller } from '../../../src/peer/peer-caller.ts';
import { drained, type ReplicaRing } from '../../support/replica-ring.ts';
import { bodyIdAt, bytesOf, KEY, largeRing, putBytes, until } from '../../support/large-bodies.ts';

const BYTES = bytesOf(330);

/** A resync at node c; copies are asked of the other nodes directly, everything else goes through the ring. */
function resyncAt(ring: ReplicaRing): KeyRepair {
  const node = ring.node(2);
  const sources = new Map(ring.nodes.map(({ id, store, views }) => [id, new CopySource({ store, views, pace: () => Promise.resolve(), onGiven: () => undefined }, { pageEntriesMax: 10 })]));
  const call = async (target: { readonly nodeId: never }, request: { readonly kind: string }): Promise<unknown> => {
    const source = sources.get(target.nodeId);
    if (source === undefined || isCut) return { kind: 'not-sent', detail: 'cut' };
    const reply = request.kind === 'page' ? await source.page(request as never) : await source.records(request as never);
    return { kind: 'reply', from: target.nodeId, reply };
  };
  let isCut = false;
  ring.interfere = () => (isCut ? 'lose-request' : undefined);
  cut = (value) => { isCut = value; };
  return new KeyRepair({
    caller: { call: call as unknown as PeerCaller['call'] }, store: node.store, views: node.views, rules: ALL_RULES, pulls: node.pulls, clock: ring.clock,
    identityRound: (name, above) => node.coordinator.identityRound(name, above), onBytes: () => undefined, onTaken: () => undefined, mayTakeIn: () => hasRoom, pace: () => Promise.resolve(),
    random: new SimRandom('repair'), pauses: node.pauses, onAttempt: () => undefined,
  }, { pageEntriesMax: 10, recordKeysMax: 4, callTimeoutMs: 500, pendingMax: 2, workersMax: 2, delayMinMs: 1_000, delayMaxMs: 8_000, scanEntries: 10 });
}
let hasRoom = true;
let cut: (isCut: boolean) => void = () => undefined;

async function ringWithout(): Promise<ReplicaRing> {
  const ring = largeRing();
  ring.interfere = (_from, to, request) => (to === ring.node(2).id && request.kind !== 'read' ? 'lose-request' : undefined);
  expect((await putBytes(ring, ring.node(0), BYTES)).kind).toBe('stored');
  await drained();
  expect(ring.node(2).store.head(KEY)).toBe(null);
  return ring;
}

describe('a register that a replica lacks', () => {
  test('is taken later, record and body', async () => {
    const ring = await ringWithout();
    const resync = resyncAt(ring);
    resync.addLacking('n');
    await until(ring, () => resync.pendingCount === 0);
    expect(ring.node(2).store.head(KEY)?.accepted).toEqual(ring.node(0).store.head(KEY)?.accepted);
    expect((await ring.node(2).store.readBody(KEY, bodyIdAt(ring.node(0)), 0, 400))?.bytes.equals(BYTES)).toBe(true);
  });

  test('is tried again, ever more slowly, until its holders are back', async () => {
    const ring = await ringWithout();
    const resync = resyncAt(ring);
    cut(true);
    resync.addLacking('n');
    await until(ring, () => ring.clock.nowMs > 20_000);
    expect(resync.pendingCount).toBe(1);
    cut(false);
    await until(ring, () => resync.pendingCount === 0);
    expect(ring.node(2).store.head(KEY)?.kind).toBe('object');
  });

  test('waits while the disk is filling up', async () => {
    const ring = await ringWithout();
    const resync = resyncAt(ring);
    hasRoom = false;
    resync.addLacking('n');
    await until(ring, () => ring.clock.nowMs > 20_000);
    expect(ring.node(2).store.head(KEY)).toBe(null);
    hasRoom = true;
    await until(ring, () => resync.pendingCount === 0);
    expect(ring.node(2).store.head(KEY)?.kind).toBe('object');
  });

  test('is left to an identity round where a promise is in the way', async () => {
    const ring = await ringWithout();
    const resync = resyncAt(ring);
    const accepted = ring.node(0).store.head(KEY)?.accepted;
    if (accepted === undefined) throw new Error('nothing accepted');
    await ring.node(2).store.promise(KEY, 'n', { ...accepted, hlc: accepted.hlc + 1 }, null);
    resync.addLacking('n');
    await until(ring, () => resync.pendingCount === 0);
    await until(ring, () => ring.node(2).store.head(KEY)?.kind === 'object');
    expect(ring.node(2).store.holdsBody(KEY, bodyIdAt(ring.node(0)))).toBe(true);
  });

  test('that the store can not read now is tried again, and holds up no other', async () => {
    const ring = await ringWithout();
    const node = ring.node(2);
    const { load } = node.store;
    let failures = 0;
    const resync = resyncAt(ring);
    resync.addLacking('n');
    await until(ring, () => node.store.head(KEY)?.kind === 'object' && resync.pendingCount === 0);
    node.store.load = () => Promise.reject(new DhtError('DHT_ERR_DATA_DAMAGED', `failure ${++failures}`));
    const holdsBody = node.store.holdsBody;
    node.store.holdsBody = () => false;
    resync.addLacking('n');
    await until(ring, () => failures >= 5);
    expect(resync.pendingCount).toBe(1);
    node.store.load = load;
    node.store.holdsBody = holdsBody;
    await until(ring, () => resync.pendingCount === 0);
  });

  test('waits in a bounded queue, which ends with the node', async () => {
    const ring = await ringWithout();
    const resync = resyncAt(ring);
    for (const name of ['x', 'y', 'z', 'x']) resync.addLacking(name);
    expect(resync.pendingCount).toBe(2);
    resync.stop();
    expect(resync.pendingCount).toBe(0);
  });
});
