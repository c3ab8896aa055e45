import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import type { ObjectKey } from '../../src/domain/ring-position.ts';
import type { ObjectRecord } from '../../src/domain/stored-object.ts';
import type { LoadedRecord, RegisterHead, RegisterStore, RingArc, ScanEntry } from '../../src/storage/register-store.ts';

/**
 * A RegisterStore without a disk. Changes apply at once and are durable at once, or, between `hold()` and `release()`,
 * only then: so a test can see what is replied before the fsync.
 */
export class MemoryRegisterStore implements RegisterStore {
  readonly #heads = new Map<ObjectKey, RegisterHead>();
  readonly #bodies = new Map<string, Buffer>();
  floorOfAll: Ballot = ZERO_BALLOT;
  #held: (() => void)[] | null = null;

  hold(): void {
    this.#held ??= [];
  }

  sync(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) run();
  }

  #durable(): Promise<void> {
    const held = this.#held;
    return held === null ? Promise.resolve() : new Promise((resolve) => { held.push(resolve); });
  }

  head(key: ObjectKey): RegisterHead | null {
    return this.#heads.get(key) ?? null;
  }

  floor(): Ballot {
    return this.floorOfAll;
  }

  load(_key: ObjectKey, head: RegisterHead): Promise<LoadedRecord | null> {
    return Promise.resolve(head.recordAt as LoadedRecord | null);
  }

  settled(): Promise<void> {
    return this.#durable();
  }

  flushed(): Promise<void> {
    return this.#durable();
  }

  promise(key: ObjectKey, _name: string, ballot: Ballot, staged: { readonly bodyId: BodyId; readonly bytes: Buffer } | null): Promise<void> {
    const head = this.#heads.get(key) ?? { promised: ZERO_BALLOT, accepted: ZERO_BALLOT, kind: 'none', bodyId: null, size: 0, recordAt: null };
    this.#heads.set(key, { ...head, promised: ballot });
    if (staged !== null) this.#bodies.set(staged.bodyId, staged.bytes);
    return this.#durable();
  }

  accept(key: ObjectKey, name: string, ballot: Ballot, record: ObjectRecord): Promise<void> {
    const body = record.kind === 'object' ? record.body : null;
    const before = this.#heads.get(key)?.bodyId ?? null;
    if (before !== null && before !== body?.bodyId) this.#bodies.delete(before);
    this.#heads.set(key, {
      promised: maxBallot(ballot, this.#heads.get(key)?.promised ?? ZERO_BALLOT), accepted: ballot, kind: record.kind,
      bodyId: body?.bodyId ?? null, size: body?.size ?? 0, recordAt: { name, record } satisfies LoadedRecord,
    });
    return this.#durable();
  }

  stage(_key: ObjectKey, bodyId: BodyId, bytes: Buffer): Promise<void> {
    this.#bodies.set(bodyId, bytes);
    return this.#durable();
  }

  holdsBody(_key: ObjectKey, bodyId: BodyId): boolean {
    return this.#bodies.has(bodyId);
  }

  /** Replaces the bytes of a body, or removes it: a rotten or lost copy. */
  spoil(bodyId: BodyId, bytes: Buffer | null): void {
    if (bytes === null) this.#bodies.delete(bodyId);
    else this.#bodies.set(bodyId, bytes);
  }

  readBody(_key: ObjectKey, bodyId: BodyId, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number } | null> {
    const bytes = this.#bodies.get(bodyId);
    return Promise.resolve(bytes === undefined ? null : { bytes: bytes.subarray(offset, offset + length), size: bytes.length });
  }

  scan(_arc: RingArc, after: ObjectKey | null, limit: number): { readonly entries: readonly ScanEntry[]; readonly isLast: boolean } {
    const all = [...this.#heads].filter(([key]) => after === null || key > after).sort(([a], [b]) => (a < b ? -1 : 1));
    return { entries: all.slice(0, limit).map(([key, head]) => ({ key, ...head })), isLast: all.length <= limit };
  }

  floorOf(): Ballot {
    return this.floorOfAll;
  }

  raiseFloor(_arc: RingArc, floor: Ballot): Promise<void> {
    if (compareBallots(floor, this.floorOfAll) > 0) this.floorOfAll = floor;
    return this.#durable();
  }

  release(entries: readonly { readonly key: ObjectKey }[]): Promise<void> {
    for (const { key } of entries) this.#heads.delete(key);
    return this.#durable();
  }

  totals(): { readonly registers: number; readonly objects: number; readonly bodyBytes: number; readonly logBytes: number } {
    const objects = [...this.#heads.values()].filter((head) => head.kind === 'object');
    return { registers: this.#heads.size, objects: objects.length, bodyBytes: objects.reduce((sum, head) => sum + head.size, 0), logBytes: 0 };
  }
}
