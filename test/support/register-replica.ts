import { ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { NodeId, OpId } from '../../src/domain/ids.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import type { ObjectRecord } from '../../src/domain/stored-object.ts';
import { decideAccept, decidePrepare } from '../../src/register/acceptor.ts';
import type { AcceptedValue } from '../../src/register/read-decision.ts';
import type { PromiseReport } from '../../src/register/write-operation.ts';

export const nodeId = (digit: string): NodeId => digit.repeat(32) as NodeId;
export const opId = (digit: string): OpId => digit.repeat(32) as OpId;
export const ballot = (hlc: number, epoch = 1, node = 'a'): Ballot => ({ epoch, hlc, nodeId: nodeId(node) });

export const tombstone = (version: Ballot, ops: readonly OpId[] = []): ObjectRecord => ({
  kind: 'tombstone', version, lineageFloor: ZERO_BALLOT, ops: ops.map((op) => ({ opId: op, version, kind: 'deleted' })),
});

export const live = (version: Ballot, ops: readonly OpId[] = []): ObjectRecord => ({
  kind: 'object', version, lineageFloor: ZERO_BALLOT, ops: ops.map((op) => ({ opId: op, version, kind: 'replaced' })),
  body: { bodyId: version.hlc.toString(16).padStart(32, '0') as never, size: 1, sha256: '0'.repeat(64), where: 'inline', chunkCrcs: [] },
  contentType: 'text/plain', meta: [], createdMs: 0,
});

/** One replica of one key that obeys register/acceptor.ts and holds every body. */
export class RegisterReplica {
  promised = ZERO_BALLOT;
  accepted: AcceptedValue | null = null;
  floor = ZERO_BALLOT;

  prepare(b: Ballot): PromiseReport {
    const state = { promised: this.promised, accepted: this.accepted?.ballot ?? ZERO_BALLOT, floor: this.floor };
    const isPromised = decidePrepare(state, b, ALL_RULES) === 'promise';
    if (isPromised) this.promised = b;
    return { state: isPromised ? 'promised' : 'refused', promised: this.promised, accepted: this.accepted, floor: this.floor, isStaged: true };
  }

  accept(b: Ballot, record: ObjectRecord): 'accepted' | 'refused' {
    const state = { promised: this.promised, accepted: this.accepted?.ballot ?? ZERO_BALLOT, floor: this.floor };
    const decision = decideAccept(state, b, true, ALL_RULES);
    if (decision === 'refuse') return 'refused';
    this.promised = b;
    this.accepted = { ballot: b, record };
    return 'accepted';
  }
}
