/**
 * What a node is told, and the doors it gets. Nothing here has a default: `main.ts` maps the settings, the simulator
 * gives what a test wants.
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { NodeAddress } from '../domain/node-address.ts';
import type { Rules } from '../domain/rules.ts';
import type { ByteNetwork } from '../ports/byte-network.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../ports/clock.ts';
import type { FoundingPermit } from '../ports/cluster-info.ts';
import type { Disk } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import type { Meter } from '../ports/meter.ts';
import type { Random } from '../ports/random.ts';
import type { VersionSpan } from '../domain/protocol-versions.ts';
import type { NodeTuning } from './node-tuning.ts';

export interface NodeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: ByteNetwork;
  readonly disk: Disk;
  readonly log: Log;
  readonly meter: Meter;
  /** p99 of the event loop's delay since the last call. */
  readonly loopDelayMs: () => number;
  /** Asked with this node's id before it founds a ring; null: nobody has to be asked. */
  readonly mayFound: ((nodeId: NodeId) => Promise<FoundingPermit>) | null;
  /** ALL_RULES outside tests. */
  readonly rules: Rules;
}

export interface RingOptions {
  /** M. */
  readonly keyBits: number;
  /** n. */
  readonly replicas: number;
  readonly tokensPerNode: number;
  readonly candidatesPerToken: number;
}

export interface NodeOptions {
  /** Names the node. Port 0: any free port. */
  readonly address: NodeAddress;
  /** `host:port` that peers dial; null: the address itself. */
  readonly advertise: string | null;
  /** Interface to listen on. */
  readonly listenHost: string;
  /** The node's files are in `<dataDirectory>/<host>_<port>/`. */
  readonly dataDirectory: string;
  /** Seeds, `host:port` each. Empty: an empty node founds its own ring. */
  readonly join: readonly string[];
  /** The first k of `join` are the initial names that found a ring together. */
  readonly bootstrapExpect: number;
  /** Stay alone until told. */
  readonly isJoinOff: boolean;
  readonly ring: RingOptions;
  readonly zone: string;
  readonly weight: number;
  /** Milliseconds that a member is down until it is taken out of the ring; null: never. */
  readonly outAfterMs: number | null;
  /** Metrics of each other member: n² series in a ring of n. */
  readonly metricsPerPeer: boolean;
  readonly transport: 'tls-psk' | 'plaintext';
  /** Of the peer protocol, that this node speaks. */
  readonly versions: VersionSpan;
  readonly tuning: NodeTuning;
}

/** Why a node is no more. */
export type NodeEnd =
  /** It was stopped, as for a restart. */
  | { readonly kind: 'stopped' }
  /** It left the ring and handed everything over. */
  | { readonly kind: 'left' }
  /** Its log lost acknowledged state (rule R16), or another process runs with its identity: `stop` sets the log aside; started again it joins as a new node. */
  | { readonly kind: 'identity-lost'; readonly detail: string }
  /** The disk failed to keep a write, or gave back something else than was written. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };
