/** A small simulated world for tests of peers: an event queue, a network, and nodes that speak the real protocol on it. */
import { PROTOCOL_VERSIONS, type VersionSpan } from '../../../src/domain/protocol-versions.ts';
import type { ClusterId, NodeId } from '../../../src/domain/ids.ts';
import type { PeerIdentity } from '../../../src/domain/peer-identity.ts';
import type { LocalNode } from '../../../src/peer/local-node.ts';
import type { RequestHandler } from '../../../src/peer/peer-caller.ts';
import { PeerClient } from '../../../src/peer/peer-client.ts';
import { PeerMeters } from '../../../src/peer/peer-meters.ts';
import type { PeerOptions } from '../../../src/peer/peer-options.ts';
import { PeerServer } from '../../../src/peer/peer-server.ts';
import type { PeerReply, PeerRequest } from '../../../src/protocol/message.ts';
import { CALM_NETWORK, SimNetwork, type NetworkFaults } from '../../../src/sim/sim-network.ts';
import { Simulation } from '../../../src/sim/simulation.ts';
import { RecordingLog } from '../../support/recording-log.ts';
import { RecordingMeter } from '../../support/recording-meter.ts';

export const PEER_OPTIONS: PeerOptions = {
  dialTimeoutMs: 2000,
  dialBackoffMinMs: 50,
  dialBackoffMaxMs: 500,
  dataConnectionsMax: 8,
  bodyConnectionsMax: 4,
  spreadCallsMin: 64,
  callsPerConnectionMax: 1000,
  queuedBytesMax: 4 * 1024 * 1024,
  silenceMs: 3000,
  stallMs: 10_000,
  idleMs: 60_000,
  acceptedConnectionsMax: 100,
  requestsInWorkMax: 64,
  bodyRequestsInWorkMax: 8,
  requestBytesInWorkMax: 8 * 1024 * 1024,
  sweepIntervalMs: 1000,
};

export const CLUSTER = 'c'.repeat(32) as ClusterId;

export type Answer = (from: PeerIdentity, request: PeerRequest, deadlineMs: number) => Promise<PeerReply>;

export interface PeerNode {
  readonly client: PeerClient;
  readonly server: PeerServer;
  readonly meter: RecordingMeter;
  readonly log: RecordingLog;
  readonly seen: { readonly peer: PeerIdentity; readonly epoch: number; readonly boot: { readonly boot: number; readonly position: number } }[];
  /** What the node says of itself; may be changed at any time. */
  readonly self: { identity: PeerIdentity; clusterId: ClusterId | null; epoch: number; versions: VersionSpan };
  answer: Answer;
  stop(): Promise<void>;
}

export interface World {
  readonly sim: Simulation;
  readonly network: SimNetwork;
  sleep(ms: number): Promise<void>;
  /** A node that listens at its name. */
  node(name: string, idDigit: string, options?: Partial<PeerOptions>): Promise<PeerNode>;
}

export async function inWorld(seed: number, faults: Partial<NetworkFaults>, main: (world: World) => Promise<void>): Promise<string> {
  const sim = new Simulation({ seed, durationMsMax: 3_600_000, eventsMax: 2_000_000, linesMax: 100 });
  const network = new SimNetwork({ clock: sim.clock, random: sim.random.fork('network') }, { ...CALM_NETWORK, ...faults });
  const world: World = {
    sim,
    network,
    sleep: (ms) => sim.clock.sleep(ms),
    node: (name, idDigit, options = {}) => startNode(sim, network, name, idDigit, { ...PEER_OPTIONS, ...options }),
  };
  const result = await sim.run(() => main(world));
  if (result.violations.length > 0) throw new Error(result.violations.join('\n'));
  return result.digest;
}

async function startNode(sim: Simulation, network: SimNetwork, name: string, idDigit: string, options: PeerOptions): Promise<PeerNode> {
  const self = {
    identity: { nodeId: idDigit.repeat(32) as NodeId, name, advertise: name, incarnation: 1 } as PeerIdentity,
    clusterId: CLUSTER as ClusterId | null,
    epoch: 1,
    versions: PROTOCOL_VERSIONS as VersionSpan,
  };
  const seen: PeerNode['seen'] = [];
  const local: LocalNode = {
    get versions() { return self.versions; },
    identity: () => self.identity,
    clusterId: () => self.clusterId,
    position: () => ({ boot: self.identity.incarnation, position: 100 }),
    epoch: () => self.epoch,
    onPeerSeen: (peer, epoch, boot) => { seen.push({ peer, epoch, boot }); },
  };
  const meter = new RecordingMeter();
  const log = new RecordingLog();
  const meters = new PeerMeters(meter);
  const handler: RequestHandler = { handle: (async (from: PeerIdentity, request: PeerRequest, deadlineMs: number) => await node.answer(from, request, deadlineMs)) as RequestHandler['handle'] };
  const { clock } = sim;
  const endpoint = network.endpoint(name);
  const client = new PeerClient({ network: endpoint, clock, random: sim.random.fork(name), local, meters, handler }, options);
  const server = new PeerServer({ network: endpoint, clock, local, meters, handler, log }, options);
  const node: PeerNode = {
    client, server, meter, log, seen, self,
    answer: (_from, request) => Promise.resolve(request.kind === 'find-successor'
      ? { kind: 'find-successor-reply', node: { nodeId: self.identity.nodeId, name, advertise: name }, hops: request.hops + 1 }
      : { kind: 'fault', code: 'DHT_ERR_INTERNAL', detail: request.kind }),
    stop: async () => { await Promise.all([client.stop(), server.stop()]); },
  };
  const [host, port] = name.split(':');
  await server.listen(host ?? '', Number(port));
  return node;
}
