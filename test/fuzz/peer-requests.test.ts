/**
 * A node as a process of its own, and a peer that is let in and then says anything: bytes before HELLO, broken HELLOs,
 * damaged frames, and requests of every kind that are well formed and mean nothing. The process goes on, still serves
 * clients, and its log has no error: whatever comes in, the worst that happens is that one connection closes.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClusterId, NodeId } from '../../src/domain/ids.ts';
import { encodeMessage, FRAME_LIMITS, isRequest } from '../../src/protocol/codec.ts';
import { FrameDecoder } from '../../src/protocol/frame.ts';
import { encodeHello } from '../../src/protocol/hello.ts';
import type { Channel, PeerMessage } from '../../src/protocol/message.ts';
import { messageByKind } from '../unit/protocol/arbitrary-messages.ts';
import { RealRing, until, type RealNode } from '../support/real-ring.ts';

let ring: RealRing;
let node: RealNode;
let clusterId: ClusterId;
let epoch = 0;

beforeAll(async () => {
  ring = await RealRing.create({ isInsecure: true });
  node = await ring.startNew([]);
  clusterId = (await node.ring()).clusterId as ClusterId;
}, 60_000);

beforeEach(async () => {
  if (node.isRunning) epoch = (await node.ring()).epoch;
});

afterAll(() => ring.stop(), 60_000);

function dial(): Promise<Socket> {
  expectRunning();
  return new Promise((resolve, reject) => {
    const socket = connect({ port: node.port, host: '127.0.0.1' }, () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => undefined);
  });
}

function hello(channel: Channel): Buffer {
  return encodeHello({
    versionMin: 1, versionMax: 1, features: 0, clusterId, identity: { nodeId: '9'.repeat(32) as NodeId, name: 'evil:1', advertise: '127.0.0.1:1', incarnation: 1 },
    position: { boot: 1, position: 1 }, epoch, channel,
  });
}

/** Sends the bytes and half-closes; resolves with the number of frames that came back when the node has closed too. */
async function say(bytes: Buffer): Promise<number> {
  const socket = await dial();
  const decoder = new FrameDecoder(FRAME_LIMITS);
  let frames = 0;
  socket.on('data', (piece: Buffer) => {
    decoder.push(piece);
    while (decoder.next().kind === 'frame') frames += 1;
  });
  socket.end(bytes);
  await new Promise<void>((resolve) => { socket.once('close', () => resolve()); });
  return frames;
}

/** Sends requests one after the other and waits for as many answers, or for the end of the connection. */
async function ask(requests: readonly PeerMessage[], channel: Channel, at: number): Promise<number> {
  const socket = await dial();
  const decoder = new FrameDecoder(FRAME_LIMITS);
  let answers = -1;
  const done = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.on('data', (piece: Buffer) => {
      decoder.push(piece);
      while (decoder.next().kind === 'frame') answers += 1;
      if (answers === requests.length) resolve();
    });
  });
  socket.write(hello(channel));
  for (const [i, request] of requests.entries()) {
    const outcome = encodeMessage(request, { reqId: i + 1, epoch: at, deadlineMs: 2_000 });
    if (outcome.kind === 'encoded') for (const chunk of outcome.chunks) socket.write(chunk);
    else answers += 1;
  }
  await done;
  socket.destroy();
  return answers;
}

function expectRunning(): void {
  if (!node.isRunning) throw new Error(`the node has ended:\n${readFileSync(node.logFile, 'utf8').slice(-3000)}`);
}

async function expectAlive(): Promise<void> {
  expectRunning();
  // Joiners that don't exist are let in, and given up after their time; meanwhile writes may lack a majority.
  await until(async () => {
    const stored = await fetch(node.objectUrl('alive'), { method: 'PUT', body: 'yes' });
    await stored.arrayBuffer();
    return stored.ok;
  }, 90_000, 'the node takes a write');
  expect(await (await fetch(node.objectUrl('alive'))).text()).toBe('yes');
  const errors = readFileSync(node.logFile, 'utf8').split('\n').filter((line) => line.includes('"level":"error"'));
  expect(errors).toEqual([]);
}

const REQUESTS = Object.entries(messageByKind).filter(([, arbitrary]) => isRequest(fc.sample(arbitrary, { numRuns: 1, seed: 3 })[0] as PeerMessage));

describe('a node', () => {
  test('outlives bytes that are no HELLO, and parts of one', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(200), fc.boolean(), async (bytes, at, isChanged) => {
      const start = hello('data');
      await say(isChanged ? Buffer.concat([start.subarray(0, at), bytes]) : Buffer.from(bytes));
    }), { numRuns: 60 });
    await expectAlive();
  });

  test('outlives damaged frames behind a good HELLO', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...REQUESTS).chain(([, arbitrary]) => arbitrary), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 20 }), async (message, at, bytes) => {
      const outcome = encodeMessage(message, { reqId: 1, epoch, deadlineMs: 1_000 });
      if (outcome.kind !== 'encoded') return;
      const whole = Buffer.concat([...outcome.chunks]);
      const from = at % whole.length;
      await say(Buffer.concat([hello('control'), whole.subarray(0, from), bytes, whole.subarray(from + bytes.length)]));
    }), { numRuns: 100 });
    await expectAlive();
  }, 60_000);

  test.each(REQUESTS)('answers any %s that is well formed, in its epoch and in others, and goes on', async (_kind, arbitrary) => {
    await fc.assert(fc.asyncProperty(fc.array(arbitrary, { minLength: 1, maxLength: 8 }), fc.constantFrom<Channel>('control', 'data', 'body'), fc.constantFrom(0, 0, 1, 1000), async (messages, channel, ahead) => {
      // Registers are asked about in the node's own epoch too: further than its fence.
      const requests = messages.map((message, i) => ('epoch' in message && i % 2 === 0 ? { ...message, epoch: epoch + ahead } : message));
      await ask(requests, channel, epoch + ahead);
      expectRunning();
    }), { numRuns: 12 });
    await expectAlive();
  }, 120_000);

  test('starts again on what all that left on its disk', async () => {
    node.kill('SIGKILL');
    await node.exited;
    ring.start(node, []);
    await ring.untilReady(node);
    await expectAlive();
  }, 120_000);
});
