/** Large bodies on connections of their own: order, back-pressure, and no harm to small calls. */
import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId } from '../../../src/domain/ids.ts';
import { FRAME_BODY_BYTES_MAX } from '../../../src/domain/limits.ts';
import type { CallOutcome } from '../../../src/peer/peer-caller.ts';
import { encodeMessage } from '../../../src/protocol/codec.ts';
import type { PeerReply, StageRequest } from '../../../src/protocol/message.ts';
import { helloBytes } from './hello-bytes.ts';
import { CLUSTER, inWorld } from './sim-world.ts';

const A = 'a:1';
const B = { advertise: 'b:1', nodeId: null };
const CHUNK = 256 * 1024;
const bodyId = (n: number): BodyId => n.toString(16).padStart(32, '0') as BodyId;
const stage = (body: number, offset: number, bytes = 64): StageRequest => ({ kind: 'stage', name: 'x', bodyId: bodyId(body), offset, body: Buffer.alloc(bytes, offset) });
const taken = (length: number): PeerReply => ({ kind: 'stage-reply', state: 'ok', length });
const fetchOf = (offset: number, length: number) => ({ kind: 'body-fetch', bodyId: bodyId(1), name: 'x', offset, length }) as const;
const READ = { kind: 'read', epoch: 1, name: 'x', wantBody: false } as const;
const readReply: PeerReply = { kind: 'read-reply', epoch: 1, promised: ZERO_BALLOT, accepted: null, floor: ZERO_BALLOT, body: null };

describe('a large body', () => {
  test('arrives in order and unchanged, whatever the sizes, beside many others', async () => {
    await inWorld(1, { splitProbability: 0.4, lossProbability: 0.1 }, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2')];
      const arrived = new Map<BodyId, number[]>();
      b.answer = (_from, request) => {
        if (request.kind === 'stage-end') return Promise.resolve({ kind: 'stage-end-reply', state: 'held' });
        if (request.kind !== 'stage') throw new Error(request.kind);
        expect(request.body.every((byte) => byte === request.offset % 256)).toBe(true);
        arrived.set(request.bodyId, [...(arrived.get(request.bodyId) ?? []), request.offset]);
        return Promise.resolve(taken(request.body.length));
      };
      const sizes = [1, 5000, CHUNK, FRAME_BODY_BYTES_MAX, 0, 70_000];
      const calls: Promise<CallOutcome<'stage' | 'stage-end'>>[] = [];
      for (const [offset, bytes] of sizes.entries()) {
        for (let body = 0; body < 12; body++) calls.push(a.client.call(B, stage(body, offset, bytes), 60_000));
      }
      for (let body = 0; body < 12; body++) calls.push(a.client.call(B, { kind: 'stage-end', name: 'x', bodyId: bodyId(body), size: 9, sha256: '2'.repeat(64) }, 60_000));
      for (const outcome of await Promise.all(calls)) expect(outcome).toMatchObject({ kind: 'reply' });
      expect([...arrived.values()]).toEqual(Array.from({ length: 12 }, () => sizes.map((_, offset) => offset)));
      await a.stop();
      await b.stop();
    });
  });

  test('keeps to one connection, and many share four', async () => {
    await inWorld(2, {}, async ({ node, network, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2')];
      b.answer = () => Promise.resolve(taken(1));
      for (let offset = 0; offset < 40; offset++) void a.client.call(B, stage(1, offset, CHUNK), 60_000);
      await sleep(5000);
      expect(network.connectionCount(A)).toBe(1);
      await Promise.all(Array.from({ length: 100 }, (_, body) => a.client.call(B, stage(body, 0), 60_000)));
      expect(network.connectionCount(A)).toBe(4);
      await a.stop();
      await b.stop();
    });
  });

  test('waits while the other side takes no bytes: little is queued, nothing fails, small calls go by', async () => {
    await inWorld(3, {}, async ({ node, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2', { bodyRequestsInWorkMax: 4 })];
      let isOpen = false;
      let inWork = 0;
      let inWorkMax = 0;
      b.answer = async (_from, request) => {
        if (request.kind !== 'stage') return request.kind === 'read' ? readReply : { kind: 'layout-reply', layout: null };
        inWorkMax = Math.max(inWorkMax, ++inWork);
        while (!isOpen) await sleep(10);
        inWork--;
        return taken(request.body.length);
      };
      const settled: CallOutcome<'stage'>[] = [];
      // Far more than a connection may queue for small messages.
      const calls = Array.from({ length: 64 }, (_, offset) => a.client.call(B, stage(1, offset, CHUNK), 60_000).then((outcome) => { settled.push(outcome); }));
      await sleep(1000);
      expect(settled).toEqual([]);
      expect(inWorkMax).toBe(4);
      expect(a.meter.value('dht_peer_bytes_total', { direction: 'out' })).toBeLessThan(8 * CHUNK);
      expect(await a.client.call(B, READ, 20)).toMatchObject({ kind: 'reply' });
      expect(await a.client.call(B, { kind: 'layout-fetch' }, 20)).toMatchObject({ kind: 'reply' });
      isOpen = true;
      await Promise.all(calls);
      expect(settled.every(({ kind }) => kind === 'reply')).toBe(true);
      expect(inWorkMax).toBe(4);
      await a.stop();
      await b.stop();
    });
  });

  test('whose time runs out while it waits to be sent was not sent, and costs no bytes later', async () => {
    await inWorld(4, {}, async ({ node, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2', { bodyRequestsInWorkMax: 1 })];
      const begun: number[] = [];
      b.answer = async (_from, request) => {
        if (request.kind === 'stage') begun.push(request.offset);
        await sleep(1000);
        return taken(1);
      };
      const before = [0, 1, 2].map((offset) => a.client.call(B, stage(1, offset, FRAME_BODY_BYTES_MAX), 10_000));
      const hurried = a.client.call(B, stage(1, 3, FRAME_BODY_BYTES_MAX), 300);
      const last = a.client.call(B, stage(1, 4), 10_000);
      expect(await hurried).toMatchObject({ kind: 'not-sent' });
      for (const call of [...before, last]) expect(await call).toMatchObject({ kind: 'reply' });
      expect(begun).toEqual([0, 1, 2, 4]);
      await a.stop();
      await b.stop();
    });
  });

  test('loses what was on its way when the connection breaks, and goes on with a new one', async () => {
    await inWorld(5, {}, async ({ node, network, sim, sleep }) => {
      const a = await node(A, '1');
      const b = await node(B.advertise, '2', { bodyRequestsInWorkMax: 1 });
      b.answer = () => new Promise(() => {});
      const calls = Array.from({ length: 20 }, (_, offset) => a.client.call(B, stage(1, offset, CHUNK), 60_000));
      await sleep(100);
      network.crash(B.advertise);
      const crashedAtMs = sim.clock.nowMs();
      const kinds = (await Promise.all(calls)).map(({ kind }) => kind);
      expect(sim.clock.nowMs() - crashedAtMs).toBeLessThan(100);
      const sent = kinds.indexOf('not-sent');
      expect(sent).toBeGreaterThan(0);
      expect(kinds).toEqual(kinds.map((_, i) => (i < sent ? 'no-answer' : 'not-sent')));
      const restarted = await node(B.advertise, '2');
      restarted.answer = () => Promise.resolve(taken(7));
      expect(await a.client.call(B, stage(1, 0), 1000)).toMatchObject({ kind: 'reply', reply: { length: 7 } });
      await a.stop();
      await restarted.stop();
    });
  });

  test('is not taken from a node without a cluster', async () => {
    await inWorld(6, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2')];
      a.self.clusterId = null;
      expect(await a.client.call(B, stage(1, 0), 500)).toMatchObject({ kind: 'reply', reply: { kind: 'fault', code: 'DHT_ERR_CLUSTER_FOREIGN' } });
      a.self.clusterId = CLUSTER;
      await a.stop();
      await b.stop();
    });
  });
});

describe('a reader of a body', () => {
  test('gets a megabyte at a time over the connections with the least to do, and the server keeps little for it', async () => {
    await inWorld(7, {}, async ({ node, network, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2', { bodyRequestsInWorkMax: 4 })];
      let inWork = 0;
      let inWorkMax = 0;
      b.answer = async (_from, request) => {
        if (request.kind !== 'body-fetch') throw new Error(request.kind);
        inWorkMax = Math.max(inWorkMax, ++inWork);
        await sleep(1);
        inWork--;
        return { kind: 'body-fetch-reply', isHeld: true, size: 1, body: Buffer.alloc(request.length, request.offset) };
      };
      expect(await a.client.call(B, fetchOf(0, FRAME_BODY_BYTES_MAX), 1000)).toMatchObject({ kind: 'reply' });
      expect(await a.client.call(B, fetchOf(1, FRAME_BODY_BYTES_MAX), 1000)).toMatchObject({ kind: 'reply' });
      // One at a time: no need for a second connection.
      expect(network.connectionCount(A)).toBe(1);
      const outcomes = await Promise.all(Array.from({ length: 48 }, (_, offset) => a.client.call(B, fetchOf(offset, FRAME_BODY_BYTES_MAX), 60_000)));
      outcomes.forEach((outcome, offset) => {
        if (outcome.kind !== 'reply' || outcome.reply.kind !== 'body-fetch-reply') throw new Error(JSON.stringify(outcome));
        expect(outcome.reply.body?.equals(Buffer.alloc(FRAME_BODY_BYTES_MAX, offset))).toBe(true);
      });
      expect(network.connectionCount(A)).toBe(4);
      expect(inWorkMax).toBeLessThanOrEqual(4 * 4);
      await a.stop();
      await b.stop();
    });
  });

  test.each([0, 1, 2, 3, 4, 5])('takes the connection that is open and idle, whichever body %i opened', async (body) => {
    await inWorld(10, {}, async ({ node, network }) => {
      const [a, b] = [await node(A, '1'), await node(B.advertise, '2')];
      b.answer = (_from, request) => Promise.resolve(request.kind === 'stage' ? taken(1) : { kind: 'body-fetch-reply', isHeld: false, size: 0, body: null });
      await a.client.call(B, stage(body, 0), 1000);
      expect(await a.client.call(B, fetchOf(0, 1), 1000)).toMatchObject({ kind: 'reply' });
      expect(network.connectionCount(A)).toBe(1);
      await a.stop();
      await b.stop();
    });
  });

  test('that takes no bytes is not read for', async () => {
    await inWorld(9, {}, async ({ node, network, sleep }) => {
      const b = await node(B.advertise, '2');
      let begun = 0;
      b.answer = () => { begun++; return Promise.resolve({ kind: 'body-fetch-reply', isHeld: true, size: 1, body: Buffer.alloc(FRAME_BODY_BYTES_MAX) }); };
      const stream = await network.endpoint('evil:1').dial({ host: 'b', port: 1 }, 1000);
      stream.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => {} });
      stream.write([helloBytes('body')]);
      await sleep(100);
      stream.pause();
      for (let i = 1; i <= 50; i++) {
        const ask = encodeMessage(fetchOf(i, FRAME_BODY_BYTES_MAX), { reqId: i, epoch: 1, deadlineMs: 60_000 });
        if (ask.kind === 'encoded') stream.write(ask.chunks);
      }
      await sleep(5000);
      // As many as are worked on at a time, and those whose answers fill the window.
      expect(begun).toBeLessThan(12);
      stream.resume();
      await sleep(5000);
      expect(begun).toBe(50);
      stream.destroy();
      await b.stop();
    });
  });

  test('uses an open connection while others may not be dialled yet', async () => {
    await inWorld(8, {}, async ({ node, sleep }) => {
      const a = await node(A, '1');
      const b = await node(B.advertise, '2', { acceptedConnectionsMax: 1 });
      b.answer = async () => { await sleep(300); return { kind: 'body-fetch-reply', isHeld: false, size: 0, body: null }; };
      expect(await a.client.call(B, fetchOf(0, 1), 1000)).toMatchObject({ kind: 'reply' });
      const first = a.client.call(B, fetchOf(1, 1), 1000);
      // Takes a new connection, which is refused.
      expect(await a.client.call(B, fetchOf(2, 1), 1000)).toMatchObject({ kind: 'not-sent' });
      // Now the back-off lasts: the open one it is.
      expect(await a.client.call(B, fetchOf(3, 1), 1000)).toMatchObject({ kind: 'reply' });
      expect(await first).toMatchObject({ kind: 'reply' });
      await a.stop();
      await b.stop();
    });
  });
});
