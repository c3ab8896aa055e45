/**
 * Proposal: the change function of a CASPaxos round. From the highest accepted value it decides whether the write may
 * happen, and what record it makes.
 *
 * Invariants: `version` is the ballot of the round that proposes the record; `ops` keeps the latest OPS_KEPT_MAX
 * operations, through tombstones too; `lineageFloor` is set when a record arises from an absent key and copied ever
 * after, so that a retry can tell that history was erased in between (rule R9).
 * Source: [CASPaxos] "Change functions"; protocol sections C.1 and C.4.
 */
import { ballotWallMs, equalBallots, type Ballot } from '../domain/ballot.ts';
import { assertNever } from '../domain/assert.ts';
import type { OpId } from '../domain/ids.ts';
import { OPS_KEPT_MAX, type ObjectRecord, type OpResult, type RecordBody } from '../domain/stored-object.ts';
import type { WriteCondition } from '../domain/object-operation.ts';

export interface PutIntent {
  readonly kind: 'put';
  readonly opId: OpId;
  readonly condition: WriteCondition;
  readonly body: RecordBody;
  readonly contentType: string;
  readonly meta: readonly (readonly [string, string])[];
}

export interface DeleteIntent {
  readonly kind: 'delete';
  readonly opId: OpId;
  readonly condition: WriteCondition;
}

/** Chooses again whatever is there: settles a read, an unknown outcome, a promise in the way. */
export interface IdentityIntent {
  readonly kind: 'identity';
}

export type WriteIntent = PutIntent | DeleteIntent | IdentityIntent;

export function isConditionMet(condition: WriteCondition, current: ObjectRecord | null): boolean {
  const live = current?.kind === 'object' ? current : null;
  switch (condition.kind) {
    case 'none': return true;
    case 'absent': return live === null;
    case 'present': return live !== null;
    case 'version': return live !== null && condition.versions.some((version) => equalBallots(version, live.version));
    default: return assertNever(condition);
  }
}

/** What the operation did, when the record's history still knows it. */
export function findOp(record: ObjectRecord | null, opId: OpId): OpResult | null {
  return record?.ops.find((op) => op.opId === opId) ?? null;
}

/** The record that the write makes of `base`. `floor`: the highest floor reported by the quorum. */
export function buildRecord(intent: PutIntent | DeleteIntent, base: ObjectRecord | null, ballot: Ballot, floor: Ballot): ObjectRecord {
  const live = base?.kind === 'object' ? base : null;
  const kind = intent.kind === 'delete' ? 'deleted' : live === null ? 'created' : 'replaced';
  const op: OpResult = { opId: intent.opId, version: ballot, kind };
  const ops = base === null ? [op] : [...base.ops.slice(1 - OPS_KEPT_MAX), op];
  const lineageFloor = base === null ? floor : base.lineageFloor;
  if (intent.kind === 'delete') return { kind: 'tombstone', version: ballot, ops, lineageFloor };
  return {
    kind: 'object',
    version: ballot,
    ops,
    lineageFloor,
    body: intent.body,
    contentType: intent.contentType,
    meta: intent.meta,
    createdMs: live === null ? ballotWallMs(ballot) : live.createdMs,
  };
}
