import { hash } from 'node:crypto';
import { compareBallots, maxBallot, ZERO_BALLOT, type Ballot } from '../../src/domain/ballot.ts';
import type { BodyId } from '../../src/domain/ids.ts';
import type { ObjectKey } from '../../src/domain/ring-position.ts';
import type { SpaceLevel } from '../../src/domain/space-level.ts';
import type { ObjectRecord } from '../../src/domain/stored-object.ts';
import { decideErase } from '../../src/register/erasure.ts';
import { addDigest, digestOf, DIGEST_WORDS } from '../../src/storage/hash-tree.ts';
import type { BodyWriter, LoadedRecord, NamedEntry, RegisterHead, RegisterStore, RingArc, ScanEntry, StoreTotals, TombstoneEntry } from '../../src/storage/register-store.ts';

/**
 * A RegisterStore without a disk. Changes apply at once and are durable at once, or, between `hold()` and `release()`,
 * only then: so a test can see what is replied before the fsync.
 */
export class MemoryRegisterStore implements RegisterStore {
  readonly #heads = new Map<ObjectKey, RegisterHead>();
  readonly #bodies = new Map<string, Buffer>();
  floorOfAll: Ballot = ZERO_BALLOT;
  #held: (() => void)[] | null = null;
  /** Bytes of large bodies that aren't finished, and which of them have a writer now. */
  readonly staging = new Map<BodyId, Buffer[]>();
  readonly #writers = new Set<BodyId>();
  /** No space for new large bodies. */
  isFull = false;
  level: SpaceLevel = 'ample';
  /** Awaited before each append: a slow disk. */
  beforeAppend: (bodyId: BodyId) => Promise<void> = () => Promise.resolve();

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

  spaceLevel(): SpaceLevel {
    return this.level;
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

  openBody(_key: ObjectKey, bodyId: BodyId): Promise<BodyWriter | 'busy' | 'full'> {
    if (this.isFull) return Promise.resolve('full');
    if (this.#writers.has(bodyId) || this.#bodies.has(bodyId)) return Promise.resolve('busy');
    const parts = this.staging.get(bodyId) ?? [];
    this.staging.set(bodyId, parts);
    this.#writers.add(bodyId);
    const close = (): void => {
      if (!this.#writers.delete(bodyId)) throw new Error('the writer is of no more use');
    };
    return Promise.resolve({
      length: parts.reduce((sum, part) => sum + part.length, 0),
      append: async (bytes) => {
        await this.beforeAppend(bodyId);
        parts.push(bytes);
      },
      finish: async ({ size, sha256 }) => {
        close();
        this.staging.delete(bodyId);
        const bytes = Buffer.concat(parts);
        if (bytes.length !== size || hash('sha256', bytes, 'hex') !== sha256) return 'mismatch';
        this.#bodies.set(bodyId, bytes);
        await this.#durable();
        return 'held';
      },
      abort: (keep) => {
        close();
        if (keep === 'drop') this.staging.delete(bodyId);
        return Promise.resolve();
      },
    });
  }

  /** Large bodies that are being written now. */
  get writerCount(): number {
    return this.#writers.size;
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

  scanNames(): { readonly entries: readonly NamedEntry[]; readonly isLast: boolean } {
    return { entries: [], isLast: true };
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

  /** Of all registers, whatever the arcs. */
  digests(_arcs: readonly RingArc[], page: number | null): Uint32Array {
    const digests = new Uint32Array(256 * DIGEST_WORDS);
    for (const [key, { kind, accepted }] of this.#heads) {
      const [of, child] = page === null ? [null, parseInt(key.slice(0, 2), 16)] : [parseInt(key.slice(0, 2), 16), parseInt(key.slice(2, 4), 16)];
      if (kind !== 'none' && of === page) addDigest(digestOf(key, accepted), 0, digests, child);
    }
    return digests;
  }

  objectsIn(): number {
    return this.totals().objects;
  }

  scanTombstones(): { readonly entries: readonly TombstoneEntry[]; readonly next: ObjectKey | null } {
    const entries = [...this.#heads].filter(([, head]) => head.kind === 'tombstone')
      .map(([key, { accepted, recordAt }]) => ({ key, accepted, version: (recordAt as LoadedRecord).record.version }));
    return { entries, next: null };
  }

  async erase(entries: readonly { readonly key: ObjectKey; readonly ballot: Ballot }[]): Promise<number> {
    let erased = 0;
    for (const { key, ballot } of entries) {
      const head = this.#heads.get(key);
      if (head?.kind !== 'tombstone' || decideErase({ ...head, floor: this.floorOfAll }, ballot) === 'keep') continue;
      this.#heads.delete(key);
      this.floorOfAll = maxBallot(this.floorOfAll, ballot);
      erased++;
    }
    await this.#durable();
    return erased;
  }

  totals(): StoreTotals {
    const objects = [...this.#heads.values()].filter((head) => head.kind === 'object');
    const tombstones = this.scanTombstones().entries.length;
    return { registers: this.#heads.size, objects: objects.length, tombstones, bodyBytes: objects.reduce((sum, head) => sum + head.size, 0), logBytes: 0 };
  }
}
