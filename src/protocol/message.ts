/**
 * The closed union of peer messages: what nodes say to each other. Each request has exactly one reply, or the reply
 * `fault`. Bytes of bodies and of layouts travel as the frame's body (`body`), everything else in its head.
 *
 * Three families: *ring* (pings, gossip, join, layout chain, on the control connection), *register* (reads, PREPARE,
 * ACCEPT, with the sender's layout epoch: rule R3), *copy* (catch-up, bodies, receipts).
 * Source: protocol sections A.4 to A.7, C.1, E, G.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { ErrorCode } from '../domain/error-catalogue.ts';
import type { BodyId, ClusterId, Epoch, NodeId } from '../domain/ids.ts';
import type { Layout } from '../domain/layout.ts';
import type { ObjectKey, Position } from '../domain/ring-position.ts';
import type { SpaceLevel } from '../domain/space-level.ts';
import type { ObjectRecord } from '../domain/stored-object.ts';

// ---------------------------------------------------------------------------------------------------- vocabulary

/** What gossip says of a node. The higher incarnation wins; at the same one: left > down > suspect > restarting > alive. */
export type GossipState = 'alive' | 'restarting' | 'suspect' | 'down' | 'left';

export interface GossipEntry {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly advertise: string;
  readonly incarnation: number;
  readonly state: GossipState;
  /** Who reports suspect or down (two reporters make a node down where the ring has them). */
  readonly accusers: readonly NodeId[];
  /** How long the teller has known it down at this incarnation, in milliseconds; 0 in other states. A duration, for clocks differ. */
  readonly downForMs: number;
}

export interface NodeHealth {
  /** 0 healthy, 1 to 8: how much this node distrusts itself (Lifeguard's local health). */
  readonly awareness: number;
  /** p99 of its event loop's delay. */
  readonly loopDelayMs: number;
  /** Parts of the disk in use, 0 to 1. */
  readonly diskUsed: number;
  /** What it still takes. */
  readonly space: SpaceLevel;
  /** Its disk answers so slowly that others should be asked first. */
  readonly isDiskSlow: boolean;
}

/** What a node says of its disk. */
export type DiskHealth = Pick<NodeHealth, 'diskUsed' | 'space' | 'isDiskSlow'>;

export interface NodeRef {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly advertise: string;
}

/** One register in a catch-up page: enough to see who has the highest record. */
export interface PageEntry {
  readonly key: ObjectKey;
  readonly promised: Ballot;
  /** ZERO_BALLOT when nothing is accepted here. */
  readonly accepted: Ballot;
  /** Bytes of the body, 0 for tombstones. */
  readonly size: number;
}

/** The highest (boot, fsynced log position) remembered of a peer (rule R16). */
export interface BootPosition {
  readonly boot: number;
  readonly position: number;
}

// ---------------------------------------------------------------------------------------------------------- ring

export interface PingRequest {
  readonly kind: 'ping';
  readonly from: NodeRef;
  readonly boot: BootPosition;
  readonly health: NodeHealth;
  readonly gossip: readonly GossipEntry[];
}
export interface PingReply {
  readonly kind: 'ping-reply';
  readonly from: NodeRef;
  readonly boot: BootPosition;
  readonly health: NodeHealth;
  /** As derived by the receiver: the seed's "ask the successor for its predecessor". Null: it has no layout. */
  readonly predecessor: NodeRef | null;
  readonly successors: readonly NodeRef[];
  readonly gossip: readonly GossipEntry[];
}

/** Ask a third node to ping the target (SWIM's ping-req). */
export interface ProbeRequest {
  readonly kind: 'probe';
  readonly target: NodeRef;
}
export interface ProbeReply {
  readonly kind: 'probe-reply';
  readonly isAnswered: boolean;
}

/** "Who are you?": asked of every seed name by a node without a layout, and of the first initial name (A.7). */
export interface WhoAreYouRequest {
  readonly kind: 'who-are-you';
  readonly from: NodeRef;
}
export interface WhoAreYouReply {
  readonly kind: 'who-are-you-reply';
  readonly from: NodeRef;
  readonly state: 'empty' | 'member';
  /** Null while empty. */
  readonly clusterId: ClusterId | null;
  /** The nodeId this empty node durably promised to follow. */
  readonly promisedFounder: NodeId | null;
  /** What the founder writes into the founding layout for this node; M has to be the same on all initial nodes. */
  readonly zone: string;
  readonly weight: number;
  readonly keyBits: number;
}

export interface FindSuccessorRequest {
  readonly kind: 'find-successor';
  readonly position: Position;
  readonly hops: number;
}
export interface FindSuccessorReply {
  readonly kind: 'find-successor-reply';
  readonly node: NodeRef;
  readonly hops: number;
}

export interface JoinRequest {
  readonly kind: 'join';
  readonly node: NodeRef;
  readonly zone: string;
  readonly weight: number;
  /** M of the joiner: has to be the ring's. */
  readonly keyBits: number;
}
export interface JoinReply {
  readonly kind: 'join-reply';
  /** accepted: remembered and on its way. refused: see detail. */
  readonly state: 'accepted' | 'member' | 'refused';
  readonly detail: string;
}

export interface LeaveRequest {
  readonly kind: 'leave';
  readonly nodeId: NodeId;
}
export interface LeaveReply {
  readonly kind: 'leave-reply';
  readonly state: 'accepted' | 'gone' | 'refused';
}

/** The leaver's farewell to its predecessor: a hint that shortens convergence, never truth. */
export interface NotifyRequest {
  readonly kind: 'notify';
  readonly leaver: NodeRef;
  readonly successor: NodeRef;
}
export interface NotifyReply {
  readonly kind: 'notify-reply';
}

export interface LayoutFetchRequest {
  readonly kind: 'layout-fetch';
}
/** Also the answer to `layout-announce`, and to any register message of another epoch. */
export interface LayoutReply {
  readonly kind: 'layout-reply';
  readonly layout: Layout | null;
}
export interface LayoutAnnounceRequest {
  readonly kind: 'layout-announce';
  readonly layout: Layout;
}

/** Phase 1 of instance layout.epoch + 1; carries layout e, which the voter adopts first (A.4, 1). */
export interface LayoutPrepareRequest {
  readonly kind: 'layout-prepare';
  readonly layout: Layout;
  readonly ballot: Ballot;
}
export interface LayoutPrepareReply {
  readonly kind: 'layout-prepare-reply';
  readonly state: 'promised' | 'refused';
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly value: Layout } | null;
}
export interface LayoutAcceptRequest {
  readonly kind: 'layout-accept';
  readonly layout: Layout;
  readonly ballot: Ballot;
  readonly value: Layout;
}
/**
 * A recovery by an operator's word (membership/recover.ts), first round: the survivors agree on one proposer, on the layout
 * to set out from and on who is lost. Who promises doesn't vote in that layout's chain for a while.
 */
export interface RecoverPrepareRequest {
  readonly kind: 'recover-prepare';
  readonly layout: Layout;
  readonly ballot: Ballot;
  readonly lost: readonly NodeId[];
}
export interface RecoverPrepareReply {
  readonly kind: 'recover-prepare-reply';
  readonly state: 'promised' | 'refused';
  /** A vote of the layout chain is half done here. */
  readonly isHalfDone: boolean;
  /** Why it refused, in words. */
  readonly detail: string;
}

/** Second round: the layout that all have promised to take. */
export interface RecoverAdoptRequest {
  readonly kind: 'recover-adopt';
  readonly layout: Layout;
  readonly ballot: Ballot;
}
export interface RecoverAdoptReply {
  readonly kind: 'recover-adopt-reply';
  readonly state: 'adopted' | 'refused';
  readonly detail: string;
}

export interface LayoutAcceptReply {
  readonly kind: 'layout-accept-reply';
  readonly state: 'accepted' | 'refused';
  readonly promised: Ballot;
}

/** The sender has caught up all its moved arcs of this epoch whose `end` is listed (A.4, 5). */
export interface CaughtRequest {
  readonly kind: 'caught';
  readonly nodeId: NodeId;
  readonly epoch: Epoch;
  readonly arcEnds: readonly Position[];
}
export interface CaughtReply {
  readonly kind: 'caught-reply';
}

/** Rule R16: is my recovered log position at least what you remember of me? */
export interface PositionCheckRequest {
  readonly kind: 'position-check';
  readonly nodeId: NodeId;
  readonly boot: BootPosition;
}
export interface PositionCheckReply {
  readonly kind: 'position-check-reply';
  readonly isConfirmed: boolean;
  readonly remembered: BootPosition;
}

// ------------------------------------------------------------------------------------------------------ register

/** What a proposer stages together with PREPARE when the body is inline. */
export interface StagedBody {
  readonly bodyId: BodyId;
  readonly sha256: string;
}

export interface PrepareRequest {
  readonly kind: 'prepare';
  readonly epoch: Epoch;
  readonly name: string;
  readonly ballot: Ballot;
  /** Null: nothing staged (delete, identity round). Otherwise `body` holds its bytes. */
  readonly staged: StagedBody | null;
  readonly body: Buffer | null;
}
export interface PrepareReply {
  readonly kind: 'prepare-reply';
  readonly epoch: Epoch;
  readonly state: 'promised' | 'refused';
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly record: ObjectRecord } | null;
  readonly floor: Ballot;
  /** The staged body of the request is durable here. */
  readonly isStaged: boolean;
}

export interface AcceptRequest {
  readonly kind: 'accept';
  readonly epoch: Epoch;
  readonly name: string;
  readonly ballot: Ballot;
  readonly record: ObjectRecord;
  /** Nodes that held the record's body when the proposer last heard (rule R6). */
  readonly holders: readonly NodeId[];
}
export interface AcceptReply {
  readonly kind: 'accept-reply';
  readonly epoch: Epoch;
  /**
   * body-missing: no holder gave the body; nothing was accepted. body-pulling: a large body is on its way here, nothing was
   * accepted yet, ask again; `pulledBytes` tells the progress.
   */
  readonly state: 'accepted' | 'refused' | 'body-missing' | 'body-pulling';
  readonly pulledBytes: number;
  readonly promised: Ballot;
}

export interface ReadRequest {
  readonly kind: 'read';
  readonly epoch: Epoch;
  readonly name: string;
  /** Send an inline body along as `body`. */
  readonly wantBody: boolean;
}
export interface ReadReply {
  readonly kind: 'read-reply';
  readonly epoch: Epoch;
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly record: ObjectRecord } | null;
  readonly floor: Ballot;
  readonly body: Buffer | null;
}

/** Any register or copy message whose epoch isn't the receiver's own (rule R3). `layout`: ours, when ours is newer. */
export interface StaleEpochReply {
  readonly kind: 'stale-epoch';
  readonly epoch: Epoch;
  readonly layout: Layout | null;
}

// ---------------------------------------------------------------------------------------------------------- copy

/** Bytes [offset, offset + length) of a body; length at most FRAME_BODY_BYTES_MAX. */
export interface BodyFetchRequest {
  readonly kind: 'body-fetch';
  readonly bodyId: BodyId;
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}
export interface BodyFetchReply {
  readonly kind: 'body-fetch-reply';
  readonly isHeld: boolean;
  /** Of the whole body. */
  readonly size: number;
  readonly body: Buffer | null;
}

/**
 * Bytes of a large body for its staging file, in order; the first has offset 0 or where an earlier attempt ended. All
 * messages of one body take the same connection, so they arrive in order.
 */
export interface StageRequest {
  readonly kind: 'stage';
  readonly name: string;
  readonly bodyId: BodyId;
  readonly offset: number;
  readonly body: Buffer;
}
export interface StageReply {
  readonly kind: 'stage-reply';
  /** out-of-order: `length` tells where to go on. refused: give this replica up. */
  readonly state: 'ok' | 'out-of-order' | 'refused' | 'full';
  /** Bytes in the staging file. */
  readonly length: number;
}

/** The end of a large body: length and digest of the whole. `held`: durable here. */
export interface StageEndRequest {
  readonly kind: 'stage-end';
  readonly name: string;
  readonly bodyId: BodyId;
  readonly size: number;
  readonly sha256: string;
}
export interface StageEndReply {
  readonly kind: 'stage-end-reply';
  readonly state: 'held' | 'mismatch' | 'refused';
}

/** The client went away, or the digest didn't match: the staging file is dropped. */
export interface StageAbortRequest {
  readonly kind: 'stage-abort';
  readonly name: string;
  readonly bodyId: BodyId;
}
export interface StageAbortReply {
  readonly kind: 'stage-abort-reply';
}

/** Registers by name in UTF-8 byte order, of what this node holds as a replica in this epoch. */
export interface ListRequest {
  readonly kind: 'list';
  readonly epoch: Epoch;
  readonly prefix: string;
  /** Where to begin; null: at the prefix. */
  readonly from: { readonly name: string; readonly isInclusive: boolean } | null;
  readonly limit: number;
  /**
   * Of names that are the same up to the first delimiter behind the prefix, only `namesMax` are wanted: the listing goes
   * on behind them all. Null: every name.
   */
  readonly grouping: { readonly delimiter: string; readonly namesMax: number } | null;
}
export interface ListedEntry {
  readonly name: string;
  readonly accepted: Ballot;
  readonly version: Ballot;
  readonly recordKind: 'object' | 'tombstone';
  readonly size: number;
}
export interface ListReply {
  readonly kind: 'list-reply';
  readonly epoch: Epoch;
  /** In the frame's body; fewer than asked for when they don't fit. */
  readonly entries: readonly ListedEntry[];
  /** Nothing with this prefix follows here. */
  readonly isLast: boolean;
}

/** Registers of (from, to] after the cursor, in key order. */
export interface PageRequest {
  readonly kind: 'page';
  readonly epoch: Epoch;
  readonly from: Position;
  readonly to: Position;
  /** Keys at or before it are left out; null: from the beginning of the arc. */
  readonly after: ObjectKey | null;
  readonly limit: number;
}
export interface PageReply {
  readonly kind: 'page-reply';
  readonly epoch: Epoch;
  readonly entries: readonly PageEntry[];
  readonly isLast: boolean;
  /** Highest floor of the arc's buckets. */
  readonly floor: Ballot;
}

/** Whole registers by key, for catch-up: as many as fit one frame, in the order asked. */
export interface RecordsRequest {
  readonly kind: 'records';
  readonly epoch: Epoch;
  readonly keys: readonly ObjectKey[];
}
export interface TransferredRecord {
  readonly key: ObjectKey;
  readonly name: string;
  readonly ballot: Ballot;
  readonly record: ObjectRecord;
  /** The inline body's place in the frame's body; length 0 for tombstones and empty or large bodies. */
  readonly bodyOffset: number;
  readonly bodyLength: number;
}
export interface RecordsReply {
  readonly kind: 'records-reply';
  readonly epoch: Epoch;
  readonly records: readonly TransferredRecord[];
  /** Keys answered (with or without a record) from the start of the request's list. */
  readonly answered: number;
  readonly body: Buffer | null;
}

/** An ex-owner asks whether this replica holds at least these records with their bodies (rule R15). */
export interface ReceiptsRequest {
  readonly kind: 'receipts';
  readonly epoch: Epoch;
  readonly entries: readonly { readonly key: ObjectKey; readonly accepted: Ballot }[];
}
export interface ReceiptsReply {
  readonly kind: 'receipts-reply';
  readonly epoch: Epoch;
  /** One for each entry, in order. erased: no value here, and a floor at least as high as the record's ballot. */
  readonly states: readonly ('lacking' | 'held' | 'erased')[];
}

/** What this replica really holds for a name: for `explain`. The digest is computed from the stored bytes. */
export interface InspectRequest {
  readonly kind: 'inspect';
  readonly name: string;
}
export interface InspectReply {
  readonly kind: 'inspect-reply';
  readonly epoch: Epoch;
  readonly promised: Ballot;
  readonly accepted: { readonly ballot: Ballot; readonly record: ObjectRecord } | null;
  /** SHA-256 of the bytes on disk; null when there is no body. */
  readonly sha256: string | null;
  readonly isDurable: boolean;
}

/** The request could not be served; the code is from the catalogue. */
export interface FaultReply {
  readonly kind: 'fault';
  readonly code: ErrorCode;
  readonly detail: string;
}

// -------------------------------------------------------------------------------------------------------- repair

/**
 * Digests of what the answering node has accepted where it and the asking node both are replicas (rule R12). Which arcs these
 * are follows from the layout of the epoch.
 */
export interface DigestsRequest {
  readonly kind: 'digests';
  readonly epoch: Epoch;
  /** XOR of the asking node's own, 8 bytes as hex: when it is the same over there, no digests are sent. */
  readonly root: string;
  /** Null: of all pages. Otherwise of the buckets of these pages. */
  readonly pages: readonly number[] | null;
}
export interface DigestsReply {
  readonly kind: 'digests-reply';
  readonly epoch: Epoch;
  /** Both nodes hold the same. */
  readonly isEqual: boolean;
  /** 256 digests of 8 bytes, or so many for each page asked for, in that order; null when equal. */
  readonly body: Buffer | null;
}

/**
 * A hint: the receiver seems to lack these writes. Keys only; what they hold is pulled, by the rules of repair, and a hint
 * that is wrong or forged costs a question.
 */
export interface MissedRequest {
  readonly kind: 'missed';
  /** write: it did not answer when they were accepted. read: a reader saw that it lags behind. */
  readonly cause: 'write' | 'read';
  readonly entries: readonly { readonly key: ObjectKey; readonly accepted: Ballot }[];
}
export interface MissedReply {
  readonly kind: 'missed-reply';
  /** Entries that it remembers now, from the start of the list; the others may be sent again. */
  readonly taken: number;
}

// ------------------------------------------------------------------------------------------------------- erasure

/** What this replica shows of tombstones that another one would like to erase (rule R13). */
export interface TombstonesRequest {
  readonly kind: 'tombstones';
  readonly epoch: Epoch;
  readonly entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[];
}
export interface TombstonesReply {
  readonly kind: 'tombstones-reply';
  readonly epoch: Epoch;
  /** One for each entry, in order: exactly this tombstone or erased already, or anything else. */
  readonly isAlike: readonly boolean[];
}

/** All replicas showed these tombstones alike: erase each that still is so here. */
export interface EraseRequest {
  readonly kind: 'erase';
  readonly epoch: Epoch;
  readonly entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[];
}
export interface EraseReply {
  readonly kind: 'erase-reply';
  readonly epoch: Epoch;
  readonly erased: number;
}

// -------------------------------------------------------------------------------------------------------- unions

/** Reply kinds by request kind. */
export interface ReplyByRequest {
  'ping': PingReply;
  'probe': ProbeReply;
  'who-are-you': WhoAreYouReply;
  'find-successor': FindSuccessorReply;
  'join': JoinReply;
  'leave': LeaveReply;
  'notify': NotifyReply;
  'layout-fetch': LayoutReply;
  'layout-announce': LayoutReply;
  'layout-prepare': LayoutPrepareReply | LayoutReply;
  'layout-accept': LayoutAcceptReply | LayoutReply;
  'recover-prepare': RecoverPrepareReply | LayoutReply;
  'recover-adopt': RecoverAdoptReply;
  'caught': CaughtReply;
  'position-check': PositionCheckReply;
  'prepare': PrepareReply | StaleEpochReply;
  'accept': AcceptReply | StaleEpochReply;
  'read': ReadReply | StaleEpochReply;
  'body-fetch': BodyFetchReply;
  'page': PageReply | StaleEpochReply;
  'records': RecordsReply | StaleEpochReply;
  'receipts': ReceiptsReply | StaleEpochReply;
  'inspect': InspectReply;
  'stage': StageReply;
  'stage-end': StageEndReply;
  'stage-abort': StageAbortReply;
  'list': ListReply | StaleEpochReply;
  'digests': DigestsReply | StaleEpochReply;
  'missed': MissedReply;
  'tombstones': TombstonesReply | StaleEpochReply;
  'erase': EraseReply | StaleEpochReply;
}

export type PeerRequest =
  | PingRequest | ProbeRequest | WhoAreYouRequest | FindSuccessorRequest | JoinRequest | LeaveRequest | NotifyRequest
  | LayoutFetchRequest | LayoutAnnounceRequest | LayoutPrepareRequest | LayoutAcceptRequest | RecoverPrepareRequest | RecoverAdoptRequest | CaughtRequest
  | PositionCheckRequest | PrepareRequest | AcceptRequest | ReadRequest | BodyFetchRequest | PageRequest
  | RecordsRequest | ReceiptsRequest | InspectRequest | StageRequest | StageEndRequest | StageAbortRequest | ListRequest
  | DigestsRequest | MissedRequest | TombstonesRequest | EraseRequest;

export type RequestKind = PeerRequest['kind'];
type RequestByKind = { readonly [K in RequestKind]: Extract<PeerRequest, { kind: K }> };
export type RequestOf<K extends RequestKind> = RequestByKind[K];
export type ReplyOf<K extends RequestKind> = ReplyByRequest[K] | FaultReply;
export type PeerReply = ReplyByRequest[RequestKind] | FaultReply;
export type PeerMessage = PeerRequest | PeerReply;

/** Which connection a request takes: ring messages never wait behind data, nor small operations behind large bodies (protocol G). */
export type Channel = 'control' | 'data' | 'body';

const DATA_KINDS: ReadonlySet<RequestKind> = new Set<RequestKind>([
  'prepare', 'accept', 'read', 'page', 'records', 'receipts', 'inspect', 'list', 'digests', 'missed', 'tombstones', 'erase',
]);
const BODY_KINDS: ReadonlySet<RequestKind> = new Set<RequestKind>(['stage', 'stage-end', 'stage-abort', 'body-fetch']);

export function channelOf(kind: RequestKind): Channel {
  if (DATA_KINDS.has(kind)) return 'data';
  return BODY_KINDS.has(kind) ? 'body' : 'control';
}

/** Messages with the same lane take the same connection, in the order of their calls; null: any of the channel. */
export function laneOf(request: PeerRequest): string | null {
  const isStaging = request.kind === 'stage' || request.kind === 'stage-end' || request.kind === 'stage-abort';
  return isStaging ? request.bodyId : null;
}
