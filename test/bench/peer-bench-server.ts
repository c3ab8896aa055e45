/** The answering side of the peer bench, in a thread of its own: stores nothing, answers with 4 KiB or the piece that is asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { ZERO_BALLOT } from '../../src/domain/ballot.ts';
import { FRAME_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
import type { RequestHandler } from '../../src/peer/peer-caller.ts';
import { PeerMeters } from '../../src/peer/peer-meters.ts';
import { PeerServer } from '../../src/peer/peer-server.ts';
import type { PeerReply, PeerRequest } from '../../src/protocol/message.ts';
import { parseClusterSecret } from '../../src/runtime/cluster-secret.ts';
import { NodeClock } from '../../src/runtime/node-clock.ts';
import { NodeNetwork } from '../../src/runtime/node-network.ts';
import { SIM_METER } from '../../src/sim/sim-meter.ts';
import { RecordingLog } from '../support/recording-log.ts';
import { PEER_OPTIONS } from '../unit/peer/sim-world.ts';
import { benchNode } from './peer-bench-node.ts';

const { secret, bodyBytes } = workerData as { secret: string | null; bodyBytes: number };
const body = Buffer.alloc(bodyBytes, 7);
const largeBody = Buffer.alloc(FRAME_BODY_BYTES_MAX, 8);

function answer(request: PeerRequest): PeerReply {
  if (request.kind === 'prepare') return { kind: 'prepare-reply', epoch: 1, state: 'promised', promised: request.ballot, accepted: null, floor: ZERO_BALLOT, isStaged: true };
  if (request.kind === 'stage') return { kind: 'stage-reply', state: 'ok', length: request.body.length };
  if (request.kind === 'body-fetch') return { kind: 'body-fetch-reply', isHeld: true, size: request.length, body: largeBody.subarray(0, request.length) };
  return { kind: 'read-reply', epoch: 1, promised: ZERO_BALLOT, accepted: null, floor: ZERO_BALLOT, body };
}

const handler: RequestHandler = { handle: ((_from: unknown, request: PeerRequest) => Promise.resolve(answer(request))) as RequestHandler['handle'] };
const network = new NodeNetwork({ secret: secret === null ? null : parseClusterSecret(secret) });
const server = new PeerServer({ network, clock: new NodeClock(), local: benchNode('2', '127.0.0.1:1'), meters: new PeerMeters(SIM_METER), handler, log: new RecordingLog() }, { ...PEER_OPTIONS, requestsInWorkMax: 1024, bodyRequestsInWorkMax: 32 });
parentPort?.postMessage(await server.listen('127.0.0.1', 0));
