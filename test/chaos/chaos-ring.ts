/**
 * What a scenario may do to a ring, whoever runs it: processes on loopback (local-ring.ts) or pods of a cluster. Nodes are
 * named by their ordinals, as pods of a StatefulSet are.
 *
 * Every action ends by itself, within the time that its driver allows; what a driver can't do is missing among its
 * capabilities, and a scenario that needs it is skipped with that reason. An action without a capability of its own is
 * one that every driver has.
 */
import type { NodeView, RingView } from '../../src/node/node-service.ts';
import type { AuditedNode } from '../histories/audit.ts';

export type Capability =
  /** A killed node stays away for a time that the scenario chooses. */
  | 'kill-for'
  /** SIGSTOP and SIGCONT. */
  | 'pause'
  /** Each direction of each link by itself. */
  | 'links'
  | 'swap-addresses'
  /** Another ring's node answers at a node's address. */
  | 'foreign-node'
  | 'full-disk'
  | 'damage'
  | 'api-faults'
  | 'clock'
  | 'slow'
  | 'evict'
  /** Starts a whole new installation, as often as wanted. */
  | 'fresh-ring'
  /** Another release of the program on a node. */
  | 'versions'
  /** The gateways have certificates, in files. */
  | 'certificate'
  | 'secret';

export type ApiFault = 'silent' | 400 | 403 | 404 | 410 | 500 | null;

export type LinkFault = { readonly kind: 'held' } | { readonly kind: 'reset' } | { readonly kind: 'slow'; readonly delayMs: number };

/** bodies: one bit of the copies of large bodies. missing-body: their files are gone. log-tail: the last bytes of the log are gone. log: one bit in its middle. */
export type Damage = 'bodies' | 'missing-body' | 'log-tail' | 'log';

/** half: the certificate is new and its key is not. */
export type CertificateStep = 'half' | 'renewed';

/** The first one is used, the second accepted too. */
export type SecretStep = 'old-and-new' | 'new-and-old' | 'new';

export interface ChaosNode extends AuditedNode {
  readonly ordinal: number;
  readonly isReady: boolean;
  view(): Promise<NodeView>;
  ring(): Promise<RingView>;
  /** The sum over the label sets that contain all of `labels`; null: no answer. */
  metric(name: string, labels?: string): Promise<number | null>;
}

export interface ChaosRing {
  readonly capabilities: ReadonlySet<Capability>;
  /** Why a capability is missing here, for those who wonder. */
  whyNot(capability: Capability): string;
  /** Wanted nodes. */
  readonly replicas: number;
  /** By ordinal, those that don't answer too. */
  readonly nodes: readonly ChaosNode[];
  /** Where a client finds any node that is ready. */
  readonly serviceUrl: string;

  /** SIGKILL, all at once; they come back by themselves, not before `downMs`. */
  kill(ordinals: readonly number[], downMs?: number): Promise<void>;
  /** As an operator deletes a pod: SIGTERM, the grace, and a new one. Resolves when the old process has ended. */
  restart(ordinal: number): Promise<void>;
  /** One after the other, each ready before the next. */
  rollingRestart(): Promise<void>;
  /** Whether the budget for disruptions allowed it; if so, as `restart`. */
  evict(ordinal: number): Promise<boolean>;
  /** Resolves at once. */
  scale(replicas: number): Promise<void>;
  /** Kills the nodes and takes their volumes away; they come back on new ones, not before `downMs`. */
  loseVolumes(ordinals: readonly number[], downMs?: number): Promise<void>;
  pause(ordinal: number): Promise<void>;
  resume(ordinal: number): Promise<void>;
  /** What the first send to the second. */
  link(from: readonly number[], to: readonly number[], fault: LinkFault): Promise<void>;
  swapAddresses(a: number, b: number): Promise<void>;
  /** Kills the node and puts a node of another ring at its address. */
  impersonate(ordinal: number): Promise<void>;
  fillDisk(ordinal: number): Promise<void>;
  freeDisk(ordinal: number): Promise<void>;
  /** Kills the node, damages its files, and lets it come back; the number of damaged places. */
  damage(ordinal: number, what: Damage): Promise<number>;
  apiFault(fault: ApiFault): Promise<void>;
  /** The wall clock of a node is off by so much from now on. */
  shiftClock(ordinal: number, byMs: number): Promise<void>;
  /** The node's own loop is busy this share of the time (0: not). */
  slow(ordinal: number, busyShare: number): Promise<void>;
  /** From its next start on the node speaks the peer protocol up to this version, as its release does. */
  chooseVersion(ordinal: number, protocolMax: number): Promise<void>;
  replaceCertificate(ordinal: number, step: CertificateStep): Promise<void>;
  /** What nodes read as the cluster secret at their next start. */
  rotateSecret(step: SecretStep): Promise<void>;
  /** A whole new installation founds its ring, with nodes started at times and links opened late as `random` says; the ids of the rings seen. */
  foundAnew(random: () => number): Promise<ReadonlySet<string>>;

  /** Ends every fault: links open, stopped processes go on, addresses, clocks and API as they were. */
  heal(): Promise<void>;
  /** What is missing until all wanted nodes serve in one epoch and all copies are where they belong; null: nothing. */
  lack(): Promise<string | null>;
  untilWhole(deadlineMs: number): Promise<number>;
  untilReady(ordinals: readonly number[], deadlineMs: number): Promise<number>;
  /** Processes that ended as nothing in the scenario made them. */
  readonly unexpectedEnds: readonly string[];
  /** Lines of the nodes' logs that a program without bugs never writes. */
  neverLogged(): Promise<readonly string[]>;
  /** Open files of each node's process, by an id of the process; empty where that isn't known. */
  openFiles(): Promise<ReadonlyMap<string, number>>;
  /** `isKept`: data and logs stay; says where. */
  stop(isKept: boolean): Promise<string>;
}
