/**
 * Peer calls over loopback between two threads, plain and with TLS: READ answered with 4 KiB, and PREPARE carrying 4 KiB.
 * Everything of the real path but the node: codec, frames, pool, deadlines, batching, sockets.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ZERO_BALLOT } from '../../src/domain/ballot.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import type { RequestHandler } from '../../src/peer/peer-caller.ts';
import { PeerClient } from '../../src/peer/peer-client.ts';
import { PeerMeters } from '../../src/peer/peer-meters.ts';
import type { PrepareRequest, ReadRequest } from '../../src/protocol/message.ts';
import { parseClusterSecret } from '../../src/runtime/cluster-secret.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeNetwork } from '../../src/runtime/node-network.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { PEER_OPTIONS } from '../unit/peer/sim-world.ts';
import { benchNode } from './peer-bench-node.ts';
import type { Report } from './report.ts';

const BODY_BYTES = 4096;
const SECRET = 'a secret for measuring, long enough for the limit';
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);
const CONCURRENCIES = [1, 16, 64];

const READ: ReadRequest = { kind: 'read', epoch: 1, name: 'bench/12345', wantBody: true };
const PREPARE: PrepareRequest = {
  kind: 'prepare', epoch: 1, name: 'bench/12345', ballot: ZERO_BALLOT, staged: { bodyId: '1'.repeat(32) as BodyId, sha256: '2'.repeat(64) }, body: Buffer.alloc(BODY_BYTES, 5),
};
const NOBODY: RequestHandler = { handle: () => Promise.reject(new Error('the bench calls no one here')) };

export async function runPeerBench(report: Report): Promise<void> {
  for (const [transport, secret] of [['plain', null], ['TLS', SECRET]] as const) {
    const server = new Worker(new URL('./peer-bench-server.ts', import.meta.url), { workerData: { secret, bodyBytes: BODY_BYTES } });
    const [port] = (await once(server, 'message')) as [number];
    const network = new NodeNetwork({ secret: secret === null ? null : parseClusterSecret(secret) });
    const client = new PeerClient(
      { network, clock: new NodeClock(), random: new NodeRandom(), local: benchNode('1', '127.0.0.1:2'), meters: new PeerMeters(SIM_METER), handler: NOBODY },
      PEER_OPTIONS,
    );
    const target = { advertise: `127.0.0.1:${port}`, nodeId: null };
    for (const [what, call] of [
      ['READ, answer of 4 KiB', () => client.call(target, READ, 5000)],
      ['PREPARE with 4 KiB', () => client.call(target, PREPARE, 5000)],
    ] as const) {
      for (const concurrency of CONCURRENCIES) report({ what: `peer call, ${transport}: ${what}`, concurrency, ...(await measure(call, concurrency)) });
    }
    await client.stop();
    await server.terminate();
  }
}

async function measure(call: () => Promise<{ readonly kind: string }>, concurrency: number): Promise<{ perSecond: number; p50Ms: number; p99Ms: number; failures: number }> {
  let failures = 0;
  const durationsMs: number[] = [];
  const worker = async (untilMs: number): Promise<void> => {
    while (performance.now() < untilMs) {
      const startedMs = performance.now();
      const outcome = await call();
      durationsMs.push(performance.now() - startedMs);
      if (outcome.kind !== 'reply') failures++;
    }
  };
  const round = (seconds: number): Promise<void[]> => Promise.all(Array.from({ length: concurrency }, () => worker(performance.now() + seconds * 1000)));
  await round(SECONDS / 4);
  durationsMs.length = 0;
  const startedMs = performance.now();
  await round(SECONDS);
  const seconds = (performance.now() - startedMs) / 1000;
  durationsMs.sort((a, b) => a - b);
  const at = (part: number): number => durationsMs[Math.floor(durationsMs.length * part)] ?? 0;
  return { perSecond: durationsMs.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures };
}
