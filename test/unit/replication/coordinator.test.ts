import { describe, expect, test } from '@jest/globals';
import type { NodeId, OpId } from '../../../src/domain/ids.ts';
import { INLINE_BODY_BYTES_MAX } from '../../../src/domain/limits.ts';
import type { GetOutcome, PutOutcome, WriteCondition } from '../../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { objectKey } from '../../../src/ring/hasher.ts';
import { parseBallot } from '../../../src/domain/ballot.ts';
import { drained, layoutOf, OPTIONS, ReplicaRing, type RingNode } from '../../support/replica-ring.ts';
import { opId } from '../../support/register-replica.ts';

const three = (): ReplicaRing => new ReplicaRing(4, (ids) => layoutOf(1, ids, ids.slice(0, 3)));

function put(ring: ReplicaRing, node: RingNode, text: string, condition: WriteCondition = { kind: 'none' }, op: OpId | null = null): Promise<PutOutcome> {
  return ring.clock.until(node.coordinator.put({ name: 'n', body: Buffer.from(text), contentType: 'text/plain', meta: [['k', 'v']], condition, opId: op }));
}

function get(ring: ReplicaRing, node: RingNode, consistency: 'linearizable' | 'one' = 'linearizable'): Promise<GetOutcome> {
  return ring.clock.until(node.coordinator.get({ name: 'n', consistency, wantBody: true }));
}

const bodyOf = (outcome: GetOutcome): string | null => (outcome.kind === 'found' ? (outcome.body?.toString() ?? null) : null);
const cutOff = (...ids: readonly NodeId[]) => (from: NodeId, to: NodeId) => (from !== to && (ids.includes(from) || ids.includes(to)) ? 'lose-request' as const : undefined);

describe('put and get', () => {
  test('what one node stores every node answers, replica or not', async () => {
    const ring = three();
    const outcome = await put(ring, ring.node(3), 'hello');
    expect(outcome).toMatchObject({ kind: 'stored', isCreated: true, receipt: { name: 'n', size: 5, replicationFactor: 3 } });
    for (const node of ring.nodes) expect(bodyOf(await get(ring, node))).toBe('hello');
  });
  test('a put takes one PREPARE and one ACCEPT for each replica, a get one READ for each of a quorum', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'hello');
    await drained();
    expect([ring.sent('prepare'), ring.sent('accept')]).toEqual([3, 3]);
    await get(ring, ring.node(0));
    expect([ring.sent('read'), ring.sent('prepare'), ring.sent('body-fetch')]).toEqual([2, 3, 0]);
  });
  test('the receipt names the replicas that confirmed', async () => {
    const ring = three();
    ring.interfere = cutOff(ring.node(2).id);
    const outcome = await put(ring, ring.node(0), 'hello');
    if (outcome.kind !== 'stored') throw new Error(outcome.kind);
    expect(outcome.receipt.replicas).toEqual([{ node: 'node:0', durable: true }, { node: 'node:1', durable: true }, { node: 'node:2', durable: false }]);
    expect(outcome.receipt.durableCopies).toBe(2);
    expect(outcome.receipt.etag).toBe(`"${outcome.receipt.version}"`);
  });
  test('a dead replica delays nothing', async () => {
    const ring = three();
    ring.interfere = (from, to) => (from !== to && to === ring.node(2).id ? 'hang' : undefined);
    const outcome = ring.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
    await drained();
    expect((await outcome).kind).toBe('stored');
    expect(ring.clock.nowMs).toBe(0);
  });
  test('the third replica gets the write in the background', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'hello');
    await drained();
    for (const node of ring.nodes.slice(0, 3)) expect(node.store.head(objectKey('n', 48))?.kind).toBe('object');
  });
  test('without a majority nothing is applied, and the answer says so', async () => {
    const ring = three();
    ring.interfere = cutOff(ring.node(1).id, ring.node(2).id);
    expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM' });
    expect(ring.clock.nowMs).toBeLessThanOrEqual(OPTIONS.operationDeadlineMs + 1);
    expect(await get(ring, ring.node(0))).toMatchObject({ kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM' });
  });
  test('with a majority that cannot even be dialled an operation ends sooner; while calls merely hang it waits', async () => {
    for (const [how, atLeastMs, atMostMs] of [['lose-request', 9_000, 11_000], ['hang', 29_000, 30_001]] as const) {
      const ring = three();
      ring.interfere = (from, to) => (from !== to ? how : undefined);
      expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM' });
      const putMs = ring.clock.nowMs;
      expect(await get(ring, ring.node(0))).toMatchObject({ kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM' });
      for (const ms of [putMs, ring.clock.nowMs - putMs]) expect([ms >= atLeastMs, ms <= atMostMs]).toEqual([true, true]);
    }
  });
  test('a write that was proposed is not given up sooner', async () => {
    const ring = three();
    ring.interfere = (from, to, request) => (from !== to && (request.kind === 'accept' || ring.sent('accept') > 0) ? 'lose-request' : undefined);
    expect((await put(ring, ring.node(0), 'x')).kind).toBe('unknown');
    expect(ring.clock.nowMs).toBeGreaterThan(29_000);
  });
  test('what the client no longer waits for is not applied later, unless it was proposed', async () => {
    for (const [lost, isApplied] of [['prepare', false], ['accept', true]] as const) {
      const ring = three();
      let isAwaited = true;
      ring.interfere = (from, to, request) => (from !== to && request.kind === lost ? 'lose-request' : undefined);
      const outcome = ring.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: opId('a'), isAwaited: () => isAwaited });
      await drained();
      isAwaited = false;
      ring.interfere = () => undefined;
      expect(await ring.clock.until(outcome)).toMatchObject(isApplied ? { kind: 'stored' } : { kind: 'not-applied', detail: 'the client has gone before the write was proposed' });
      expect(bodyOf(await get(ring, ring.node(1)))).toBe(isApplied ? 'x' : null);
    }
  });
  test.each([[6, 'stored'], [8, 'unknown'], [30, 'unknown']] as const)('a try that waited while the same write succeeded elsewhere and %i others followed is not applied a second time', async (others, kind) => {
    const ring = three();
    ring.interfere = (from, to, request) => (from === ring.node(0).id && from !== to && request.kind === 'prepare' ? 'lose-request' : undefined);
    const again = (at: number, body: string, id: string): Promise<PutOutcome> =>
      ring.node(at).coordinator.put({ name: 'n', body: Buffer.from(body), contentType: '', meta: [], condition: { kind: 'none' }, opId: opId(id) });
    const early = again(0, 'early', 'a');
    while (ring.clock.nowMs < 1_500) { await drained(); ring.clock.step(); }
    expect((await ring.clock.until(again(1, 'early', 'a'))).kind).toBe('stored');
    for (let i = 0; i < others; i++) expect((await ring.clock.until(put(ring, ring.node(1), `other ${i}`))).kind).toBe('stored');
    ring.interfere = () => undefined;
    expect((await ring.clock.until(early)).kind).toBe(kind);
    expect(bodyOf(await get(ring, ring.node(1)))).toBe(`other ${others - 1}`);
    // Sent again, it is a new write.
    expect((await ring.clock.until(again(0, 'early', 'a'))).kind).toBe('stored');
  });
  test('one that waited just for its turn is applied however often the key is written meanwhile', async () => {
    const ring = three();
    for (let i = 0; i < 20; i++) await put(ring, ring.node(1), `before ${i}`);
    ring.clock.nowMs += 10;
    ring.interfere = (from, to, request) => (from === ring.node(0).id && from !== to && request.kind === 'prepare' ? 'lose-request' : undefined);
    const waiting = ring.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: opId('a') });
    while (ring.clock.nowMs < 5_000) { await drained(); ring.clock.step(); }
    ring.interfere = () => undefined;
    expect((await ring.clock.until(waiting)).kind).toBe('stored');
    expect(bodyOf(await get(ring, ring.node(1)))).toBe('x');
  });
  test('a client that goes between the two rounds of its write leaves nothing behind', async () => {
    const ring = three();
    const outcome = ring.clock.until(ring.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: null, isAwaited: () => ring.sent('prepare') === 0 }));
    expect((await outcome).kind).toBe('not-applied');
    expect([ring.sent('prepare'), ring.sent('accept')]).toEqual([3, 0]);
  });
  test('an empty body is stored and read', async () => {
    const ring = three();
    await put(ring, ring.node(0), '');
    expect(bodyOf(await get(ring, ring.node(3)))).toBe('');
  });
  test('a body above the inline limit is refused before anything is sent', async () => {
    const ring = three();
    const body = Buffer.alloc(INLINE_BODY_BYTES_MAX + 1);
    const outcome = await ring.node(0).coordinator.put({ name: 'n', body, contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
    expect(outcome).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_TOO_LARGE' });
    expect(ring.calls).toEqual([]);
  });
});

describe('conditions and deletes', () => {
  test('create-only fails on an existing object and tells its version', async () => {
    const ring = three();
    const first = await put(ring, ring.node(0), 'a');
    const second = await put(ring, ring.node(1), 'b', { kind: 'absent' });
    if (first.kind !== 'stored' || second.kind !== 'precondition-failed') throw new Error(`${first.kind} ${second.kind}`);
    expect(second.current).toEqual(parseBallot(first.receipt.version));
    expect(bodyOf(await get(ring, ring.node(2)))).toBe('a');
  });
  test('a write with the version of its base replaces it once', async () => {
    const ring = three();
    const first = await put(ring, ring.node(0), 'a');
    if (first.kind !== 'stored') throw new Error(first.kind);
    const version = parseBallot(first.receipt.version);
    if (version === null) throw new Error('version');
    const condition: WriteCondition = { kind: 'version', versions: [version] };
    expect(await put(ring, ring.node(1), 'b', condition)).toMatchObject({ kind: 'stored', isCreated: false });
    expect(await put(ring, ring.node(2), 'c', condition)).toMatchObject({ kind: 'precondition-failed' });
    expect(bodyOf(await get(ring, ring.node(0)))).toBe('b');
  });
  test('a delete makes the object absent, a second one changes nothing', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'a');
    const remove = (): Promise<unknown> => ring.clock.until(ring.node(1).coordinator.delete({ name: 'n', condition: { kind: 'none' }, opId: null }));
    expect(await remove()).toEqual({ kind: 'deleted', wasPresent: true });
    expect(await remove()).toEqual({ kind: 'deleted', wasPresent: false });
    expect(await get(ring, ring.node(2))).toEqual({ kind: 'absent' });
  });
  test('a delete of a name that never was writes nothing', async () => {
    const ring = three();
    expect(await ring.clock.until(ring.node(0).coordinator.delete({ name: 'n', condition: { kind: 'none' }, opId: null }))).toEqual({ kind: 'deleted', wasPresent: false });
    expect(ring.sent('accept')).toBe(0);
  });
  test('the same operation id is applied once', async () => {
    const ring = three();
    const first = await put(ring, ring.node(0), 'a', { kind: 'absent' }, opId('1'));
    const again = await put(ring, ring.node(1), 'a', { kind: 'absent' }, opId('1'));
    if (first.kind !== 'stored' || again.kind !== 'stored') throw new Error(again.kind);
    expect(again.isCreated).toBe(true);
    expect(again.receipt.version).toBe(first.receipt.version);
  });
});

describe('writes are counted by how they ended', () => {
  test('confirmed by a quorum, not applied because a condition failed, and unknown', async () => {
    const ring = three();
    const { coordinator } = ring.node(0);
    const request = { name: 'name', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' } as const, opId: null };
    await ring.clock.until(coordinator.put(request));
    await drained();
    ring.interfere = cutOff(ring.node(1).id);
    await ring.clock.until(coordinator.put(request));
    await ring.clock.until(coordinator.put({ ...request, condition: { kind: 'absent' } }));
    await ring.clock.until(coordinator.delete({ name: 'name', condition: { kind: 'none' }, opId: null }));
    await drained();
    expect(ring.writes).toEqual(['full', 'quorum', 'not_applied', 'quorum']);
    ring.interfere = cutOff(ring.node(1).id, ring.node(2).id);
    await ring.clock.until(coordinator.put(request));
    expect(ring.writes.at(-1)).toBe('not_applied');
    ring.interfere = (from, to, message) => (from !== to && message.kind === 'accept' ? 'lose-request' : undefined);
    await ring.clock.until(coordinator.put(request));
    expect(ring.writes.at(-1)).toBe('unknown');
  });
});

describe('rounds that begin again', () => {
  const without = (ring: ReplicaRing): void => { ring.interfere = cutOff(ring.node(1).id, ring.node(2).id); };

  test('are counted by operation, and none is when nothing fails', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'a');
    await get(ring, ring.node(0));
    expect(ring.retried).toEqual([]);
    without(ring);
    await put(ring, ring.node(0), 'b');
    await get(ring, ring.node(0));
    expect(new Set(ring.retried)).toEqual(new Set(['put', 'get']));
  });
  test('wait for the budget when many fail at once, and none of them fails for it', async () => {
    const ring = three();
    without(ring);
    const names = Array.from({ length: 90 }, (_, i) => `n${i}`);
    const { coordinator } = ring.node(0);
    const puts = names.map((name) => coordinator.put({ name, body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: null }));
    await drained();
    while (ring.clock.nowMs < 3_000) {
      ring.clock.step();
      await drained();
    }
    // 100 at once, 100 a second, and each once in the two seconds that a retry waits at most; without a budget a thousand.
    expect(ring.retried.length).toBeLessThan(100 + 3 * 100 + 2 * 90);
    ring.interfere = () => undefined;
    for (const end of puts) expect(await ring.clock.until(end)).toMatchObject({ kind: 'stored' });
  });
});

describe('unknown outcomes', () => {
  test('a write whose confirmations are lost is unknown, and is resolved in the background', async () => {
    const ring = three();
    ring.interfere = (from, to, request) => (request.kind === 'accept' && from !== to ? 'lose-reply' : request.kind === 'prepare' && ring.sent('accept') > 0 && from !== to ? 'lose-request' : undefined);
    expect(await put(ring, ring.node(0), 'ghost')).toMatchObject({ kind: 'unknown' });
    expect(ring.node(0).coordinator.load().unresolved).toBe(1);
    ring.interfere = () => undefined;
    while (ring.node(0).coordinator.load().unresolved > 0) {
      await drained();
      if (ring.node(0).coordinator.load().unresolved > 0 && ring.clock.timerCount > 0) ring.clock.step();
    }
    expect(bodyOf(await get(ring, ring.node(1)))).toBe('ghost');
  });
  test('a lost confirmation is found again by the operation id', async () => {
    const ring = three();
    let lost = 0;
    ring.interfere = (from, to, request) => (request.kind === 'accept' && from !== to && lost++ < 2 ? 'lose-reply' : undefined);
    expect(await put(ring, ring.node(0), 'a')).toMatchObject({ kind: 'stored', isCreated: true });
    expect(lost).toBeGreaterThanOrEqual(2);
    expect(bodyOf(await get(ring, ring.node(1)))).toBe('a');
  });
  test('without the rule the retry takes its own first try for another write', async () => {
    const ring = new ReplicaRing(4, (ids) => layoutOf(1, ids, ids.slice(0, 3)), { ...ALL_RULES, idempotentRetry: false });
    let lost = 0;
    ring.interfere = (from, to, request) => (request.kind === 'accept' && from !== to && lost++ < 2 ? 'lose-reply' : undefined);
    expect(await put(ring, ring.node(0), 'a', { kind: 'absent' })).toMatchObject({ kind: 'precondition-failed' });
  });
});

describe('reads', () => {
  test('a value on a minority is chosen again before it is shown', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'old');
    ring.interfere = (from, to, request) => (request.kind === 'accept' && from !== to ? 'lose-request' : request.kind === 'prepare' && ring.sent('accept') > 3 && from !== to ? 'lose-request' : undefined);
    expect(await put(ring, ring.node(0), 'new')).toMatchObject({ kind: 'unknown' });
    ring.interfere = cutOff(ring.node(2).id);
    expect(bodyOf(await get(ring, ring.node(1)))).toBe('new');
    ring.interfere = cutOff(ring.node(0).id);
    expect(bodyOf(await get(ring, ring.node(1)))).toBe('new');
  });
  test('a rotten copy of the body is passed over', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'good');
    await drained();
    const head = ring.node(0).store.head(objectKey('n', 48));
    if (head === null || head.bodyId === null) throw new Error('no body');
    ring.node(0).store.spoil(head.bodyId, Buffer.from('evil'));
    expect(bodyOf(await get(ring, ring.node(0)))).toBe('good');
    ring.node(1).store.spoil(head.bodyId, null);
    expect(bodyOf(await get(ring, ring.node(0)))).toBe('good');
  });
  test('a replica that falls silent after it showed the record delays its body by a grace, not by a time-out', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'x');
    await drained();
    const silent = new Set<NodeId>();
    ring.interfere = (_from, to, request) => {
      // The body is wanted from one that never answers, then from another that answered before.
      if ((request.kind === 'read' && request.wantBody) || (request.kind === 'body-fetch' && silent.size === 1)) silent.add(to);
      return silent.has(to) ? 'hang' : undefined;
    };
    const beginAt = ring.clock.nowMs;
    expect(bodyOf(await get(ring, ring.node(3)))).toBe('x');
    expect(silent.size).toBe(2);
    expect(ring.clock.nowMs - beginAt).toBeLessThanOrEqual(3 * OPTIONS.readGraceMs);
    expect(ring.sent('body-fetch')).toBe(2);
  });
  test('a read of the nearest copy is answered by one replica and labelled', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'x');
    ring.interfere = cutOff(ring.node(1).id, ring.node(2).id);
    expect(await get(ring, ring.node(0), 'one')).toMatchObject({ kind: 'found', isStalePossible: true });
    expect(bodyOf(await get(ring, ring.node(3), 'one'))).toBe('x');
  });
  test('a wrong digest never reaches the reader, however the copy is read', async () => {
    const ring = three();
    await put(ring, ring.node(0), 'good');
    await drained();
    const head = ring.node(0).store.head(objectKey('n', 48));
    if (head === null || head.bodyId === null) throw new Error('no body');
    ring.node(0).store.spoil(head.bodyId, Buffer.from('evil'));
    expect(bodyOf(await get(ring, ring.node(0), 'one'))).toBe('good');
  });
});

describe('epochs', () => {
  test('a coordinator with an old layout takes over the newer one and goes on', async () => {
    const ring = three();
    const ids = ring.nodes.map((node) => node.id);
    const newer = layoutOf(2, ids, ids.slice(1));
    for (const node of ring.nodes.slice(1)) await node.views.adopt(newer);
    expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'stored' });
    expect(ring.node(0).views.view.layout.epoch).toBe(2);
    expect(ring.node(0).store.head(objectKey('n', 48))?.kind).toBe('none');
  });
  test('replicas with an old layout are told of the newer one', async () => {
    const ring = three();
    const ids = ring.nodes.map((node) => node.id);
    await ring.node(0).views.adopt(layoutOf(2, ids, ids.slice(1)));
    expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'stored' });
    expect(bodyOf(await get(ring, ring.node(2)))).toBe('x');
    expect(ring.node(3).views.view.layout.epoch).toBe(2);
  });
  test('while an arc moves a write needs majorities of both sets', async () => {
    const ring = new ReplicaRing(6, (ids) => layoutOf(2, ids, ids.slice(0, 3), ids.slice(3)));
    ring.interfere = cutOff(ring.node(4).id, ring.node(5).id);
    expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'not-applied' });
    ring.interfere = cutOff(ring.node(5).id);
    expect(await put(ring, ring.node(0), 'x')).toMatchObject({ kind: 'stored' });
  });
});

describe('bounds', () => {
  test('writes of one name run one after the other and beyond the queue are refused', async () => {
    const ring = three();
    const outcomes = Array.from({ length: OPTIONS.keyWaitingMax + 3 }, (_, i) =>
      ring.node(0).coordinator.put({ name: 'n', body: Buffer.from(`${i}`), contentType: '', meta: [], condition: { kind: 'none' }, opId: null }));
    const ends = await ring.clock.until(Promise.all(outcomes));
    expect(ends.filter((end) => end.kind === 'stored')).toHaveLength(OPTIONS.keyWaitingMax + 1);
    expect(ends.filter((end) => end.kind === 'not-applied' && end.code === 'DHT_ERR_OVERLOADED')).toHaveLength(2);
    // Nobody outbid anybody: one round each.
    expect(ring.sent('prepare')).toBe(3 * (OPTIONS.keyWaitingMax + 1));
    expect(bodyOf(await get(ring, ring.node(1)))).toBe(`${OPTIONS.keyWaitingMax}`);
  });
  test('two coordinators that fight for one name both end', async () => {
    const ring = three();
    const write = (node: RingNode, text: string): Promise<PutOutcome> =>
      node.coordinator.put({ name: 'n', body: Buffer.from(text), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
    const ends = await ring.clock.until(Promise.all(ring.nodes.map((node, i) => write(node, `${i}`))));
    expect(ends.map((end) => end.kind)).toEqual(['stored', 'stored', 'stored', 'stored']);
    expect(ends.filter((end) => end.kind === 'stored' && end.isCreated)).toHaveLength(1);
  });
  test('a stopping node ends what waits and leaves no timer', async () => {
    const ring = three();
    ring.interfere = cutOff(ring.node(1).id, ring.node(2).id);
    const outcome = ring.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
    await drained();
    ring.node(0).coordinator.stop();
    expect(await outcome).toMatchObject({ kind: 'not-applied' });
    expect(ring.clock.timerCount).toBe(0);
  });
});
