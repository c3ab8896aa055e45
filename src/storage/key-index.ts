/**
 * The key index: what is promised and accepted for each key and where the log has it, in packed memory.
 *
 * 65,536 buckets by the key's top 16 bits, each one sorted buffer of fixed entries, searched by halving. A JavaScript Map of
 * objects takes four times the memory, and its order says nothing about the ring; here a scan of an arc is a walk.
 *
 * Entry, 96 bytes, big-endian:
 *   key without its bucket 18 | promised 13 | accepted 13 | version 13 | record position 6, bytes 4 | body position 6 |
 *   body id 16 | body size 6 | kind 1
 * A ballot is epoch 4, hlc 7, node number 2. Position 0 of the log is a batch header, so 0 stands for "none".
 * Cost: O(log entries of the bucket) to find, one memory move of at most a bucket to insert.
 * Source: protocol section F.2 "Index key".
 */
import { must } from '../domain/assert.ts';
import { ZERO_BALLOT, type Ballot } from '../domain/ballot.ts';
import type { BodyId, NodeId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BucketTable, bucketOfAligned, type Span } from './bucket-table.ts';
import { DIGEST_WORDS, entryDigest, HashTree, nodeWords } from './hash-tree.ts';
import { BODY_IN_FILE } from './log-format.ts';
import { NodeIdTable } from './node-id-table.ts';

export type RegisterKind = 'none' | 'object' | 'tombstone';

export interface AcceptedEntry {
  readonly accepted: Ballot;
  /** Of the accepted record. */
  readonly version: Ballot;
  readonly kind: RegisterKind;
  readonly recordAt: number;
  readonly recordBytes: number;
  /** 0: no body, or none here. BODY_IN_FILE: in a file of its own. */
  readonly bodyAt: number;
  readonly bodyId: BodyId | null;
  readonly size: number;
}

export interface IndexEntry extends AcceptedEntry {
  readonly promised: Ballot;
}

/** What stood in an entry before it was changed. */
export interface Replaced {
  readonly wasAccepted: boolean;
  /** The body, when it was held in a file. */
  readonly fileBodyId: BodyId | null;
}

const NOTHING_REPLACED: Replaced = { wasAccepted: false, fileBodyId: null };

export const NOTHING_ACCEPTED: AcceptedEntry = {
  accepted: ZERO_BALLOT, version: ZERO_BALLOT, kind: 'none', recordAt: 0, recordBytes: 0, bodyAt: 0, bodyId: null, size: 0,
};

const KEY_BYTES = 20;
const PROMISED = 18;
const ACCEPTED = 31;
const VERSION = 44;
const RECORD_AT = 57;
const RECORD_BYTES = 63;
const BODY_AT = 67;
const BODY_ID = 73;
const SIZE = 89;
const KIND = 95;
export const ENTRY_BYTES = 96;
const BODY_ID_BYTES = 16;

const KINDS: readonly RegisterKind[] = ['none', 'object', 'tombstone'];
/** Flag in the kind byte: the record names a body (even of 0 bytes). */
const HAS_BODY_ID = 0x10;

/** Entries of room a growing bucket gets: an eighth more, so that the slack stays near 6 %. */
const growth = (count: number): number => Math.max(2, count >>> 3);

interface Bucket {
  bytes: Buffer;
  count: number;
}

const NO_ENTRIES = Buffer.alloc(0);

export class KeyIndex {
  /** Digests of what is accepted, always those of the entries. */
  readonly tree = new HashTree();
  readonly #buckets = new BucketTable<Bucket>();
  readonly #nodeIds = new NodeIdTable();
  /** Node ids by number, as words of a digest. */
  readonly #nodeWords: Uint32Array[] = [];
  readonly #digest = new Uint32Array(DIGEST_WORDS);
  /** The key looked for. */
  readonly #wanted = Buffer.alloc(KEY_BYTES);
  #registers = 0;
  #objects = 0;
  #tombstones = 0;
  #bodyBytes = 0;
  #fileBytes = 0;
  #allocatedBytes = 0;
  #beforeChange: ((bucket: number) => void) | null = null;

  get registers(): number {
    return this.#registers;
  }
  get objects(): number {
    return this.#objects;
  }
  get tombstones(): number {
    return this.#tombstones;
  }
  /** Bytes of the bodies that accepted records name. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }
  /** Those of them that are held in files of their own. */
  get fileBytes(): number {
    return this.#fileBytes;
  }
  /** Bytes of the buckets' buffers. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  find(key: ObjectKey): IndexEntry | null {
    const bucket = this.#bucketOf(key);
    if (bucket === null) return null;
    const slot = this.#slotOf(bucket);
    return slot < 0 ? null : this.#read(bucket.bytes, slot * ENTRY_BYTES);
  }

  setPromised(key: ObjectKey, promised: Ballot): void {
    const { bytes, at } = this.#entryFor(key);
    this.#writeBallot(bytes, at + PROMISED, promised);
  }

  /** Sets promised = accepted and what is accepted; returns what was accepted before. */
  setAccepted(key: ObjectKey, entry: AcceptedEntry): Replaced {
    const { bytes, at } = this.#entryFor(key);
    const replaced = this.#replaced(bytes, at);
    const number = this.#wanted.readUInt16BE(0);
    this.#count(number, bytes, at, -1);
    this.#writeBallot(bytes, at + PROMISED, entry.accepted);
    this.#writeBallot(bytes, at + ACCEPTED, entry.accepted);
    this.#writeBallot(bytes, at + VERSION, entry.version);
    bytes.writeUIntBE(entry.recordAt, at + RECORD_AT, 6);
    bytes.writeUInt32BE(entry.recordBytes, at + RECORD_BYTES);
    bytes.writeUIntBE(entry.bodyAt, at + BODY_AT, 6);
    if (entry.bodyId === null) bytes.fill(0, at + BODY_ID, at + BODY_ID + BODY_ID_BYTES);
    else bytes.write(entry.bodyId, at + BODY_ID, BODY_ID_BYTES, 'hex');
    bytes.writeUIntBE(entry.size, at + SIZE, 6);
    bytes[at + KIND] = KINDS.indexOf(entry.kind) | (entry.bodyId === null ? 0 : HAS_BODY_ID);
    this.#count(number, bytes, at, 1);
    return replaced;
  }

  /** Where the body of the accepted record is now; 0: it is no longer held. */
  setBodyAt(key: ObjectKey, bodyAt: number): void {
    const bucket = this.#bucketOf(key);
    const slot = bucket === null ? -1 : this.#slotOf(bucket);
    if (bucket === null || slot < 0) return;
    this.#beforeChange?.(this.#wanted.readUInt16BE(0));
    const at = slot * ENTRY_BYTES;
    this.#countFile(bucket.bytes, at, -1);
    bucket.bytes.writeUIntBE(bodyAt, at + BODY_AT, 6);
    this.#countFile(bucket.bytes, at, 1);
  }

  /** The accepted record, if it is the one at `from`, is in another place of the log now. */
  moveRecord(key: ObjectKey, from: number, recordAt: number, recordBytes: number): void {
    const bucket = this.#bucketOf(key);
    const slot = bucket === null ? -1 : this.#slotOf(bucket);
    if (bucket === null || slot < 0 || bucket.bytes.readUIntBE(slot * ENTRY_BYTES + RECORD_AT, 6) !== from) return;
    this.#beforeChange?.(this.#wanted.readUInt16BE(0));
    bucket.bytes.writeUIntBE(recordAt, slot * ENTRY_BYTES + RECORD_AT, 6);
    bucket.bytes.writeUInt32BE(recordBytes, slot * ENTRY_BYTES + RECORD_BYTES);
  }

  /** Whether something is accepted for the key whose bytes are at `at`. */
  isAccepted(bytes: Buffer, at: number): boolean {
    bytes.copy(this.#wanted, 0, at, at + KEY_BYTES);
    const bucket = this.#buckets.get(this.#wanted.readUInt16BE(0));
    const slot = bucket === null ? -1 : this.#slotOf(bucket);
    return bucket !== null && slot >= 0 && ((bucket.bytes[slot * ENTRY_BYTES + KIND] ?? 0) & 0x0f) !== 0;
  }

  remove(key: ObjectKey): Replaced {
    const bucket = this.#bucketOf(key);
    const slot = bucket === null ? -1 : this.#slotOf(bucket);
    if (bucket === null || slot < 0) return NOTHING_REPLACED;
    this.#beforeChange?.(this.#wanted.readUInt16BE(0));
    const at = slot * ENTRY_BYTES;
    const replaced = this.#replaced(bucket.bytes, at);
    this.#count(this.#wanted.readUInt16BE(0), bucket.bytes, at, -1);
    bucket.bytes.copyWithin(at, at + ENTRY_BYTES, bucket.count * ENTRY_BYTES);
    bucket.count--;
    this.#registers--;
    if (bucket.count > 0) return replaced;
    this.#allocatedBytes -= bucket.bytes.length;
    this.#buckets.set(this.#wanted.readUInt16BE(0), null);
    return replaced;
  }

  /** Calls `visit` for the keys of the span in order, those after `after` only, until it returns 'stop'. */
  walk(span: Span, after: ObjectKey | null, visit: (key: ObjectKey, entry: IndexEntry) => 'go-on' | 'stop'): 'end' | 'stopped' {
    const start = after === null ? span.first : Math.max(span.first, parseInt(after.slice(0, 12), 16));
    const lastBucket = bucketOfAligned(span.last);
    const lastKeyPrefix = span.last.toString(16).padStart(12, '0');
    for (let number = this.#buckets.nextFrom(bucketOfAligned(start)); number <= lastBucket; number = this.#buckets.nextFrom(number + 1)) {
      const bucket = must(this.#buckets.get(number), 'bucket');
      this.#wanted.writeUIntBE(start, 0, 6);
      this.#wanted.fill(0, 6);
      const found = number === bucketOfAligned(start) ? this.#slotOf(bucket) : 0;
      for (let slot = found < 0 ? ~found : found; slot < bucket.count; slot++) {
        const at = slot * ENTRY_BYTES;
        const key = (number.toString(16).padStart(4, '0') + bucket.bytes.toString('hex', at, at + PROMISED)) as ObjectKey;
        if (key.slice(0, 12) > lastKeyPrefix) return 'end';
        if (after !== null && key <= after) continue;
        if (visit(key, this.#read(bucket.bytes, at)) === 'stop') return 'stopped';
      }
    }
    return 'end';
  }

  /** Who is called with a bucket's number before the bucket changes: to copy it first; null: nobody. */
  watch(beforeChange: ((bucket: number) => void) | null): void {
    this.#beforeChange = beforeChange;
  }

  /** The first bucket from `bucket` on that has entries; BUCKET_COUNT when there is none. */
  nextBucket(bucket: number): number {
    return this.#buckets.nextFrom(bucket);
  }

  /** The entries of a bucket as they are in memory; valid until the next change. */
  entriesOf(number: number): Buffer {
    const bucket = this.#buckets.get(number);
    return bucket === null ? NO_ENTRIES : bucket.bytes.subarray(0, bucket.count * ENTRY_BYTES);
  }

  /** Node ids by their number in the entries. */
  nodeIds(): readonly NodeId[] {
    return this.#nodeIds.all();
  }

  /** Takes over node ids of a stored index, before its entries. The index has to be empty. */
  loadNodeIds(ids: readonly NodeId[]): void {
    for (const id of ids) this.#nodeIds.numberOf(id);
  }

  /** Takes over the entries of a bucket that has none yet; copies them. */
  loadBucket(number: number, entries: Buffer): void {
    const bytes = Buffer.allocUnsafeSlow(entries.length);
    entries.copy(bytes);
    const count = entries.length / ENTRY_BYTES;
    this.#buckets.set(number, { bytes, count });
    this.#registers += count;
    this.#allocatedBytes += bytes.length;
    for (let at = 0; at < bytes.length; at += ENTRY_BYTES) this.#count(number, bytes, at, 1);
  }

  #bucketOf(key: ObjectKey): Bucket | null {
    this.#wanted.write(key, 0, KEY_BYTES, 'hex');
    return this.#buckets.get(this.#wanted.readUInt16BE(0));
  }

  /** Slot of the wanted key, or the complement of the slot where it belongs. */
  #slotOf(bucket: Bucket): number {
    const { bytes } = bucket;
    const wanted = this.#wanted;
    const wantedHead = wanted.readUInt32BE(2);
    let low = 0;
    let high = bucket.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * ENTRY_BYTES;
      const head = bytes.readUInt32BE(at);
      const order = head - wantedHead || bytes.compare(wanted, 6, KEY_BYTES, at + 4, at + PROMISED);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return ~low;
  }

  /** Where the key's entry is, inserted empty when it was missing. */
  #entryFor(key: ObjectKey): { bytes: Buffer; at: number } {
    let bucket = this.#bucketOf(key);
    this.#beforeChange?.(this.#wanted.readUInt16BE(0));
    if (bucket === null) {
      bucket = { bytes: Buffer.alloc(0), count: 0 };
      this.#buckets.set(this.#wanted.readUInt16BE(0), bucket);
    }
    const slot = this.#slotOf(bucket);
    if (slot >= 0) return { bytes: bucket.bytes, at: slot * ENTRY_BYTES };
    const at = ~slot * ENTRY_BYTES;
    const end = bucket.count * ENTRY_BYTES;
    if (end === bucket.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(end + growth(bucket.count) * ENTRY_BYTES);
      bucket.bytes.copy(grown, 0, 0, end);
      this.#allocatedBytes += grown.length - bucket.bytes.length;
      bucket.bytes = grown;
    }
    bucket.bytes.copyWithin(at + ENTRY_BYTES, at, end);
    bucket.bytes.fill(0, at, at + ENTRY_BYTES);
    this.#wanted.copy(bucket.bytes, at, 2);
    bucket.count++;
    this.#registers++;
    return { bytes: bucket.bytes, at };
  }

  #read(bytes: Buffer, at: number): IndexEntry {
    const flags = bytes[at + KIND] ?? 0;
    return {
      promised: this.#readBallot(bytes, at + PROMISED),
      accepted: this.#readBallot(bytes, at + ACCEPTED),
      version: this.#readBallot(bytes, at + VERSION),
      kind: must(KINDS[flags & 0x0f], 'kind of an index entry'),
      recordAt: bytes.readUIntBE(at + RECORD_AT, 6),
      recordBytes: bytes.readUInt32BE(at + RECORD_BYTES),
      bodyAt: bytes.readUIntBE(at + BODY_AT, 6),
      bodyId: (flags & HAS_BODY_ID) === 0 ? null : (bytes.toString('hex', at + BODY_ID, at + BODY_ID + BODY_ID_BYTES) as BodyId),
      size: bytes.readUIntBE(at + SIZE, 6),
    };
  }

  #readBallot(bytes: Buffer, at: number): Ballot {
    const epoch = bytes.readUInt32BE(at);
    const hlc = bytes.readUIntBE(at + 4, 3) * 2 ** 32 + bytes.readUInt32BE(at + 7);
    const number = bytes.readUInt16BE(at + 11);
    if (epoch === 0 && hlc === 0 && number === 0) return ZERO_BALLOT;
    return { epoch, hlc, nodeId: this.#nodeIds.idOf(number) };
  }

  #writeBallot(bytes: Buffer, at: number, ballot: Ballot): void {
    bytes.writeUInt32BE(ballot.epoch, at);
    bytes.writeUIntBE(Math.floor(ballot.hlc / 2 ** 32), at + 4, 3);
    bytes.writeUInt32BE(ballot.hlc >>> 0, at + 7);
    bytes.writeUInt16BE(this.#nodeIds.numberOf(ballot.nodeId), at + 11);
  }

  #replaced(bytes: Buffer, at: number): Replaced {
    if (((bytes[at + KIND] ?? 0) & 0x0f) === 0) return NOTHING_REPLACED;
    const isInFile = bytes.readUIntBE(at + BODY_AT, 6) === BODY_IN_FILE;
    return { wasAccepted: true, fileBodyId: isInFile ? (bytes.toString('hex', at + BODY_ID, at + BODY_ID + BODY_ID_BYTES) as BodyId) : null };
  }

  /** Counts the entry in, or out. */
  #count(bucket: number, bytes: Buffer, at: number, sign: 1 | -1): void {
    const kind = (bytes[at + KIND] ?? 0) & 0x0f;
    if (kind === 0) return;
    const number = bytes.readUInt16BE(at + ACCEPTED + 11);
    const words = (this.#nodeWords[number] ??= nodeWords(this.#nodeIds.idOf(number)));
    const hlcHigh = bytes.readUIntBE(at + ACCEPTED + 4, 3);
    entryDigest(this.#digest, bucket, bytes, at, bytes.readUInt32BE(at + ACCEPTED), hlcHigh, bytes.readUInt32BE(at + ACCEPTED + 7), words);
    this.tree.toggle(bucket, this.#digest, kind === 1 ? sign : 0);
    if (kind !== 1) {
      this.#tombstones += sign;
      return;
    }
    this.#objects += sign;
    this.#bodyBytes += sign * bytes.readUIntBE(at + SIZE, 6);
    this.#countFile(bytes, at, sign);
  }

  #countFile(bytes: Buffer, at: number, sign: 1 | -1): void {
    const isObject = ((bytes[at + KIND] ?? 0) & 0x0f) === 1;
    if (isObject && bytes.readUIntBE(at + BODY_AT, 6) === BODY_IN_FILE) this.#fileBytes += sign * bytes.readUIntBE(at + SIZE, 6);
  }
}

/** Where the log has the accepted records of the entries, and their bodies (0: none here); `entryAt`: the entry's place. */
export function visitPlaces(
  entries: Buffer, visit: (recordAt: number, recordBytes: number, bodyAt: number, bodyBytes: number, entryAt: number) => void,
): void {
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const recordAt = entries.readUIntBE(at + RECORD_AT, 6);
    if (recordAt === 0) continue;
    visit(recordAt, entries.readUInt32BE(at + RECORD_BYTES), entries.readUIntBE(at + BODY_AT, 6), entries.readUIntBE(at + SIZE, 6), at);
  }
}

/** Key and body id of the entry at `at` in the entries of a bucket. */
export function namesOf(bucket: number, entries: Buffer, at: number): { readonly key: ObjectKey; readonly bodyId: BodyId } {
  return {
    key: (bucket.toString(16).padStart(4, '0') + entries.toString('hex', at, at + PROMISED)) as ObjectKey,
    bodyId: entries.toString('hex', at + BODY_ID, at + BODY_ID + BODY_ID_BYTES) as BodyId,
  };
}
