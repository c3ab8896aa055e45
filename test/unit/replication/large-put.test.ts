import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import { layoutOf, drained, type ReplicaRing, type RingNode } from '../../support/replica-ring.ts';
import { bytesOf, bodyIdAt, found, KEY, largeRing, putBytes, readAll, SMALL, startPut, TestSource, until } from '../../support/large-bodies.ts';

const BYTES = bytesOf(330);
const CHUNKS = Math.ceil(330 / SMALL.chunkBytes);

/** Whether the node has the record with exactly these bytes. */
async function holds(node: RingNode, bytes: Buffer): Promise<boolean> {
  if (node.store.head(KEY)?.kind !== 'object') return false;
  const body = await node.store.readBody(KEY, bodyIdAt(node), 0, 10_000);
  return body?.bytes.equals(bytes) === true;
}

async function settleOn(ring: ReplicaRing, nodes: readonly RingNode[], bytes: Buffer): Promise<void> {
  await until(ring, () => nodes.every((node) => node.store.head(KEY)?.kind === 'object'));
  for (const node of nodes) expect(await holds(node, bytes)).toBe(true);
}

describe('a large put', () => {
  test.each([1, 20, 32, 33, 1000])('reaches every replica in whole chunks, however it comes (pieces of %i)', async (pieceBytes) => {
    const ring = largeRing();
    const outcome = await ring.clock.until(startPut(ring.node(3), new TestSource(BYTES, pieceBytes)));
    expect(outcome).toMatchObject({ kind: 'stored', isCreated: true, receipt: { size: 330, sha256: hash('sha256', BYTES, 'hex') } });
    await settleOn(ring, ring.nodes.slice(0, 3), BYTES);
    expect([ring.sent('stage'), ring.sent('stage-end'), ring.sent('prepare'), ring.sent('accept')]).toEqual([3 * CHUNKS, 3, 3, 3]);
    expect(ring.calls.every(({ request }) => request.kind !== 'prepare' || request.body === null)).toBe(true);
    expect(ring.node(3).store.head(KEY)).toBe(null);
  });

  test('that turns out to be small is an ordinary put', async () => {
    const ring = largeRing();
    expect((await putBytes(ring, ring.node(0), bytesOf(16))).kind).toBe('stored');
    expect([ring.sent('stage'), ring.sent('prepare')]).toEqual([0, 3]);
    expect((await found(ring, ring.node(1))).body).toEqual(bytesOf(16));
  });

  test('of a whole number of chunks ends with a full one', async () => {
    const ring = largeRing();
    expect(await putBytes(ring, ring.node(0), bytesOf(64))).toMatchObject({ kind: 'stored', receipt: { size: 64 } });
    await settleOn(ring, ring.nodes.slice(0, 3), bytesOf(64));
    expect(ring.sent('stage')).toBe(6);
  });

  test('leaves no writer and no staging file behind', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    await drained();
    for (const { store } of ring.nodes) expect([store.writerCount, store.staging.size]).toEqual([0, 0]);
  });
});

describe('a replica that fails', () => {
  test.each(Array.from({ length: CHUNKS }, (_, i) => i))('for good at chunk %i is cut, and pulls the rest from the others', async (chunk) => {
    const ring = largeRing();
    const victim = ring.node(2).id;
    ring.interfere = (_from, to, request) => (to === victim && request.kind === 'stage' && request.offset >= chunk * SMALL.chunkBytes ? 'lose-request' : undefined);
    expect((await putBytes(ring, ring.node(0), BYTES)).kind).toBe('stored');
    await settleOn(ring, ring.nodes.slice(0, 3), BYTES);
    expect(ring.pulledBytes).toBe(330 - chunk * SMALL.chunkBytes);
    expect(ring.node(2).store.writerCount).toBe(0);
  });

  test.each(Array.from({ length: CHUNKS }, (_, i) => i))('for a moment at chunk %i gets the chunk again', async (chunk) => {
    const ring = largeRing();
    const victims = [ring.node(1).id, ring.node(2).id];
    let left = 2;
    ring.interfere = (_from, to, request) => (victims.includes(to) && request.kind === 'stage' && request.offset === chunk * SMALL.chunkBytes && left-- > 0 ? 'lose-reply' : undefined);
    expect((await putBytes(ring, ring.node(0), BYTES)).kind).toBe('stored');
    await settleOn(ring, ring.nodes.slice(0, 3), BYTES);
    expect(ring.pulledBytes).toBe(0);
  });

  test('to answer to the end of the body is asked again', async () => {
    const ring = largeRing();
    let left = 3;
    ring.interfere = (_from, _to, request) => (request.kind === 'stage-end' && left-- > 0 ? 'lose-reply' : undefined);
    expect((await putBytes(ring, ring.node(0), BYTES)).kind).toBe('stored');
    await settleOn(ring, ring.nodes.slice(0, 3), BYTES);
  });

  test('with two of three gone nothing is proposed, and the client is told so before its deadline', async () => {
    const ring = largeRing();
    ring.interfere = (from, to) => (from !== to ? 'lose-request' : undefined);
    expect(await putBytes(ring, ring.node(0), BYTES)).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM' });
    expect(ring.sent('prepare')).toBe(0);
    expect(ring.clock.nowMs).toBeLessThan(5_000);
    await drained();
    expect(ring.node(0).store.staging.size).toBe(0);
  });

  test('for lack of space is left out; two of them refuse the put', async () => {
    const ring = largeRing();
    ring.node(2).store.isFull = true;
    expect(await putBytes(ring, ring.node(0), BYTES)).toMatchObject({ kind: 'stored', receipt: { durableCopies: 2 } });
    ring.node(1).store.isFull = true;
    expect(await putBytes(ring, ring.node(0), bytesOf(100, 2))).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_DISK_FULL' });
  });
});

describe('the pace', () => {
  test('is that of the second fastest; a replica more than the lag behind is cut and repaired', async () => {
    const ring = largeRing();
    const disk = Promise.withResolvers<undefined>();
    ring.node(2).store.beforeAppend = () => disk.promise;
    const long = bytesOf(2_000);
    expect(await putBytes(ring, ring.node(0), long)).toMatchObject({ kind: 'stored', receipt: { durableCopies: 2 } });
    expect(ring.clock.nowMs).toBeLessThanOrEqual(250);
    const toSlow = ring.calls.filter(({ to, request }) => to === ring.node(2).id && request.kind === 'stage');
    expect(toSlow.length * SMALL.chunkBytes).toBeLessThanOrEqual(SMALL.lagBytesMax + SMALL.chunkBytes);
    disk.resolve(undefined);
    await settleOn(ring, ring.nodes.slice(0, 3), long);
    expect(ring.pulledBytes).toBeGreaterThan(1_000);
  });

  test('waits a little for a replica that is only somewhat slower', async () => {
    const ring = largeRing();
    ring.node(2).store.beforeAppend = () => new Promise((resolve) => { ring.clock.after(2, () => { resolve(); }); });
    for (const i of [0, 1]) ring.node(i).store.beforeAppend = () => new Promise((resolve) => { ring.clock.after(1, () => { resolve(); }); });
    expect((await putBytes(ring, ring.node(0), bytesOf(3_000))).kind).toBe('stored');
    await settleOn(ring, ring.nodes.slice(0, 3), bytesOf(3_000));
    expect(ring.pulledBytes).toBe(0);
  });

  test('does not wait for one that is much slower', async () => {
    const ring = largeRing();
    ring.node(2).store.beforeAppend = () => new Promise((resolve) => { ring.clock.after(100, () => { resolve(); }); });
    for (const i of [0, 1]) ring.node(i).store.beforeAppend = () => new Promise((resolve) => { ring.clock.after(1, () => { resolve(); }); });
    expect((await putBytes(ring, ring.node(0), bytesOf(3_000))).kind).toBe('stored');
    expect(ring.clock.nowMs).toBeLessThan(500);
    await settleOn(ring, ring.nodes.slice(0, 3), bytesOf(3_000));
    expect(ring.pulledBytes).toBeGreaterThan(1_000);
  });

  test('stops the source when a quorum is slow', async () => {
    const ring = largeRing();
    const disk = Promise.withResolvers<undefined>();
    for (const i of [1, 2]) ring.node(i).store.beforeAppend = () => disk.promise;
    const source = new TestSource(bytesOf(2_000), 20);
    const outcome = startPut(ring.node(0), source);
    for (let i = 0; i < 20; i++) await drained();
    expect(source.takenBytes).toBeLessThanOrEqual(SMALL.lagBytesMax);
    disk.resolve(undefined);
    expect((await ring.clock.until(outcome)).kind).toBe('stored');
    expect(ring.pulledBytes).toBe(0);
  });

  test('more bodies at once than allowed are refused before they are read', async () => {
    const ring = largeRing();
    const disk = Promise.withResolvers<undefined>();
    for (const { store } of ring.nodes) store.beforeAppend = () => disk.promise;
    const sources = [1, 2, 3].map((salt) => new TestSource(bytesOf(2_000, salt), 20));
    const outcomes = sources.map((source, i) => startPut(ring.node(0), source, { name: `n${i}` }));
    expect(await outcomes[2]).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_OVERLOADED' });
    expect(sources[2]?.takenBytes).toBe(20);
    disk.resolve(undefined);
    expect((await ring.clock.until(Promise.all(outcomes.slice(0, 2)))).map(({ kind }) => kind)).toEqual(['stored', 'stored']);
  });
});

describe('nothing is visible, and nothing stays staged,', () => {
  const expectNothing = async (ring: ReplicaRing): Promise<void> => {
    await drained();
    expect([ring.sent('prepare'), ring.sent('accept')]).toEqual([0, 0]);
    for (const { store } of ring.nodes) expect([store.staging.size, store.writerCount]).toEqual([0, 0]);
    expect((await ring.clock.until(ring.node(1).coordinator.get({ name: 'n', consistency: 'linearizable', wantBody: true }))).kind).toBe('absent');
  };

  test.each([0, 10, 20, 40, 100, 320])('when the client breaks off after %i bytes', async (breaksAt) => {
    const ring = largeRing();
    const source = new TestSource(BYTES, 20);
    source.breaksAt = breaksAt;
    expect(await ring.clock.until(startPut(ring.node(0), source))).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID' });
    await expectNothing(ring);
  });

  test.each([10, 330])('when the digest is another (body of %i)', async (size) => {
    const ring = largeRing();
    const verify = (): { code: 'DHT_ERR_DIGEST_MISMATCH'; detail: string } => ({ code: 'DHT_ERR_DIGEST_MISMATCH', detail: 'no' });
    expect(await putBytes(ring, ring.node(0), bytesOf(size), { verify })).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_DIGEST_MISMATCH' });
    await expectNothing(ring);
  });

  test.each([329, 331, 5])('when the length is another than announced (%i)', async (expectedSize) => {
    const ring = largeRing();
    expect(await putBytes(ring, ring.node(0), BYTES, { expectedSize })).toMatchObject({ kind: 'not-applied', code: 'DHT_ERR_REQUEST_INVALID' });
    await expectNothing(ring);
  });

  test('when the node stops in the middle; and no timer stays', async () => {
    const ring = largeRing();
    ring.interfere = (from, to) => (from !== to ? 'lose-request' : undefined);
    const outcome = startPut(ring.node(0), new TestSource(BYTES, 20));
    await drained();
    ring.node(0).coordinator.stop();
    expect(await outcome).toMatchObject({ kind: 'not-applied' });
    for (const { staging, pauses } of ring.nodes) {
      pauses.stop();
      await staging.stop();
    }
    await drained();
    expect(ring.clock.timerCount).toBe(0);
  });
});

describe('a body that is lost between its last byte and the ACCEPT', () => {
  /** From the first ACCEPT on nobody has it, and nobody gets it. */
  const loseBodies = (ring: ReplicaRing, cut: NodeId | null): void => {
    ring.interfere = (from, to, request) => {
      if (request.kind === 'accept' && request.record.kind === 'object') {
        for (const { store } of ring.nodes) store.spoil(request.record.body.bodyId, null);
      }
      return cut !== null && from !== to && (from === cut || to === cut) && ring.sent('accept') > 0 ? 'hang' : undefined;
    };
  };

  test('on all replicas ends the put at once, as unknown', async () => {
    const ring = largeRing();
    loseBodies(ring, null);
    expect(await putBytes(ring, ring.node(3), BYTES)).toMatchObject({ kind: 'unknown', detail: expect.stringContaining('body') });
    expect(ring.clock.nowMs).toBeLessThan(100);
  });

  test('while one replica is silent ends the put by its deadline, as unknown, and lets the next write of the name through', async () => {
    const ring = largeRing();
    loseBodies(ring, ring.node(2).id);
    const first = startPut(ring.node(0), new TestSource(BYTES, 20));
    expect((await ring.clock.until(first)).kind).toBe('unknown');
    expect(ring.clock.nowMs).toBeLessThan(32_000);
    ring.interfere = () => undefined;
    const nextAt = ring.clock.nowMs;
    expect((await putBytes(ring, ring.node(0), bytesOf(3))).kind).toBe('stored');
    expect(ring.clock.nowMs - nextAt).toBeLessThan(1_000);
  });
});

describe('conditions and retries', () => {
  test('a condition that fails already is answered before the body is sent', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(3));
    const outcome = await putBytes(ring, ring.node(1), BYTES, { condition: { kind: 'absent' } });
    expect(outcome.kind).toBe('precondition-failed');
    expect(ring.sent('stage')).toBe(0);
  });

  test('a condition is decided inside the round', async () => {
    const ring = largeRing();
    const source = new TestSource(BYTES, 20);
    const first = source.next.bind(source);
    let wasOvertaken = false;
    source.next = async () => {
      if (source.takenBytes > 100 && !wasOvertaken) {
        wasOvertaken = true;
        await ring.node(1).coordinator.put({ name: 'n', body: bytesOf(3), contentType: '', meta: [], condition: { kind: 'none' }, opId: null });
      }
      return first();
    };
    const outcome = await ring.clock.until(startPut(ring.node(0), source, { condition: { kind: 'absent' } }));
    expect([wasOvertaken, outcome.kind]).toEqual([true, 'precondition-failed']);
    expect((await found(ring, ring.node(2))).body).toEqual(bytesOf(3));
  });
});

describe('the layout changes in the middle', () => {
  test('a replica that is new at the ACCEPT pulls the body from those that hold it', async () => {
    const ring = largeRing();
    const [a, b, c, d] = ring.nodes.map(({ id }) => id) as [NodeId, NodeId, NodeId, NodeId];
    const source = new TestSource(BYTES, 20);
    const next = source.next.bind(source);
    source.next = () => {
      if (source.takenBytes === 100) for (const { views } of ring.nodes) void views.adopt(layoutOf(2, [a, b, c, d], [a, b, c], [d, b, c]));
      return next();
    };
    ring.interfere = (_from, to, request) => (to === b && request.kind === 'accept' ? 'lose-request' : undefined);
    const outcome = await ring.clock.until(startPut(ring.node(0), source));
    expect(outcome.kind).toBe('stored');
    expect(await holds(ring.node(3), BYTES)).toBe(true);
    expect(ring.pulledBytes).toBe(330);
    expect(ring.calls.some(({ to, request }) => to === d && request.kind === 'stage')).toBe(false);
  });
});

describe('reading while it is written', () => {
  test('shows the old object or the new one, whole', async () => {
    const ring = largeRing();
    const first = bytesOf(200, 5);
    await putBytes(ring, ring.node(0), first);
    const source = new TestSource(BYTES, 20);
    const gate = Promise.withResolvers<undefined>();
    const next = source.next.bind(source);
    source.next = async () => {
      if (source.takenBytes === 200) await gate.promise;
      return next();
    };
    const outcome = startPut(ring.node(1), source);
    const before = await found(ring, ring.node(3));
    expect((await readAll(ring, before.open({ offset: 0, length: 200 }))).equals(first)).toBe(true);
    gate.resolve(undefined);
    expect((await ring.clock.until(outcome)).kind).toBe('stored');
    const after = await found(ring, ring.node(3));
    expect((await readAll(ring, after.open({ offset: 0, length: 330 }))).equals(BYTES)).toBe(true);
  });
});
