import { hash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { BodyId, NodeId } from '../../../src/domain/ids.ts';
import type { BodyPullTask } from '../../../src/transfer/body-pull.ts';
import { drained, type ReplicaRing } from '../../support/replica-ring.ts';
import { bytesOf, KEY, largeRing, SMALL } from '../../support/large-bodies.ts';

const BYTES = bytesOf(500);

/** Bodies `1`, `2`, ... lie at nodes a and b; node d pulls. */
async function ringWith(count: number): Promise<{ ring: ReplicaRing; task: (i: number) => BodyPullTask }> {
  const ring = largeRing();
  const idOf = (i: number): BodyId => String(i).repeat(32) as BodyId;
  for (let i = 1; i <= count; i++) for (const { store } of ring.nodes.slice(0, 2)) await store.stage(KEY, idOf(i), BYTES);
  const holders = ring.nodes.slice(0, 2).map(({ id }) => id);
  return { ring, task: (i) => ({ key: KEY, name: 'n', body: { bodyId: idOf(i), size: 500, sha256: hash('sha256', BYTES, 'hex') }, holders, isBackground: false }) };
}

describe('a pull', () => {
  test('brings the body here, once, whoever asks for it', async () => {
    const { ring, task } = await ringWith(1);
    const { pulls, store } = ring.node(3);
    const ends = [pulls.pull(task(1)), pulls.pull(task(1)), pulls.pull(task(1))];
    expect(await ring.clock.until(Promise.all(ends))).toEqual(['held', 'held', 'held']);
    expect([ring.pulledBytes, store.writerCount, pulls.progress(task(1).body.bodyId)]).toEqual([500, 0, null]);
    expect((await store.readBody(KEY, task(1).body.bodyId, 0, 500))?.bytes.equals(BYTES)).toBe(true);
    expect(await pulls.pull(task(1))).toBe('held');
    expect(ring.pulledBytes).toBe(500);
  });

  test.each(Array.from({ length: Math.ceil(500 / SMALL.chunkBytes) }, (_, i) => i * SMALL.chunkBytes))('whose holder fails at byte %i goes on at the other one', async (offset) => {
    const { ring, task } = await ringWith(1);
    ring.interfere = (_from, to, request) => (to === ring.node(0).id && request.kind === 'body-fetch' && request.offset >= offset ? 'hang' : undefined);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('held');
    expect(ring.pulledBytes).toBe(500);
  });

  test('that breaks off goes on later where it stood', async () => {
    const { ring, task } = await ringWith(1);
    ring.interfere = (_from, _to, request) => (request.kind === 'body-fetch' && request.offset >= 256 ? 'lose-request' : undefined);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('failed');
    ring.interfere = () => undefined;
    expect(ring.pulledBytes).toBe(256);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('held');
    expect(ring.pulledBytes).toBe(500);
  });

  test('of other bytes than the record names fails, and begins anew', async () => {
    const { ring, task } = await ringWith(1);
    const wrong = Buffer.from(BYTES).fill(0, 7, 9);
    for (const i of [0, 1]) ring.node(i).store.spoil(task(1).body.bodyId, wrong);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('failed');
    expect(ring.node(3).store.holdsBody(KEY, task(1).body.bodyId)).toBe(false);
    for (const i of [0, 1]) ring.node(i).store.spoil(task(1).body.bodyId, BYTES);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('held');
  });

  test('whose write fails is given up without a writer left, and goes well the next time', async () => {
    const { ring, task } = await ringWith(1);
    const { pulls, store } = ring.node(3);
    store.beforeAppend = () => Promise.reject(new Error('EIO'));
    expect(await ring.clock.until(pulls.pull(task(1)))).toBe('failed');
    expect(store.writerCount).toBe(0);
    store.beforeAppend = () => Promise.resolve();
    expect(await ring.clock.until(pulls.pull(task(1)))).toBe('held');
  });

  test('of a body that nobody has fails at once', async () => {
    const { ring, task } = await ringWith(0);
    expect(await ring.clock.until(ring.node(3).pulls.pull(task(1)))).toBe('failed');
    expect(ring.clock.nowMs).toBe(0);
  });

  test('may learn of another holder while it runs', async () => {
    const { ring, task } = await ringWith(1);
    const onlyFirst = { ...task(1), holders: [ring.node(0).id] };
    ring.interfere = (_from, to, request) => (to === ring.node(0).id && request.kind === 'body-fetch' && request.offset >= 64 ? 'lose-request' : undefined);
    const first = ring.node(3).pulls.pull(onlyFirst);
    await drained();
    void ring.node(3).pulls.pull({ ...task(1), holders: [ring.node(1).id] as NodeId[] });
    expect(await ring.clock.until(first)).toBe('held');
  });

  test('without space says so; with another writer it fails', async () => {
    const { ring, task } = await ringWith(1);
    const { pulls, store } = ring.node(3);
    store.isFull = true;
    expect(await pulls.pull(task(1))).toBe('full');
    store.isFull = false;
    await store.openBody(KEY, task(1).body.bodyId);
    expect(await pulls.pull(task(1))).toBe('failed');
  });
});

describe('many pulls', () => {
  test('run a few at a time, a bounded number waits, and all end', async () => {
    const { ring, task } = await ringWith(9);
    const { pulls, store } = ring.node(3);
    let most = 0;
    ring.interfere = () => { most = Math.max(most, store.writerCount); return undefined; };
    const ends = await ring.clock.until(Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => pulls.pull(task(i)))));
    expect(ends).toEqual(Array.from({ length: 9 }, () => 'held'));
    expect(most).toBe(2);
  });

  test('end when the node stops, without a timer left', async () => {
    const { ring, task } = await ringWith(5);
    ring.interfere = () => 'lose-request';
    const ends = Promise.all([1, 2, 3, 4, 5].map((i) => ring.node(3).pulls.pull(task(i))));
    await drained();
    ring.node(3).pauses.stop();
    expect(await ends).toEqual(Array.from({ length: 5 }, () => 'failed'));
    expect(ring.clock.timerCount).toBe(0);
  });
});
