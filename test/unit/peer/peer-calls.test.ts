import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId, ClusterId, NodeId } from '../../../src/domain/ids.ts';
import type { PeerTarget } from '../../../src/domain/peer-identity.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import type { CallOutcome } from '../../../src/peer/peer-caller.ts';
import { decodeMessage, encodeMessage, FRAME_LIMITS } from '../../../src/protocol/codec.ts';
import { FrameDecoder } from '../../../src/protocol/frame.ts';
import { HELLO_TYPE } from '../../../src/protocol/hello.ts';
import type { FindSuccessorRequest, PeerReply, PrepareRequest } from '../../../src/protocol/message.ts';
import { helloBytes } from './hello-bytes.ts';
import { CLUSTER, inWorld, type PeerNode } from './sim-world.ts';

const A = 'a:1';
const B = 'b:1';
const ASK: FindSuccessorRequest = { kind: 'find-successor', position: 5 as Position, hops: 3 };
const at = (advertise: string, idDigit: string | null = null): PeerTarget => ({ advertise, nodeId: idDigit === null ? null : (idDigit.repeat(32) as NodeId) });
const READ = { kind: 'read', epoch: 1, name: 'x', wantBody: true } as const;
const readReply = (body: Buffer | null): PeerReply => ({ kind: 'read-reply', epoch: 1, promised: ZERO_BALLOT, accepted: null, floor: ZERO_BALLOT, body });
const never = (): Promise<PeerReply> => new Promise(() => {});

function prepare(bytes: number): PrepareRequest {
  return { kind: 'prepare', epoch: 1, name: 'x', ballot: ZERO_BALLOT, staged: { bodyId: '1'.repeat(32) as BodyId, sha256: '2'.repeat(64) }, body: Buffer.alloc(bytes, 3) };
}

describe('between a node of the build before and one of today\'s', () => {
  const DIGESTS = { kind: 'digests', epoch: 1, root: '0'.repeat(16), pages: null } as const;

  test('what the older doesn\'t know is not sent, either way, and everything else is', async () => {
    await inWorld(31, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      a.self.versions = { min: 1, max: 1 };
      for (const [from, to] of [[a, B], [b, A]] as const) {
        expect(await from.client.call(at(to), DIGESTS, 1000)).toMatchObject({ kind: 'not-sent', detail: expect.stringContaining('version 1') });
        expect(await from.client.call(at(to), ASK, 1000)).toMatchObject({ kind: 'reply' });
      }
      await a.stop();
      await b.stop();
    });
  });

  test('what comes all the same is refused as a request, and the connection lives on', async () => {
    await inWorld(32, {}, async ({ node, network, sleep }) => {
      const b = await node(B, '2');
      const stream = await network.endpoint('old:1').dial({ host: 'b', port: 1 }, 1000);
      const frames: PeerReply['kind'][] = [];
      const decoder = new FrameDecoder(FRAME_LIMITS);
      let isClosed = false;
      stream.start({
        onBytes: (bytes) => {
          decoder.push(bytes);
          for (let frame = decoder.next(); frame.kind === 'frame'; frame = decoder.next()) {
            const decoded = frame.type === HELLO_TYPE ? null : decodeMessage(frame);
            if (decoded?.kind === 'message') frames.push(decoded.message.kind as PeerReply['kind']);
          }
        },
        onDrain: () => {}, onClose: () => { isClosed = true; },
      });
      stream.write([helloBytes()]);
      for (const [i, request] of ([DIGESTS, ASK] as const).entries()) {
        const encoded = encodeMessage(request, { reqId: i + 1, epoch: 1, deadlineMs: 1000 });
        if (encoded.kind === 'encoded') stream.write(encoded.chunks);
      }
      await sleep(500);
      expect(frames).toEqual(['fault', 'find-successor-reply']);
      expect(isClosed).toBe(false);
      stream.destroy();
      await b.stop();
    });
  });
});

describe('a call', () => {
  test('comes back with the reply and its sender', async () => {
    await inWorld(1, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      const outcome = await a.client.call(at(B, '2'), ASK, 1000);
      expect(outcome).toMatchObject({ kind: 'reply', from: b.self.identity.nodeId, reply: { kind: 'find-successor-reply', hops: 4 } });
      await a.stop();
      await b.stop();
    });
  });

  test('brings bodies both ways unchanged', async () => {
    await inWorld(2, { splitProbability: 0.5 }, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      let left: Buffer | null = null;
      b.answer = (_from, request) => {
        if (request.kind === 'prepare') left = request.body;
        return Promise.resolve(request.kind === 'prepare' ? { kind: 'stale-epoch', epoch: 2, layout: null } : readReply(left));
      };
      for (const bytes of [0, 1, 4096, 128 * 1024]) {
        expect((await a.client.call(at(B), prepare(bytes), 1000)).kind).toBe('reply');
        expect(await a.client.call(at(B), READ, 1000)).toMatchObject({ kind: 'reply', reply: { body: Buffer.alloc(bytes, 3) } });
      }
      await a.stop();
      await b.stop();
    });
  });

  test('shares one connection per channel with many others, whatever the order of the replies', async () => {
    await inWorld(3, { splitProbability: 0.2 }, async ({ node, network, sim }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      b.answer = async (_from, request) => {
        await sim.clock.sleep(sim.random.float() * 50);
        return request.kind === 'read' ? { kind: 'stale-epoch', epoch: request.epoch, layout: null } : { kind: 'layout-reply', layout: null };
      };
      const outcomes = await Promise.all(Array.from({ length: 60 }, (_, epoch) => a.client.call(at(B), { ...READ, epoch }, 1000)));
      outcomes.forEach((outcome, epoch) => expect(outcome).toMatchObject({ kind: 'reply', reply: { epoch } }));
      expect(network.connectionCount(A)).toBe(1);
      await a.client.call(at(B), { kind: 'layout-fetch' }, 1000);
      expect(network.connectionCount(A)).toBe(2);
      await a.stop();
      await b.stop();
    });
  });

  test('spreads over more data connections when many are in flight, up to the limit', async () => {
    await inWorld(4, {}, async ({ node, network, sleep }) => {
      const [a, b] = [await node(A, '1', { spreadCallsMin: 4, dataConnectionsMax: 3 }), await node(B, '2')];
      b.answer = never;
      for (let i = 0; i < 40; i++) {
        void a.client.call(at(B), READ, 60_000);
        await sleep(5);
      }
      expect(network.connectionCount(A)).toBe(3);
      await a.stop();
      await b.stop();
    });
  });

  test('to the node itself needs no bytes, starts later and keeps its deadline', async () => {
    await inWorld(5, {}, async ({ node, network }) => {
      const a = await node(A, '1');
      let started = false;
      const answer = a.answer;
      a.answer = (...request) => { started = true; return answer(...request); };
      const call = a.client.call(at(A, '1'), ASK, 1000);
      expect(started).toBe(false);
      expect(await call).toMatchObject({ kind: 'reply', reply: { hops: 4 } });
      expect(await a.client.call(at(A), ASK, 1000)).toMatchObject({ kind: 'reply' });
      expect(await a.client.call(at(A, '9'), ASK, 1000)).toMatchObject({ kind: 'wrong-node' });
      a.answer = never;
      expect(await a.client.call(at(A), ASK, 100)).toMatchObject({ kind: 'no-answer' });
      expect(network.connectionCount(A)).toBe(0);
      await a.stop();
    });
  });

  test('tells the other node how much time is left', async () => {
    await inWorld(6, { latencyMinMs: 50, latencyMaxMs: 50 }, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      const deadlines: number[] = [];
      b.answer = (_from, _request, deadlineMs) => { deadlines.push(deadlineMs); return Promise.resolve({ kind: 'layout-reply', layout: null }); };
      await a.client.call(at(B), { kind: 'layout-fetch' }, 1000);
      // Two round trips of dialling and HELLO went by before the request left.
      expect(deadlines).toEqual([800]);
      await a.stop();
      await b.stop();
    });
  });
});

describe('a call that gets no reply', () => {
  test('was not sent when nobody listens, and fails at once while the back-off lasts', async () => {
    await inWorld(7, {}, async ({ node, sim }) => {
      const a = await node(A, '1');
      expect(await a.client.call(at(B), ASK, 1000)).toMatchObject({ kind: 'not-sent' });
      const before = sim.clock.nowMs();
      expect(await a.client.call(at(B), ASK, 1000)).toMatchObject({ kind: 'not-sent' });
      expect(sim.clock.nowMs()).toBe(before);
      expect(a.meter.value('dht_peer_connection_failures_total', { reason: 'refused' })).toBe(1);
      await a.stop();
    });
  });

  test('was not sent when the address is none', async () => {
    await inWorld(8, {}, async ({ node }) => {
      const a = await node(A, '1');
      expect(await a.client.call(at('nonsense'), ASK, 1000)).toMatchObject({ kind: 'not-sent' });
      await a.stop();
    });
  });

  test('was not sent when time runs out before there is a connection', async () => {
    await inWorld(9, {}, async ({ node, network, sim }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      network.cut(A, B);
      const before = sim.clock.nowMs();
      expect(await a.client.call(at(B), ASK, 500)).toMatchObject({ kind: 'not-sent' });
      expect(sim.clock.nowMs() - before).toBe(500);
      await a.stop();
      await b.stop();
    });
  });

  test('has no answer when time runs out after it was sent', async () => {
    await inWorld(10, {}, async ({ node, sim }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      b.answer = never;
      await a.client.call(at(B), { kind: 'layout-fetch' }, 10);
      const before = sim.clock.nowMs();
      const [slow, quick] = [a.client.call(at(B), ASK, 400), a.client.call(at(B), ASK, 300)];
      expect(await quick).toMatchObject({ kind: 'no-answer' });
      expect(sim.clock.nowMs() - before).toBe(300);
      expect(await slow).toMatchObject({ kind: 'no-answer' });
      expect(sim.clock.nowMs() - before).toBe(400);
      await a.stop();
      await b.stop();
    });
  });

  test('has no answer when the connection breaks after it was sent', async () => {
    await inWorld(11, {}, async ({ node, network, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      b.answer = never;
      const call = a.client.call(at(B), ASK, 60_000);
      await sleep(100);
      network.crash(B);
      expect(await call).toMatchObject({ kind: 'no-answer' });
      await a.stop();
    });
  });

  test('never calls a request that arrived not sent', async () => {
    const counts = { 'reply': 0, 'no-answer': 0, 'not-sent': 0, 'wrong-node': 0 };
    for (let seed = 100; seed < 140; seed++) {
      await inWorld(seed, { resetProbability: 0.05, splitProbability: 0.3, lossProbability: 0.05 }, async ({ node, sleep, sim }) => {
        const [a, b] = [await node(A, '1'), await node(B, '2')];
        const arrived = new Set<number>();
        b.answer = async (_from, request) => {
          if (request.kind === 'body-fetch') arrived.add(request.offset);
          await sim.clock.sleep(sim.random.float() * 40);
          return { kind: 'body-fetch-reply', isHeld: false, size: 0, body: null };
        };
        const outcomes: CallOutcome<'body-fetch'>[] = [];
        for (let offset = 0; offset < 60; offset++) {
          void a.client.call(at(B), { kind: 'body-fetch', bodyId: '1'.repeat(32) as BodyId, name: 'x', offset, length: 1 }, 300)
            .then((outcome) => { outcomes[offset] = outcome; });
          await sleep(sim.random.float() * 20);
        }
        await sleep(1000);
        expect(Object.keys(outcomes).length).toBe(60);
        outcomes.forEach((outcome, offset) => {
          if (outcome.kind === 'not-sent') expect(arrived.has(offset)).toBe(false);
          if (outcome.kind === 'reply') expect(arrived.has(offset)).toBe(true);
        });
        for (const { kind } of outcomes) counts[kind]++;
        await a.stop();
        await b.stop();
      });
    }
    expect(counts).toMatchObject({ 'wrong-node': 0 });
    for (const kind of ['reply', 'no-answer', 'not-sent'] as const) expect(counts[kind]).toBeGreaterThan(50);
  });
});

describe('a peer', () => {
  test('that restarts is reached again within a second', async () => {
    await inWorld(12, {}, async ({ node, network, sleep, sim }) => {
      const a = await node(A, '1');
      await node(B, '2');
      expect((await a.client.call(at(B), ASK, 500)).kind).toBe('reply');
      network.crash(B);
      for (let i = 0; i < 20; i++) {
        await sleep(500);
        expect((await a.client.call(at(B), ASK, 500)).kind).not.toBe('reply');
      }
      await node(B, '2');
      const since = sim.clock.nowMs();
      while ((await a.client.call(at(B), ASK, 500)).kind !== 'reply') await sleep(50);
      expect(sim.clock.nowMs() - since).toBeLessThan(1000);
      await a.stop();
    });
  });

  test('behind a cut that heals is reached again soon after', async () => {
    await inWorld(13, {}, async ({ node, network, sleep, sim }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      await a.client.call(at(B), ASK, 500);
      network.cut(B, A);
      for (let i = 0; i < 16; i++) {
        void a.client.call(at(B), ASK, 500).then((outcome) => { expect(outcome.kind).not.toBe('reply'); });
        await sleep(500);
      }
      await sleep(500);
      network.healAll();
      const since = sim.clock.nowMs();
      while ((await a.client.call(at(B), ASK, 500)).kind !== 'reply') await sleep(50);
      expect(sim.clock.nowMs() - since).toBeLessThan(1500);
      await a.stop();
      await b.stop();
    });
  });

  test('of another nodeId at the address gets nothing, but is told of', async () => {
    await inWorld(14, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      let calls = 0;
      b.answer = () => { calls++; return never(); };
      expect(await a.client.call(at(B, '3'), ASK, 500)).toMatchObject({ kind: 'wrong-node' });
      expect(calls).toBe(0);
      expect(a.seen).toMatchObject([{ peer: { nodeId: '2'.repeat(32), advertise: B }, epoch: 1, boot: { boot: 1, position: 100 } }]);
      await a.stop();
      await b.stop();
    });
  });

  test('of another cluster is refused, counted and logged', async () => {
    await inWorld(15, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      b.self.clusterId = 'd'.repeat(32) as ClusterId;
      expect(await a.client.call(at(B), ASK, 500)).toMatchObject({ kind: 'wrong-node', detail: expect.stringContaining('cluster') });
      expect(b.meter.value('dht_peer_handshake_failures_total', { reason: 'cluster_id' })).toBe(1);
      expect(b.log.lines).toMatchObject([{ level: 'warn', fields: { code: 'DHT_ERR_CLUSTER_FOREIGN' } }]);
      expect(b.seen).toEqual([]);
      await a.stop();
      await b.stop();
    });
  });

  test('without a cluster may ask who is there, but not for data', async () => {
    await inWorld(16, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      a.self.clusterId = null;
      expect(await a.client.call(at(B), ASK, 500)).toMatchObject({ kind: 'reply' });
      expect(await a.client.call(at(B), READ, 500)).toMatchObject({ kind: 'reply', reply: { kind: 'fault', code: 'DHT_ERR_CLUSTER_FOREIGN' } });
      a.self.clusterId = CLUSTER;
      b.answer = () => Promise.resolve(readReply(null));
      expect(await a.client.call(at(B), READ, 500)).toMatchObject({ kind: 'reply', reply: { kind: 'read-reply' } });
      await a.stop();
      await b.stop();
    });
  });

  test('that turns out to be of another cluster loses the connection it made while empty', async () => {
    await inWorld(17, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      a.self.clusterId = null;
      expect((await a.client.call(at(B), ASK, 500)).kind).toBe('reply');
      a.self.clusterId = 'd'.repeat(32) as ClusterId;
      expect((await a.client.call(at(B), ASK, 500)).kind).toBe('no-answer');
      expect(await a.client.call(at(B), ASK, 500)).toMatchObject({ kind: 'wrong-node' });
      await a.stop();
      await b.stop();
    });
  });

  test('shows its epoch in every frame', async () => {
    await inWorld(18, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      await a.client.call(at(B), ASK, 500);
      b.self.epoch = 7;
      await a.client.call(at(B), ASK, 500);
      await a.client.call(at(B), ASK, 500);
      expect(a.seen.map(({ epoch }) => epoch)).toEqual([1, 7]);
      await a.stop();
      await b.stop();
    });
  });
});

describe('a server', () => {
  test('works on so many requests of a connection at a time and leaves none behind', async () => {
    await inWorld(19, {}, async ({ node, sim }) => {
      const [a, b] = [await node(A, '1', { dataConnectionsMax: 1 }), await node(B, '2', { requestsInWorkMax: 8 })];
      let inWork = 0;
      let inWorkMax = 0;
      b.answer = async () => {
        inWorkMax = Math.max(inWorkMax, ++inWork);
        await sim.clock.sleep(1);
        inWork--;
        return readReply(null);
      };
      const outcomes = await Promise.all(Array.from({ length: 200 }, () => a.client.call(at(B), READ, 10_000)));
      expect(outcomes.every((outcome) => outcome.kind === 'reply')).toBe(true);
      expect(inWorkMax).toBe(8);
      await a.stop();
      await b.stop();
    });
  });

  test('drops requests whose time was up before their turn came', async () => {
    await inWorld(20, {}, async ({ node, sim }) => {
      const [a, b] = [await node(A, '1', { dataConnectionsMax: 1 }), await node(B, '2', { requestsInWorkMax: 1 })];
      let begun = 0;
      b.answer = async () => {
        begun++;
        await sim.clock.sleep(80);
        return readReply(null);
      };
      await Promise.all(Array.from({ length: 20 }, () => a.client.call(at(B), READ, 200)));
      await sim.clock.sleep(1000);
      expect(begun).toBeLessThan(5);
      expect(b.meter.value('dht_peer_dropped_frames_total', { reason: 'expired' })).toBe(20 - begun);
      await a.stop();
      await b.stop();
    });
  });

  test('answers a reply that fits no frame with a fault', async () => {
    await inWorld(21, {}, async ({ node }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      b.answer = () => Promise.resolve(readReply(Buffer.alloc(200_000)));
      expect(await a.client.call(at(B), READ, 500)).toMatchObject({ kind: 'reply', reply: { kind: 'fault', code: 'DHT_ERR_INTERNAL' } });
      await a.stop();
      await b.stop();
    });
  });

  test('closes the connection to a peer that takes no bytes, and keeps little for it meanwhile', async () => {
    await inWorld(22, {}, async ({ node, network, sim }) => {
      const b = await node(B, '2', { queuedBytesMax: 1024 * 1024, requestsInWorkMax: 8 });
      let begun = 0;
      b.answer = () => { begun++; return Promise.resolve(readReply(Buffer.alloc(128 * 1024))); };
      const stream = await network.endpoint('evil:1').dial({ host: 'b', port: 1 }, 1000);
      let isClosed = false;
      stream.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => { isClosed = true; } });
      stream.write([helloBytes()]);
      await sim.clock.sleep(100);
      stream.pause();
      for (let i = 1; i <= 100; i++) {
        const read = encodeMessage(READ, { reqId: i, epoch: 1, deadlineMs: 1_000_000 });
        if (read.kind === 'encoded') stream.write(read.chunks);
      }
      await sim.clock.sleep(5000);
      expect(begun).toBeLessThan(30);
      expect(isClosed).toBe(false);
      await sim.clock.sleep(7000);
      expect(isClosed).toBe(true);
      expect(b.meter.value('dht_peer_connection_failures_total', { reason: 'stalled' })).toBe(1);
      await b.stop();
    });
  });

  test('closes connections above its limit', async () => {
    await inWorld(23, {}, async ({ node, network, sleep }) => {
      const b = await node(B, '2', { acceptedConnectionsMax: 3 });
      for (let i = 0; i < 10; i++) {
        const stream = await network.endpoint('evil:1').dial({ host: 'b', port: 1 }, 1000);
        stream.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => {} });
      }
      await sleep(10);
      expect(network.connectionCount(B)).toBe(3);
      // And those that say nothing are closed too.
      await sleep(5000);
      expect(network.connectionCount(B)).toBe(0);
      expect(b.meter.value('dht_peer_handshake_failures_total', { reason: 'timeout' })).toBe(3);
      await b.stop();
    });
  });
});

describe('bytes that are no frames', () => {
  async function afterBytes(bytes: (node: PeerNode) => readonly Buffer[], check: (b: PeerNode) => void): Promise<void> {
    await inWorld(24, {}, async ({ node, network, sleep }) => {
      const [a, b] = [await node(A, '1'), await node(B, '2')];
      let calls = 0;
      const answer = b.answer;
      b.answer = (...request) => { calls++; return answer(...request); };
      const stream = await network.endpoint('evil:1').dial({ host: 'b', port: 1 }, 1000);
      let isClosed = false;
      stream.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => { isClosed = true; } });
      stream.write(bytes(b));
      await sleep(100);
      expect(isClosed).toBe(true);
      expect(calls).toBe(0);
      check(b);
      // Others are served as before.
      expect((await a.client.call(at(B), ASK, 500)).kind).toBe('reply');
      await a.stop();
      await b.stop();
    });
  }

  test('close the connection, without harm to others', async () => {
    await afterBytes(() => [Buffer.from('GET / HTTP/1.1\r\nhost: b\r\n\r\n'.repeat(10))], (b) => {
      expect(b.meter.value('dht_peer_handshake_failures_total', { reason: 'protocol' })).toBe(1);
      expect(b.log.lines).toMatchObject([{ level: 'warn', fields: { code: 'DHT_ERR_PEER_PROTOCOL' } }]);
    });
  });

  test('as well as a request before HELLO', async () => {
    const read = encodeMessage(ASK, { reqId: 1, epoch: 1, deadlineMs: 1000 });
    await afterBytes(() => (read.kind === 'encoded' ? read.chunks.map((chunk) => Buffer.from(chunk)) : []), () => {});
  });

  test('as well as a frame that is longer than its type allows', async () => {
    const long = Buffer.alloc(40);
    helloBytes().copy(long, 0, 0, 40);
    long.writeUInt32BE(1 << 30, 32);
    await afterBytes(() => [long], () => {});
  });

  test('as well as a reply that nobody asked for', async () => {
    const reply = encodeMessage({ kind: 'notify-reply' }, { reqId: 1, epoch: 1, deadlineMs: 0 });
    await afterBytes(() => [helloBytes(), ...(reply.kind === 'encoded' ? reply.chunks.map((chunk) => Buffer.from(chunk)) : [])], () => {});
  });
});

test('the same seed gives the same run', async () => {
  const run = (seed: number): Promise<string> => inWorld(seed, { resetProbability: 0.02, splitProbability: 0.3, lossProbability: 0.1 }, async ({ node, sleep }) => {
    const [a, b] = [await node(A, '1'), await node(B, '2')];
    for (let i = 0; i < 50; i++) {
      void a.client.call(at(B), ASK, 200);
      void b.client.call(at(A), READ, 200);
      await sleep(7);
    }
    await a.stop();
    await b.stop();
  });
  expect(await run(77)).toBe(await run(77));
  expect(await run(77)).not.toBe(await run(78));
});
