import { hash } from 'node:crypto';
import { describe, expect, jest, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import { ALL_RULES, type Rules } from '../../../src/domain/rules.ts';
import type { LiveRecord } from '../../../src/domain/stored-object.ts';
import type { AcceptRequest, PrepareRequest } from '../../../src/protocol/message.ts';
import { objectKey } from '../../../src/ring/hasher.ts';
import { drained, layoutOf, ReplicaRing } from '../../support/replica-ring.ts';
import { ballot, live } from '../../support/register-replica.ts';

const KEY = objectKey('n', 48);
const BODY = Buffer.from('hello');
const BODY_ID = '1'.repeat(32) as BodyId;
const SHA = hash('sha256', BODY, 'hex');

const ringOf = (rules: Rules = ALL_RULES): ReplicaRing => new ReplicaRing(4, (ids) => layoutOf(2, ids, ids.slice(0, 3)), rules);

function record(hlc: number): LiveRecord {
  const base = live(ballot(hlc, 2));
  if (base.kind !== 'object') throw new Error(base.kind);
  return { ...base, body: { bodyId: BODY_ID, size: BODY.length, sha256: SHA, where: 'inline', chunkCrcs: [] } };
}

const prepare = (hlc: number, epoch = 2, body: Buffer | null = BODY): PrepareRequest => ({
  kind: 'prepare', epoch, name: 'n', ballot: ballot(hlc, epoch), staged: body === null ? null : { bodyId: BODY_ID, sha256: SHA }, body,
});

const accept = (ring: ReplicaRing, hlc: number, epoch = 2): AcceptRequest => ({
  kind: 'accept', epoch, name: 'n', ballot: ballot(hlc, epoch), record: record(hlc), holders: ring.nodes.map((node) => node.id),
});

const isSettled = async (promise: Promise<unknown>): Promise<boolean> => {
  let isDone = false;
  void promise.then(() => { isDone = true; });
  await drained();
  return isDone;
};

describe('replies follow the fsync', () => {
  test('of a promise, of an acceptance, and of what a refusal or a read shows', async () => {
    const ring = ringOf();
    const { replica, store } = ring.node(0);
    store.hold();
    const waiting = [replica.prepare(prepare(5), 1_000), replica.prepare(prepare(4), 1_000), replica.accept(accept(ring, 5), 100)];
    const read = replica.read({ kind: 'read', epoch: 2, name: 'n', wantBody: false }, 1_000);
    for (const reply of [...waiting, read]) expect(await isSettled(reply)).toBe(false);
    store.sync();
    expect(await Promise.all(waiting)).toMatchObject([{ state: 'promised' }, { state: 'refused' }, { state: 'accepted' }]);
    expect(await read).toMatchObject({ kind: 'read-reply', accepted: { ballot: ballot(5, 2) } });
  });
  test('unless that rule is dropped', async () => {
    const { replica, store } = ringOf({ ...ALL_RULES, replyAfterFsync: false }).node(0);
    store.hold();
    expect(await isSettled(replica.prepare(prepare(5), 1_000))).toBe(true);
  });
});

describe('the fence', () => {
  test('an older epoch is answered with the layout, a newer one with the number of ours', async () => {
    const { replica, views } = ringOf().node(0);
    expect(await replica.prepare(prepare(5, 1), 1_000)).toEqual({ kind: 'stale-epoch', epoch: 2, layout: views.view.layout });
    expect(await replica.prepare(prepare(5, 3), 1_000)).toEqual({ kind: 'stale-epoch', epoch: 2, layout: null });
  });
  test('a node that is no replica of the key refuses', async () => {
    expect(await ringOf().node(3).replica.prepare(prepare(5), 1_000)).toMatchObject({ kind: 'fault', code: 'DHT_ERR_CONFLICT' });
  });
  test('nothing is answered while the gate is closed, and the epoch is checked after it opened', async () => {
    const ring = ringOf();
    const { replica, views } = ring.node(0);
    let open = (): void => undefined;
    views.closed = new Promise((resolve) => { open = resolve; });
    const reply = replica.prepare(prepare(5), 1_000);
    expect(await isSettled(reply)).toBe(false);
    const ids = ring.nodes.map((node) => node.id);
    await views.adopt(layoutOf(3, ids, ids.slice(0, 3)));
    views.closed = null;
    open();
    expect(await reply).toMatchObject({ kind: 'stale-epoch', epoch: 3 });
  });
  test.each([
    ['prepare', (ring: ReplicaRing) => ring.node(0).replica.prepare(prepare(5), 1_000)],
    ['accept', (ring: ReplicaRing) => ring.node(0).replica.accept({ ...accept(ring, 5), record: { ...record(5), body: { ...record(5).body, size: 0 } } }, 1_000)],
    ['read', (ring: ReplicaRing) => ring.node(0).replica.read({ kind: 'read', epoch: 2, name: 'n', wantBody: false }, 1_000)],
  ])('a %s whose deadline passed while the gate was closed ends before it touches the store', async (_kind, send) => {
    for (const [waitedMs, isExpired] of [[999, false], [1_000, true]] as const) {
      const ring = ringOf();
      const { replica, store, views } = ring.node(0);
      // The body of the ACCEPT is here: only the gate stands before the record.
      await replica.prepare(prepare(4), 1_000);
      let open = (): void => undefined;
      views.closed = new Promise((resolve) => { open = resolve; });
      const reply = send(ring);
      ring.clock.nowMs += waitedMs;
      views.closed = null;
      open();
      expect((await reply).kind === 'fault').toBe(isExpired);
      if (isExpired) expect(store.head(KEY)).toMatchObject({ promised: ballot(4, 2) });
    }
  });
  test('a gate that closes again as soon as it opened is waited for again', async () => {
    const ring = ringOf();
    const { replica, views } = ring.node(0);
    let openFirst = (): void => undefined;
    let openSecond = (): void => undefined;
    const second = new Promise<void>((resolve) => { openSecond = resolve; });
    let looks = 0;
    const first = new Promise<void>((resolve) => { openFirst = resolve; });
    // Open for one look, as for a step of another request that closes it.
    const gates = [first, first, null, second, second, null, null];
    jest.spyOn(views, 'gate').mockImplementation(() => gates[Math.min(looks++, gates.length - 1)] ?? null);
    const reply = replica.prepare(prepare(5), 1_000);
    openFirst();
    expect(await isSettled(reply)).toBe(false);
    openSecond();
    expect(await reply).toMatchObject({ state: 'promised' });
  });
  test('is gone when the rule is dropped', async () => {
    expect(await ringOf({ ...ALL_RULES, epochFence: false }).node(0).replica.prepare(prepare(5, 1), 1_000)).toMatchObject({ state: 'promised' });
  });
});

describe('bodies', () => {
  test('a record whose body is missing is accepted after the body was fetched', async () => {
    const ring = ringOf();
    await ring.node(1).store.stage(KEY, BODY_ID, BODY);
    expect(await ring.node(0).replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'accepted' });
    expect(ring.node(0).store.holdsBody(KEY, BODY_ID)).toBe(true);
  });
  test('a record that is accepted already, but whose body has rotted, gets it again before it counts once more', async () => {
    const ring = ringOf();
    const { replica, store } = ring.node(0);
    await store.stage(KEY, BODY_ID, BODY);
    await replica.accept(accept(ring, 5), 1_000);
    store.spoil(BODY_ID, null);
    expect(await replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'body-missing' });
    await ring.node(1).store.stage(KEY, BODY_ID, BODY);
    expect(await replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'accepted' });
    expect(store.holdsBody(KEY, BODY_ID)).toBe(true);
  });
  test('it is refused when nobody has the body, and nothing changes', async () => {
    const ring = ringOf();
    expect(await ring.node(0).replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'body-missing' });
    expect(ring.node(0).store.head(KEY)).toBeNull();
  });
  test('a copy with another digest is not taken', async () => {
    const ring = ringOf();
    await ring.node(1).store.stage(KEY, BODY_ID, Buffer.from('jello'));
    expect(await ring.node(0).replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'body-missing' });
  });
  test('a promise that was given while the body was fetched counts', async () => {
    const ring = ringOf();
    await ring.node(1).store.stage(KEY, BODY_ID, BODY);
    ring.interfere = (_from, _to, request) => {
      if (request.kind === 'body-fetch') void ring.node(0).replica.prepare(prepare(9, 2, null), 1_000);
      return undefined;
    };
    expect(await ring.node(0).replica.accept(accept(ring, 5), 1_000)).toMatchObject({ state: 'refused', promised: ballot(9, 2) });
  });
  test('a refused PREPARE still stages its body', async () => {
    const { replica, store } = ringOf().node(0);
    await replica.prepare(prepare(9, 2, null), 1_000);
    expect(await replica.prepare(prepare(5), 1_000)).toMatchObject({ state: 'refused', isStaged: true });
    expect(store.holdsBody(KEY, BODY_ID)).toBe(true);
  });
  test('a staged body with another digest than announced is refused', async () => {
    const { replica, store } = ringOf().node(0);
    expect(await replica.prepare({ ...prepare(5), body: Buffer.from('jello') }, 1_000)).toMatchObject({ kind: 'fault' });
    expect(store.head(KEY)).toBeNull();
  });
  test('bodies are handed out in any epoch', async () => {
    const { replica, store } = ringOf().node(3);
    await store.stage(KEY, BODY_ID, BODY);
    const request = { kind: 'body-fetch', bodyId: BODY_ID, name: 'n', offset: 1, length: 3 } as const;
    expect(await replica.bodyFetch(request)).toEqual({ kind: 'body-fetch-reply', isHeld: true, size: 5, body: Buffer.from('ell') });
    expect(await replica.bodyFetch({ ...request, bodyId: '2'.repeat(32) as BodyId })).toMatchObject({ isHeld: false });
  });
});

test('inspect shows what is stored, with the digest of the stored bytes', async () => {
  const ring = ringOf();
  const { replica, store } = ring.node(0);
  expect(await replica.inspect({ kind: 'inspect', name: 'n' }, 100)).toMatchObject({ accepted: null, sha256: null, promised: ZERO_BALLOT });
  await replica.prepare(prepare(5), 1_000);
  await replica.accept(accept(ring, 5), 100);
  expect(await replica.inspect({ kind: 'inspect', name: 'n' }, 100)).toMatchObject({ sha256: SHA, isDurable: true, epoch: 2 });
  store.spoil(BODY_ID, Buffer.from('jello'));
  expect(await replica.inspect({ kind: 'inspect', name: 'n' }, 100)).toMatchObject({ sha256: hash('sha256', 'jello', 'hex') });
});
