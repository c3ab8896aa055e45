/**
 * Peer calls over loopback between two threads, plain and with TLS: READ answered with 4 KiB, PREPARE carrying 4 KiB, and
 * pieces of large bodies both ways, in MB/s.
 * Everything of the real path but the node: codec, frames, pool, deadlines, batching, sockets.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ZERO_BALLOT } from '../../src/domain/ballot.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import { CHUNK_BYTES, FRAME_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
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
/** Pieces of bodies under way: a read-ahead of four, and the 8 MiB that a replica may be behind, in chunks. */
const BODY_CONCURRENCIES = [4, 32];
const BODY_BUDGET_MB = { plain: 800, TLS: 400 } as const;

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
    for (const bytes of [CHUNK_BYTES, FRAME_BODY_BYTES_MAX]) {
      const body = Buffer.alloc(bytes, 6);
      const bodyId = '1'.repeat(32) as BodyId;
      for (const [what, call] of [
        ['stage', () => client.call(target, { kind: 'stage', name: 'bench/12345', bodyId, offset: 0, body }, 5000)],
        ['body-fetch', () => client.call(target, { kind: 'body-fetch', name: 'bench/12345', bodyId, offset: 0, length: bytes }, 5000)],
      ] as const) {
        for (const concurrency of BODY_CONCURRENCIES) {
          const { perSecond, ...rest } = await measure(call, concurrency);
          report({ what: `peer call, ${transport}: ${what} of ${bytes / 1024} KiB, MB/s`, concurrency, perSecond: perSecond * bytes / 1e6, ...rest, budget: BODY_BUDGET_MB[transport] });
        }
      }
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
