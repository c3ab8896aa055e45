/**
 * Sizes and times inside a node, each with its unit and its reason. They are not settings: an operator has no better
 * knowledge of them. The simulator uses smaller sizes so that segments, pages and pools turn over in short runs.
 */
import type { BytePacerOptions } from '../domain/byte-pacer.ts';
import type { ClientLatencyOptions } from '../domain/client-latency.ts';
import { BODY_LIMITS, type BodyLimits } from '../domain/body-limits.ts';
import type { PeerOptions } from '../peer/peer-options.ts';
import type { AntiEntropyOptions } from '../repair/anti-entropy.ts';
import type { HealingOptions } from '../repair/healing.ts';
import type { ArcPullOptions } from '../repair/arc-pull.ts';
import type { HintBookOptions } from '../repair/hint-book.ts';
import type { HintSenderOptions } from '../repair/hint-sender.ts';
import type { KeyRepairOptions } from '../repair/key-repair.ts';
import type { TombstoneEraserOptions } from '../repair/tombstone-eraser.ts';
import type { BodyStagingOptions } from '../replication/body-staging.ts';
import type { CoordinatorOptions } from '../replication/coordinator.ts';
import type { LateBodiesOptions } from '../replication/late-bodies.ts';
import type { ListSourceOptions } from '../replication/list-source.ts';
import type { DiskWatchOptions } from '../storage/disk-watch.ts';
import type { ObjectStoreOptions } from '../storage/object-store.ts';
import type { ScrubTuning } from '../storage/scrub.ts';
import type { BodyPullOptions } from '../transfer/body-pull.ts';
import type { BodyStreamOptions } from '../transfer/body-stream.ts';
import type { DamagedStartOptions } from './damaged-start.ts';
import type { LockWaitOptions } from './lock-wait.ts';

export type StoreTuning = Pick<ObjectStoreOptions, 'segmentBytes' | 'recordCacheBytes' | 'bodyCacheBytes' | 'stagedBodiesMax' | 'upkeep' | 'space'>;

export interface NodeTuning {
  readonly diskWatch: DiskWatchOptions;
  readonly lockWait: LockWaitOptions;
  readonly damagedStart: DamagedStartOptions;
  readonly scrub: ScrubTuning;
  readonly healing: HealingOptions;
  /** Where bodies are cut; handed to storage, replication and repair. */
  readonly bodies: BodyLimits;
  readonly store: StoreTuning;
  readonly peer: PeerOptions;
  readonly operations: Omit<CoordinatorOptions, 'operationDeadlineMs' | 'bodies' | 'streams'>;
  readonly staging: Omit<BodyStagingOptions, 'chunkBytes' | 'progressMs'>;
  readonly pulls: Omit<BodyPullOptions, keyof BodyStreamOptions>;
  readonly lateBodies: LateBodiesOptions;
  readonly keyRepair: Omit<KeyRepairOptions, keyof ArcPullOptions>;
  readonly hints: HintBookOptions & Pick<HintSenderOptions, 'lookMs'>;
  /** Milliseconds between two ticks of the membership machine: a fraction of the ping interval. */
  readonly tickMs: number;
  /** Entries of a catch-up page: 92 bytes each, so that a page fits a frame's head. */
  readonly pageEntriesMax: number;
  /** Keys of one request for records. */
  readonly recordKeysMax: number;
  readonly listing: ListSourceOptions;
  /** Identity rounds for records that an ex-owner alone has, in one pass of its release. They are rare; a flood of them must not be one. */
  readonly loneRecordsMax: number;
  /** Bytes a second of background copies, once for what this node takes and once for what it gives. */
  readonly pacing: BytePacerOptions & {
    /** Milliseconds that one piece may be held up: well below the time-out of the call that waits for it. */
    readonly waitMsMax: number;
  };
  readonly clientLatency: ClientLatencyOptions;
  readonly antiEntropy: Pick<AntiEntropyOptions, 'intervalMs' | 'retryMs' | 'retryMaxMs'>;
  readonly erasure: Omit<TombstoneEraserOptions, 'callTimeoutMs'>;
  /** Arcs pulled side by side: more is faster and takes more from clients. */
  readonly arcsAtOnce: number;
  /** Milliseconds until a copy call counts as lost. */
  readonly copyTimeoutMs: number;
  /** Milliseconds before failed arcs or missing receipts are tried again. */
  readonly repairRetryMs: number;
  /** Milliseconds between two rounds of questions after a boot (rule R16). */
  readonly confirmRetryMs: number;
  /** Milliseconds between two durable notes of a peer's log position (rule R16): bounds the log's growth by pings. */
  readonly rememberIntervalMs: number;
  /** Milliseconds until POST /v1/node/join gives up waiting. */
  readonly joinTimeoutMs: number;
  /** Milliseconds without a turn of this node's own timer after which it may have missed writes: three missed pings. */
  readonly stallMs: number;
  /** Milliseconds a stopping node waits so that its peers hear of the planned restart. */
  readonly farewellMs: number;
  /** Requests of peers in work per node. */
  readonly peerRequestsMax: number;
}

export const NODE_TUNING: NodeTuning = {
  diskWatch: { slowMs: 1_000, calmMs: 10_000, stuckMs: 10_000, lookMs: 250, probeMs: 5_000 },
  lockWait: { waitMs: 30_000, retryMs: 250 },
  damagedStart: { waitMs: 20_000, retryMs: 500, callTimeoutMs: 2_000 },
  scrub: { passMs: 14 * 24 * 60 * 60_000, pieceMs: 50, noteMs: 60_000 },
  healing: { pendingMax: 10_000, delayMinMs: 1_000, delayMaxMs: 600_000 },
  bodies: BODY_LIMITS,
  store: {
    segmentBytes: 64 * 1024 * 1024,
    recordCacheBytes: 32 * 1024 * 1024,
    bodyCacheBytes: 64 * 1024 * 1024,
    stagedBodiesMax: 100_000,
    upkeep: { checkpointBytes: 256 * 1024 * 1024, liveShareMin: 0.5, bytesPerSecond: 64 * 1024 * 1024 },
    space: {
      sampleMs: 2_000, ballastBytes: 256 * 1024 * 1024, ballastPieceBytes: 1024 * 1024, ballastPauseMs: 250, ballastDelayMs: 60_000, retryMs: 1_000,
    },
  },
  peer: {
    dialTimeoutMs: 2_000,
    dialBackoffMinMs: 50,
    dialBackoffMaxMs: 800,
    dataConnectionsMax: 8,
    bodyConnectionsMax: 4,
    spreadCallsMin: 64,
    callsPerConnectionMax: 4_096,
    queuedBytesMax: 64 * 1024 * 1024,
    silenceMs: 5_000,
    stallMs: 10_000,
    idleMs: 60_000,
    acceptedConnectionsMax: 2_048,
    requestsInWorkMax: 1_024,
    bodyRequestsInWorkMax: 32,
    requestBytesInWorkMax: 64 * 1024 * 1024,
    sweepIntervalMs: 1_000,
  },
  operations: {
    callTimeoutMs: 2_000,
    backOffMinMs: 4,
    backOffMaxMs: 500,
    // A tenth of what succeeds. Five seconds' worth at once: a fault of one node makes operations in work begin again together.
    retries: { share: 0.1, perSecond: 100, burst: 500, waitMsMax: 2_000 },
    readGraceMs: 20,
    operationsMax: 4_096,
    keyWaitingMax: 256,
    listingsMax: 32,
    resolver: { pendingMax: 10_000, delayMinMs: 1_000, delayMaxMs: 60_000 },
    unreachableDeadlineMs: 10_000,
    fanOutsMax: 256,
    fanOutBytesMax: 32 * 1024 * 1024,
    readAheadBytesMax: 32 * 1024 * 1024,
    senderGiveUpMs: 10_000,
    senderRetryMs: 100,
  },
  staging: { sessionsMax: 1_024, wantedSilenceMs: 2_000 },
  pulls: { pullsMax: 8, waitingMax: 10_000 },
  lateBodies: { tasksMax: 1_024, waitMs: 1_000 },
  // The longest pause is that between two comparisons: what an attempt finds then, a comparison finds as well.
  keyRepair: { pendingMax: 100_000, workersMax: 8, delayMinMs: 1_000, delayMaxMs: 600_000, scanEntries: 512 },
  // 50 MiB at most. With more keys than that, or after an hour, the comparison on return costs less than the list.
  hints: { entriesMax: 200_000, ageMaxMs: 3_600_000, lookMs: 500 },
  tickMs: 50,
  pageEntriesMax: 512,
  recordKeysMax: 256,
  listing: { entriesMax: 4_096, looksMax: 8_192 },
  loneRecordsMax: 64,
  // At least what copies 10 GiB again in an hour; at most half of what a 2.5 Gbit link carries.
  pacing: { rateMin: 3 * 2 ** 20, rateMax: 128 * 2 ** 20, burstBytes: 8 * 2 ** 20, waitMsMax: 1_000 },
  clientLatency: { samplesMax: 2_000, samplesMin: 20, noiseMs: 5 },
  antiEntropy: { intervalMs: 600_000, retryMs: 500, retryMaxMs: 30_000 },
  erasure: {
    ageMs: 24 * 3_600_000,
    settledMs: 60_000,
    turnMs: 3_600_000,
    passMs: 600_000,
    stepMs: 50,
    looksPerStep: 512,
    evenOutsPerPass: 256,
  },
  arcsAtOnce: 8,
  copyTimeoutMs: 3_000,
  repairRetryMs: 500,
  confirmRetryMs: 500,
  rememberIntervalMs: 1_000,
  joinTimeoutMs: 30_000,
  stallMs: 1_500,
  farewellMs: 100,
  peerRequestsMax: 4_096,
};
