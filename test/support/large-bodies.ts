import type { BodyLimits } from '../../src/domain/body-limits.ts';
import { BODY_LIMITS } from '../../src/domain/body-limits.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import type { BodyReader, BodySource, GetOutcome, PutOutcome, PutStreamRequest } from '../../src/domain/object-operation.ts';
import { ALL_RULES } from '../../src/domain/rules.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import { layoutOf, ReplicaRing, type RingNode } from './replica-ring.ts';

/** Small enough that a test can look at every chunk. */
export const SMALL: BodyLimits = { ...BODY_LIMITS, inlineBytesMax: 16, chunkBytes: 32, lagBytesMax: 256 };

export const KEY = objectKey('n', 48);

/** Nodes a to d; a, b and c are the replicas. */
export const largeRing = (): ReplicaRing => new ReplicaRing(4, (ids) => layoutOf(1, ids, ids.slice(0, 3)), ALL_RULES, SMALL);

export function bytesOf(length: number, salt = 1): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + salt * 13 + (i >> 5)) & 255));
}

/** Gives the bytes in pieces; counts what was taken. */
export class TestSource implements BodySource {
  takenBytes = 0;
  readonly #bytes: Buffer;
  readonly #pieceBytes: number;
  /** Rejects once this many bytes were taken. */
  breaksAt = Infinity;

  constructor(bytes: Buffer, pieceBytes: number) {
    this.#bytes = bytes;
    this.#pieceBytes = pieceBytes;
  }

  next(): Promise<Buffer | null> {
    if (this.takenBytes >= this.breaksAt) return Promise.reject(new Error('gone'));
    const piece = this.#bytes.subarray(this.takenBytes, this.takenBytes + this.#pieceBytes);
    this.takenBytes += piece.length;
    return Promise.resolve(piece.length === 0 ? null : piece);
  }
}

/** Begins; the test moves the clock. */
export function startPut(node: RingNode, source: BodySource, more: Partial<PutStreamRequest> = {}): Promise<PutOutcome> {
  return node.coordinator.putStream({
    name: 'n', source, expectedSize: null, verify: () => null, contentType: '', meta: [], condition: { kind: 'none' }, opId: null, ...more,
  });
}

export function putBytes(ring: ReplicaRing, node: RingNode, bytes: Buffer, more: Partial<PutStreamRequest> = {}): Promise<PutOutcome> {
  return ring.clock.until(startPut(node, new TestSource(bytes, 20), more));
}

export async function found(ring: ReplicaRing, node: RingNode): Promise<Extract<GetOutcome, { kind: 'found' }>> {
  const outcome = await ring.clock.until(node.coordinator.get({ name: 'n', consistency: 'linearizable', wantBody: true }));
  if (outcome.kind !== 'found') throw new Error(outcome.kind);
  return outcome;
}

export async function readAll(ring: ReplicaRing, reader: BodyReader): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = await ring.clock.until(reader.next());
    if (piece === null) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** Moves time until the condition holds, at most `stepsMax` timers far. */
export async function until(ring: ReplicaRing, isSo: () => boolean, stepsMax = 1000): Promise<void> {
  for (let i = 0; i < stepsMax; i++) {
    await new Promise((resolve) => { setImmediate(resolve); });
    if (isSo()) return;
    ring.clock.step();
  }
  throw new Error('it never came true');
}

/** The id of the body that the node's accepted record names. */
export function bodyIdAt(node: RingNode): BodyId {
  const id = node.store.head(KEY)?.bodyId;
  if (id === undefined || id === null) throw new Error('no body');
  return id;
}
