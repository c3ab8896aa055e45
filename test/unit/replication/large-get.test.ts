import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import { drained } from '../../support/replica-ring.ts';
import { bodyIdAt, bytesOf, found, KEY, largeRing, putBytes, readAll, SMALL } from '../../support/large-bodies.ts';

const BYTES = bytesOf(330);
const ALL = { offset: 0, length: 330 };

describe('a large get', () => {
  test('gives the same bytes at every node, replica or not', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    for (const node of ring.nodes) {
      const outcome = await found(ring, node);
      expect([outcome.body, outcome.record.body.where]).toEqual([null, 'file']);
      expect((await readAll(ring, outcome.open(ALL))).equals(BYTES)).toBe(true);
    }
  });

  test.each([[0, 1], [31, 2], [32, 32], [100, 150], [329, 1], [320, 500], [330, 5], [0, 0]])('gives the range %i, %i', async (offset, length) => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    const { open } = await found(ring, ring.node(1));
    expect((await readAll(ring, open({ offset, length }))).equals(BYTES.subarray(offset, offset + length))).toBe(true);
  });

  test('of a small body gives its ranges without another call', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(16));
    const { open } = await found(ring, ring.node(3));
    const calls = ring.calls.length;
    expect((await readAll(ring, open({ offset: 3, length: 5 }))).equals(bytesOf(16).subarray(3, 8))).toBe(true);
    expect(ring.calls.length).toBe(calls);
  });

  test('reads from this node when it is a replica', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    const before = ring.calls.length;
    await readAll(ring, (await found(ring, ring.node(2))).open(ALL));
    const fetches = ring.calls.slice(before).filter(({ request }) => request.kind === 'body-fetch');
    expect(new Set(fetches.map(({ to }) => to))).toEqual(new Set([ring.node(2).id]));
  });

  test('opens nothing before the first read, and reads only a little ahead', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(3_000));
    const reader = (await found(ring, ring.node(3))).open({ offset: 0, length: 3_000 });
    await drained();
    const before = ring.sent('body-fetch');
    expect(before).toBe(1);
    await reader.next();
    await drained();
    expect(ring.sent('body-fetch') - before).toBeLessThanOrEqual(3);
    reader.cancel();
    expect(await reader.next()).toBe(null);
  });

  test('with consistency one streams the nearest copy', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    await drained();
    ring.interfere = (from, to) => (from !== to ? 'lose-request' : undefined);
    const outcome = await ring.clock.until(ring.node(2).coordinator.get({ name: 'n', consistency: 'one', wantBody: true }));
    if (outcome.kind !== 'found') throw new Error(outcome.kind);
    expect(outcome.isStalePossible).toBe(true);
    expect((await readAll(ring, outcome.open(ALL))).equals(BYTES)).toBe(true);
  });
});

describe('a holder that fails', () => {
  const OFFSETS = Array.from({ length: Math.ceil(330 / SMALL.chunkBytes) }, (_, i) => i * SMALL.chunkBytes);

  test.each(OFFSETS)('from byte %i on is replaced by another one, at the chunk', async (offset) => {
    for (const how of ['lose-reply', 'hang'] as const) {
      const ring = largeRing();
      await putBytes(ring, ring.node(0), BYTES);
      await drained();
      const { open } = await found(ring, ring.node(0));
      ring.interfere = (_from, to, request) => (to === ring.node(0).id && request.kind === 'body-fetch' && request.offset >= offset ? how : undefined);
      expect((await readAll(ring, open(ALL))).equals(BYTES)).toBe(true);
    }
  });

  test('all at once, for a while: the reader waits for one to come back', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    const { open } = await found(ring, ring.node(3));
    const reader = open(ALL);
    const first = await ring.clock.until(reader.next());
    const from = ring.clock.nowMs;
    ring.interfere = (_from, _to, request) => (request.kind === 'body-fetch' && ring.clock.nowMs < from + 10_000 ? 'lose-request' : undefined);
    expect(Buffer.concat([first ?? Buffer.alloc(0), await readAll(ring, reader)]).equals(BYTES)).toBe(true);
  });

  test('all for good: the reader rejects, it never ends as if complete', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(3_000));
    const reader = (await found(ring, ring.node(3))).open({ offset: 0, length: 3_000 });
    await ring.clock.until(reader.next());
    ring.interfere = () => 'lose-request';
    await expect(readAll(ring, reader)).rejects.toThrow('no replica that holds the body answers');
  });
});

describe('an object that is replaced', () => {
  test('in the middle, and gone everywhere: the reader rejects at once, and never mixes versions', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(3_000));
    const reader = (await found(ring, ring.node(3))).open({ offset: 0, length: 3_000 });
    await ring.clock.until(reader.next());
    await putBytes(ring, ring.node(0), BYTES);
    await drained();
    const from = ring.clock.nowMs;
    await expect(readAll(ring, reader)).rejects.toThrow('no longer there');
    expect(ring.clock.nowMs).toBe(from);
  });

  test('before the first byte: the record is read again', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), bytesOf(200, 3));
    await drained();
    const old = bodyIdAt(ring.node(0));
    let isReplaced = false;
    ring.interfere = (_from, _to, request) => {
      if (request.kind !== 'body-fetch' || request.bodyId !== old || isReplaced) return undefined;
      isReplaced = true;
      for (const { store } of ring.nodes) store.spoil(old, null);
      void putBytes(ring, ring.node(1), BYTES);
      return undefined;
    };
    const { open } = await found(ring, ring.node(0));
    expect([isReplaced, (await readAll(ring, open(ALL))).equals(BYTES)]).toEqual([true, true]);
  });
});

describe('bytes that are not those of the object', () => {
  const spoilt = Buffer.from(BYTES).fill(0, 100, 101);

  test('are noticed before the last piece is handed over', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    await drained();
    for (const { store } of ring.nodes.slice(0, 3)) store.spoil(bodyIdAt(ring.node(0)), spoilt);
    const reader = (await found(ring, ring.node(3))).open(ALL);
    let bytes = 0;
    const all = async (): Promise<void> => {
      for (let piece = await reader.next(); piece !== null; piece = await reader.next()) bytes += piece.length;
    };
    await expect(all()).rejects.toThrow('digest');
    expect(bytes).toBeLessThan(330);
  });

  test('show in what inspect says', async () => {
    const ring = largeRing();
    await putBytes(ring, ring.node(0), BYTES);
    await drained();
    const { replica, store } = ring.node(1);
    const right = await replica.inspect({ kind: 'inspect', name: 'n' }, 1_000);
    store.spoil(bodyIdAt(ring.node(1)), spoilt);
    const wrong = await replica.inspect({ kind: 'inspect', name: 'n' }, 1_000);
    if (right.kind !== 'inspect-reply' || wrong.kind !== 'inspect-reply') throw new Error('no inspection');
    expect(right.accepted?.record).toMatchObject({ body: { sha256: right.sha256 } });
    expect(wrong.sha256).not.toBe(right.sha256);
  });
});

test('an ACCEPT never puts a record down without its large body, and a replica that cannot get it asks for repair', async () => {
  const ring = largeRing();
  await putBytes(ring, ring.node(0), BYTES);
  await drained();
  const sent = ring.calls.find(({ request }) => request.kind === 'accept')?.request;
  if (sent?.kind !== 'accept') throw new Error('no accept');
  const [a, b, c] = ring.nodes.map(({ id }) => id) as [NodeId, NodeId, NodeId];
  const record = sent.record.kind === 'object' ? { ...sent.record, body: { ...sent.record.body, bodyId: 'e'.repeat(32) as never } } : sent.record;
  const request = { ...sent, ballot: { ...sent.ballot, hlc: sent.ballot.hlc + 1 }, record, holders: [a, b, c] };
  const reply = await ring.clock.until(ring.node(2).replica.accept(request, 2_000));
  expect(reply).toMatchObject({ kind: 'accept-reply', state: 'body-missing' });
  expect(ring.node(2).store.head(KEY)?.accepted).toEqual(sent.ballot);
  await drained();
  expect(ring.node(2).lacking).toEqual(['n']);
});
