/**
 * What the edges (gateway, metrics, command line) see of a node: object operations, the node's own state, the ring as
 * seen from here, and the two commands that change membership. Shapes are those of the HTTP interface, so an edge
 * only translates; all are plain values.
 */
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { SpaceLevel } from '../domain/space-level.ts';
import type { DeleteOutcome, DeleteRequest, GetOutcome, GetRequest, ListOutcome, ListRequest, PutOutcome, PutRequest, PutStreamRequest } from '../domain/object-operation.ts';

export interface AddressView {
  readonly host: string;
  readonly port: number;
  readonly key: number;
}

/** starting: not in a ring or not confirmed yet. serving: ready. leaving: handing over. left: done. stopped. */
export type NodeState = 'starting' | 'joining' | 'serving' | 'leaving' | 'left' | 'damaged' | 'stopped';

/** The volume that this node's files are on. */
export interface StorageView {
  readonly totalBytes: number;
  /** Usable by this process; the ballast is not among it. */
  readonly freeBytes: number;
  /** Set aside so that deletes can be logged on a full volume. */
  readonly ballastBytes: number;
  readonly level: SpaceLevel;
  readonly isReadOnly: boolean;
  /** A sync took more than a second lately: others are read from first. */
  readonly isSlow: boolean;
  /** Part of the present pass that is done, when the last one ended, and objects with rotten bytes, found and not yet whole again. */
  readonly scrub: { readonly progress: number; readonly lastPassAtMs: number | null; readonly rotten: number; readonly unhealed: number };
  /** `ok`, or what is wrong and what to do. */
  readonly detail: string;
}

export interface NodeView {
  readonly host: string;
  readonly port: number;
  readonly httpPort: number | null;
  readonly adminPort: number | null;
  readonly M: number;
  readonly N: number;
  readonly key: number;
  readonly nodeId: string;
  /** Versions of the peer protocol that it speaks. */
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly clusterId: string | null;
  readonly incarnation: number;
  readonly state: NodeState;
  /** Why it is in this state, in words (for whom it waits, how far the leave is). */
  readonly stateDetail: string;
  readonly epoch: number;
  readonly successor: AddressView | null;
  readonly predecessor: AddressView | null;
  readonly successors: readonly AddressView[];
  readonly replicationFactor: number;
  readonly storage: StorageView;
  /** plaintext: started with --insecure-transport. */
  readonly transport: 'tls-psk' | 'plaintext';
  /** Progress of a leave or a catch-up; null when nothing moves. */
  readonly progress: { readonly keysLeft: number; readonly bytesLeft: number } | null;
  /** How long the log is and how much of it is in use, in words. */
  readonly log: string;
}

/** One page of names: `files` (this node is the owner) and `backUpFiles` (held as another replica). */
export interface FilesPage {
  readonly files: readonly string[];
  readonly backUpFiles: readonly string[];
  readonly cursor: string | null;
}

export type Liveness = 'alive' | 'restarting' | 'suspect' | 'down' | 'unknown';

export interface MemberView {
  readonly nodeId: string;
  readonly name: string;
  readonly advertise: string;
  readonly key: number;
  readonly tokens: readonly number[];
  readonly zone: string;
  readonly weight: number;
  readonly state: 'joining' | 'member' | 'leaving' | 'lost';
  readonly liveness: Liveness;
  /** 0 unless it counts as down. */
  readonly downForMs: number;
  /** In words, of one that is down: for how long, and when it will be taken out or why not. */
  readonly trouble: string | null;
  /** What it last told of its disk. */
  readonly disk: 'ok' | 'nearly full' | 'slow';
  readonly isVoter: boolean;
  /** Part of the ring this member owns as first of the preference list, and holds in all, 0 to 1. */
  readonly ownedShare: number;
  readonly heldShare: number;
}

/** What lacks a copy, as far as this node knows. */
export interface RepairView {
  readonly underReplicatedObjects: number;
  /** Writes that other replicas missed and are yet to be told of. */
  readonly hintsQueued: number;
  /** Wall milliseconds of the oldest of them; now when there is none. */
  readonly oldestHintMs: number;
  /** Registers and bodies that wait to be brought here. */
  readonly keysPending: number;
  /** Others that this node still has to compare itself with since it was away. */
  readonly comparisonsLeft: number;
  /** Null: nothing waits. */
  readonly oldestUnrepairedSeconds: number | null;
  /** That background copies may take at this node now: less while clients wait longer than usual. */
  readonly bytesPerSecond: number;
  /** In words. */
  readonly summary: string;
}

export interface RingView {
  readonly clusterId: string | null;
  readonly epoch: number;
  readonly phase: 'stable' | 'moving' | 'none';
  readonly M: number;
  readonly replicas: number;
  readonly replicationFactor: number;
  readonly members: readonly MemberView[];
  readonly voters: readonly string[];
  /** Number of arcs by what their live replicas allow now. */
  readonly arcs: { readonly total: number; readonly healthy: number; readonly degraded: number; readonly unavailable: number };
  readonly moves: { readonly arcs: number; readonly keysLeft: number; readonly bytesLeft: number; readonly estimatedSeconds: number | null };
  readonly repair: RepairView;
  readonly isSafe: boolean;
  /** In words: whether everything is safe now, and if not, what is missing. */
  readonly safety: string;
  /** Whether this node may be removed for good now, and how, in words. */
  readonly isRemovable: boolean;
  readonly removal: string;
  /** Recoveries by an operator, oldest first. */
  readonly recoveries: readonly { readonly epoch: number; readonly fromEpoch: number; readonly atMs: number; readonly by: string; readonly lost: readonly string[] }[];
  /** Warnings, for instance that two members tolerate no failure. */
  readonly warnings: readonly string[];
}

export interface ExplainView {
  readonly name: string;
  /** SHA-256 of the name, hex. */
  readonly hash: string;
  readonly key: number;
  readonly arc: { readonly from: number; readonly to: number };
  readonly epoch: number;
  readonly owner: string | null;
  readonly preferenceList: readonly {
    readonly node: string;
    readonly nodeId: string;
    readonly reason: string;
    readonly liveness: Liveness;
    /** What it really holds; null when it didn't answer. */
    readonly holds: { readonly version: string | null; readonly kind: 'object' | 'tombstone' | 'none'; readonly size: number; readonly sha256: string | null; readonly durable: boolean } | null;
  }[];
  /** Who becomes owner when the present owner fails. */
  readonly nextOwner: string | null;
  readonly repairsPending: number;
}

export type JoinOutcome =
  | { readonly kind: 'joined' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };

export type LeaveOutcome = { readonly kind: 'leaving' } | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };

export type RecoverOutcome = { readonly kind: 'recovered'; readonly epoch: number } | { readonly kind: 'failed'; readonly code: ErrorCode; readonly detail: string };

export interface HealthView {
  readonly isOk: boolean;
  readonly reason: string;
}

export interface ObjectService {
  /** Bodies up to INLINE_BODY_BYTES_MAX. */
  put(request: PutRequest): Promise<PutOutcome>;
  /** Bodies of any length; ends up as `put` when the body turns out to be small. */
  putStream(request: PutStreamRequest): Promise<PutOutcome>;
  /** Names over the whole ring. */
  list(request: ListRequest): Promise<ListOutcome>;
  get(request: GetRequest): Promise<GetOutcome>;
  delete(request: DeleteRequest): Promise<DeleteOutcome>;
}

export const RING_EVENT_KINDS = ['layout', 'joining', 'joined', 'leaving', 'left', 'suspected', 'refuted', 'down', 'restarting', 'returned', 'moved', 'repaired'] as const;
/**
 * layout: a new one is in force. moved: arcs are with their new owners. suspected, then refuted or down; returned: it was
 * down or restarting. repaired: nothing known here lacks a copy any more.
 */
export type RingEventKind = (typeof RING_EVENT_KINDS)[number];

/** What happened to the ring, as this node saw it. */
export interface RingEvent {
  /** Opaque; later events have later ones. */
  readonly id: string;
  /** RFC 3339. */
  readonly at: string;
  readonly kind: RingEventKind;
  /** The member's name; null: it is about none. */
  readonly member: string | null;
  readonly epoch: number;
  readonly count: number | null;
  /** In words. */
  readonly message: string;
}

export interface RingEventSource {
  /** The events kept behind this one; all of them when it is null or not known any more. */
  after(lastId: string | null): readonly RingEvent[];
  /** Hears each further one, at once. Returns what ends that. */
  subscribe(listener: (event: RingEvent) => void): () => void;
}

export interface NodeService {
  readonly objects: ObjectService;
  readonly events: RingEventSource;
  view(): NodeView;
  files(cursor: string | null, limit: number): Promise<FilesPage>;
  ring(): RingView;
  explain(name: string): Promise<ExplainView>;
  /** Resolves once this node is a member and serving, or with the reason why not. `[]` founds a ring of one. */
  join(seeds: readonly string[]): Promise<JoinOutcome>;
  /** Starts the hand-over; `view().state` tells the progress; the process ends by itself. */
  leave(): Promise<LeaveOutcome>;
  /** A layout of the survivors alone, when the voters or an arc's majority are gone for good. Refused without the flag, with what it would cost. */
  recover(acceptDataLoss: boolean): Promise<RecoverOutcome>;
  /** ready: joined, layout known, recovered position confirmed, disk ok. */
  readiness(): HealthView;
  startup(): HealthView;
  /** The whole ring as seen here: false while any arc has no live majority. */
  clusterHealth(): HealthView;
}
