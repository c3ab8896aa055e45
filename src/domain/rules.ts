/**
 * The protocol's rules as switches. A real node always runs with ALL_RULES; only tests switch one off, to prove that
 * the simulator notices (a harness that can't find a planted bug proves nothing). There is no setting for them.
 * Source: protocol sections A.4, C.1 and H.2 "Mutation check of the harness itself".
 */
export interface Rules {
  /** R1: every reply follows the fsync of the state it shows. */
  readonly replyAfterFsync: boolean;
  /** R8: a read that sees unequal accepted ballots re-accepts the highest value before it answers. */
  readonly readWriteBack: boolean;
  /** R8: one-round reads need equal accepted *ballots*, not just equal versions. */
  readonly readEqualBallots: boolean;
  /** R5: PREPARE needs a ballot strictly above the promise; at or above isn't enough. */
  readonly promiseStrictlyAbove: boolean;
  /** R6: where no value is, ACCEPT needs a ballot above the floor. */
  readonly floorStopsAccept: boolean;
  /** R9: a retry after an ACCEPT left asks the op history first. */
  readonly idempotentRetry: boolean;
  /** R9: a retry whose history may have been erased in between ends as unknown. */
  readonly retryAsksLineage: boolean;
  /** R11: retained members of a moved arc catch up too, not only the joiners. */
  readonly retainedCatchUp: boolean;
  /** A.4 (10), R14: registers of an arc are discarded where `since` says that this member was away. */
  readonly sinceDiscard: boolean;
  /** R6: a replica accepts a record only when it holds the body durably. */
  readonly acceptNeedsBody: boolean;
  /** R3, A.4 (7): messages of another epoch are refused. */
  readonly epochFence: boolean;
  /** R4, A.4 (7): quorums count old and new replica sets while an arc moves. */
  readonly jointQuorum: boolean;
  /** R10: catch-up takes a record only with its body, in the same epoch, and obeys promises. */
  readonly takeObeysPromise: boolean;
  /** R11: catch-up hands over promises as well as records; a record below one of them is chosen again first. */
  readonly catchUpKeepsPromises: boolean;
  /** R12: anti-entropy leaves alone what is at or below the floor of an absent key. */
  readonly floorStopsCopy: boolean;
  /** R7: an old body is dropped only after the record that replaces it is durable. */
  readonly unlinkAfterAccept: boolean;
  /** R15: an ex-owner lets go of a record only after receipts from all of its new replicas. */
  readonly releaseNeedsReceipts: boolean;
  /** R16: after a boot no register message is answered before a majority confirmed the log position. */
  readonly amnesiaCheck: boolean;
  /** R16: an empty disk gets a new node id, so it never votes with promises it forgot. */
  readonly emptyDiskIsNew: boolean;
  /** R12: the identity round for a copy that a promise or floor forbids has a ballot above both. */
  readonly antiEntropyRaisesBallot: boolean;
  /** R13: a tombstone is erased only when all replicas of its key hold it alike; a quorum isn't enough. */
  readonly eraseNeedsAll: boolean;
  /** R13: a replica raises its floor in the very step in which it erases. */
  readonly eraseRaisesFloor: boolean;
  /** R13: a replica that is told to erase looks first whether the tombstone is still all it has. */
  readonly eraseChecksAgain: boolean;
  /** R13: an identity round makes replicas alike whose views of a tombstone differ. */
  readonly eraseEvensOut: boolean;
}

export const ALL_RULES: Rules = {
  replyAfterFsync: true,
  readWriteBack: true,
  readEqualBallots: true,
  promiseStrictlyAbove: true,
  floorStopsAccept: true,
  idempotentRetry: true,
  retryAsksLineage: true,
  retainedCatchUp: true,
  sinceDiscard: true,
  acceptNeedsBody: true,
  epochFence: true,
  jointQuorum: true,
  takeObeysPromise: true,
  catchUpKeepsPromises: true,
  floorStopsCopy: true,
  unlinkAfterAccept: true,
  releaseNeedsReceipts: true,
  amnesiaCheck: true,
  emptyDiskIsNew: true,
  antiEntropyRaisesBallot: true,
  eraseNeedsAll: true,
  eraseRaisesFloor: true,
  eraseChecksAgain: true,
  eraseEvensOut: true,
};
