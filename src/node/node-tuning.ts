/**
 * Sizes and times inside a node, each with its unit and its reason. They are not settings: an operator has no better
 * knowledge of them. The simulator uses smaller sizes so that segments, pages and pools turn over in short runs.
 */
export interface NodeTuning {
  /** Bytes of a log segment. Larger: fewer files; smaller: earlier reuse of space. */
  readonly segmentBytes: number;
  /** Milliseconds a batch gathers while no fsync runs; 0: an idle log writes at once. */
  readonly gatherMs: number;
  /** Bytes of decoded records and small bodies kept in memory. */
  readonly recordCacheBytes: number;
  /** Bytes of staged bodies that no record names yet, at most. */
  readonly stagedBytesMax: number;
  /** Milliseconds between two ticks of the membership machine: a fraction of the ping interval. */
  readonly tickMs: number;
  /** Entries of a catch-up page: 92 bytes each, so that a page fits a frame's head. */
  readonly pageEntriesMax: number;
  /** Keys of one request for records. */
  readonly recordKeysMax: number;
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
  /** Operations that one node coordinates at the same time; more are answered with 503. */
  readonly operationsMax: number;
  /** Requests of peers in work per node. */
  readonly peerRequestsMax: number;
}

export const NODE_TUNING: NodeTuning = {
  segmentBytes: 64 * 1024 * 1024,
  gatherMs: 0,
  recordCacheBytes: 64 * 1024 * 1024,
  stagedBytesMax: 512 * 1024 * 1024,
  tickMs: 50,
  pageEntriesMax: 512,
  recordKeysMax: 256,
  arcsAtOnce: 8,
  copyTimeoutMs: 3_000,
  repairRetryMs: 500,
  confirmRetryMs: 500,
  rememberIntervalMs: 1_000,
  joinTimeoutMs: 30_000,
  stallMs: 1_500,
  farewellMs: 100,
  operationsMax: 4_096,
  peerRequestsMax: 4_096,
};
