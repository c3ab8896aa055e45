/** A store on a simulated disk, and short ways to make what it keeps. */
import type { Ballot } from '../../../src/domain/ballot.ts';
import { BODY_LIMITS } from '../../../src/domain/body-limits.ts';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { BodyId, NodeId, OpId } from '../../../src/domain/ids.ts';
import { alignedPosition, type ObjectKey, type Position, type RingArc } from '../../../src/domain/ring-position.ts';
import type { LiveRecord, TombstoneRecord } from '../../../src/domain/stored-object.ts';
import type { Disk } from '../../../src/ports/disk.ts';
import { ObjectStore, type ObjectStoreDeps, type ObjectStoreOptions, type OpenOutcome } from '../../../src/storage/object-store.ts';
import { testClock, testRandom } from './test-disk.ts';
import { silentLog } from '../../support/silent-log.ts';

export const DIRECTORY = '/data/127.0.0.1_7001';

export const storeOptions: ObjectStoreOptions = {
  directory: DIRECTORY,
  name: '127.0.0.1:7001',
  keyBits: 48,
  segmentBytes: 64 * 1024,
  recordCacheBytes: 1024 * 1024,
  bodyCacheBytes: 1024 * 1024,
  stagedBodiesMax: 1000,
  upkeep: { checkpointBytes: Infinity, liveShareMin: 0.5, bytesPerSecond: Infinity },
  bodies: BODY_LIMITS,
  space: { sampleMs: 1000, ballastBytes: 0, ballastPieceBytes: 1024, ballastPauseMs: 10, ballastDelayMs: 1000, retryMs: 100 },
  resolveBeforeSync: false,
  unlinkBeforeSync: false,
};

export function storeDeps(disk: Disk, deps: Partial<ObjectStoreDeps> = {}): ObjectStoreDeps {
  return { disk, clock: testClock(), log: silentLog, random: testRandom('store'), onFailure: () => undefined, onDamage: () => undefined, ...deps };
}

export function openStore(disk: Disk, options: Partial<ObjectStoreOptions> = {}, deps: Partial<ObjectStoreDeps> = {}): Promise<OpenOutcome> {
  return ObjectStore.open(storeDeps(disk, deps), { ...storeOptions, ...options });
}

export async function opened(disk: Disk, options: Partial<ObjectStoreOptions> = {}, deps: Partial<ObjectStoreDeps> = {}): Promise<ObjectStore> {
  const outcome = await openStore(disk, options, deps);
  if (outcome.kind !== 'opened') throw new Error(`not opened: ${JSON.stringify(outcome)}`);
  return outcome.store;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

export const node = (n: number): NodeId => hex(n, 32) as NodeId;
export const bodyId = (n: number): BodyId => hex(n, 32) as BodyId;
export const ballot = (hlc: number, epoch = 1, nodeNumber = 1): Ballot => ({ epoch, hlc, nodeId: node(nodeNumber) });
/** A key at a position; `tail` tells keys of one position apart. */
export const keyAt = (position: number, tail = 0, keyBits = 48): ObjectKey =>
  (hex(alignedPosition(position, keyBits), 12) + hex(tail, 28)) as ObjectKey;
export const arc = (from: number, to: number): RingArc => ({ from: from as Position, to: to as Position });

export function liveRecord(version: Ballot, id: BodyId, size: number): LiveRecord {
  return {
    kind: 'object', version, lineageFloor: ZERO_BALLOT, ops: [{ opId: hex(version.hlc, 32) as OpId, version, kind: 'created' }],
    body: { bodyId: id, size, sha256: hex(size, 64), where: 'inline', chunkCrcs: [] },
    contentType: 'text/plain', meta: [['colour', 'blue']], createdMs: 1_700_000_000_000,
  };
}

export function tombstone(version: Ballot): TombstoneRecord {
  return { kind: 'tombstone', version, lineageFloor: ZERO_BALLOT, ops: [] };
}
