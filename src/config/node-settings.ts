/** What a node can be told, as typed values. The catalogue beside this file says how each is written and checked. */
import type { NodeAddress } from '../domain/node-address.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export const LOG_FORMATS = ['auto', 'json', 'text'] as const;

/** What a signal to end means: see kubernetes/shutdown-decision.ts. */
export const LEAVE_POLICIES = ['auto', 'never', 'always'] as const;

export type LeavePolicy = (typeof LEAVE_POLICIES)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface NodeSettings {
  readonly host: string;
  readonly port: number;
  /** Null: peers dial `host:port`. */
  readonly advertise: NodeAddress | null;
  /** Interfaces to bind. Null: loopback when `host` is loopback, else all; `adminListen` null is always loopback. */
  readonly listen: string | null;
  readonly httpListen: string | null;
  readonly adminListen: string | null;
  readonly httpPort: number;
  readonly adminPort: number;
  readonly dataDir: string;
  readonly join: readonly NodeAddress[];
  readonly bootstrapExpect: number;
  readonly noJoin: boolean;
  readonly replicas: number;
  readonly keyBits: number;
  readonly tokens: number;
  readonly candidates: number;
  readonly zone: string;
  /** Seconds; 0: never. */
  readonly outAfter: number;
  /** The highest version of the peer protocol that this node speaks. */
  readonly protocolMax: number;
  readonly clusterSecret: string | null;
  readonly clusterSecretFile: string | null;
  readonly insecureTransport: boolean;
  /** A file of `name:token` lines; null: object requests need no token. */
  readonly gatewayTokensFile: string | null;
  /** Both or neither; null: the gateway speaks plain HTTP. */
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  /** Where this node's StatefulSet and the installation's Secret are; all three or none. */
  readonly kubernetesNamespace: string | null;
  readonly kubernetesStatefulSet: string | null;
  readonly kubernetesSecret: string | null;
  readonly leavePolicy: LeavePolicy;
  /** Seconds. */
  readonly reapAfter: number;
  readonly drainDelay: number;
  readonly httpDrain: number;
  readonly httpConnectionsMax: number;
  readonly httpRequestsMax: number;
  readonly metricsPerPeer: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}
