/**
 * The hash tree over what is accepted: two replicas of a stretch of the ring are alike there if and only if their digests are
 * (but for one chance in 2^64). Leaves are the 65,536 buckets of the key index, which depend on keys and never on tokens, so a
 * change of the layout rebuilds nothing; 256 pages of 256 buckets stand above them.
 *
 * A digest is the XOR of H(key, accepted ballot) over its registers. XOR is its own inverse and knows no order: a change costs
 * one hash out and one hash in, a stretch of any length is the XOR of its parts, and a tree that was updated a million times
 * equals one that was built from the index just now. It lives in memory alone and is built with the index at each start, so a
 * disk can't lie about it. Bare promises don't count: they are nobody's loss.
 *
 * Beside its digest a bucket has its number of live objects, so that "how many objects lack a replica" is a sum.
 *
 * H is two lanes of the MurmurHash3 mixing step, not a cryptographic hash: keys are digests already, and who can choose ballots
 * at will is a member of the ring. Cost: 12 bytes for each bucket of a page in use, 768 KiB in all at most; below half
 * a microsecond a change.
 *
 * Rejected: SHA-256 (a microsecond for each change of the index); hashing a bucket when it is asked for (a first comparison
 * after a start would hold up the event loop for a second); leaves of a token's range (rebuilt whenever a node joins).
 * Source: [Dynamo07] "Handling permanent failures: Replica synchronization"; protocol section D.3.
 */
import type { Ballot } from '../domain/ballot.ts';
import type { NodeId } from '../domain/ids.ts';
import type { ObjectKey } from '../domain/ring-position.ts';
import { BUCKET_COUNT } from './bucket-table.ts';

export const PAGE_BUCKETS = 256;
export const PAGE_COUNT = BUCKET_COUNT / PAGE_BUCKETS;
/** Words of 32 bits in a digest. */
export const DIGEST_WORDS = 2;
/** Two words of digest and one count for each child. */
const CHILD_WORDS = DIGEST_WORDS + 1;

export class HashTree {
  readonly #pages: (Uint32Array | undefined)[] = [];
  readonly #tops = new Uint32Array(PAGE_COUNT * CHILD_WORDS);

  /** Adds an entry to its bucket, or takes it out: the same change. `objects`: 1, -1, or 0 for a tombstone. */
  toggle(bucket: number, digest: Uint32Array, objects: number): void {
    const page = (this.#pages[bucket >>> 8] ??= new Uint32Array(PAGE_BUCKETS * CHILD_WORDS));
    change(page, bucket & 255, digest, objects);
    change(this.#tops, bucket >>> 8, digest, objects);
  }

  /** Live objects in the page. */
  objectsInPage(page: number): number {
    return this.#tops[page * CHILD_WORDS + DIGEST_WORDS] ?? 0;
  }

  objectsInBucket(bucket: number): number {
    return this.#pages[bucket >>> 8]?.[(bucket & 255) * CHILD_WORDS + DIGEST_WORDS] ?? 0;
  }

  /** XORs the page's digest into `into`, as digest number `at`. */
  addPage(page: number, into: Uint32Array, at: number): void {
    addDigest(this.#tops, page * CHILD_WORDS, into, at);
  }

  addBucket(bucket: number, into: Uint32Array, at: number): void {
    const page = this.#pages[bucket >>> 8];
    if (page !== undefined) addDigest(page, (bucket & 255) * CHILD_WORDS, into, at);
  }
}

function change(words: Uint32Array, child: number, digest: Uint32Array, objects: number): void {
  const at = child * CHILD_WORDS;
  words[at] = (words[at] ?? 0) ^ (digest[0] ?? 0);
  words[at + 1] = (words[at + 1] ?? 0) ^ (digest[1] ?? 0);
  words[at + DIGEST_WORDS] = (words[at + DIGEST_WORDS] ?? 0) + objects;
}

export function addDigest(from: Uint32Array, fromWord: number, into: Uint32Array, at: number): void {
  const to = at * DIGEST_WORDS;
  into[to] = (into[to] ?? 0) ^ (from[fromWord] ?? 0);
  into[to + 1] = (into[to + 1] ?? 0) ^ (from[fromWord + 1] ?? 0);
}

/** A node id as four words, to be mixed into digests. */
export function nodeWords(nodeId: NodeId): Uint32Array {
  return Uint32Array.from({ length: 4 }, (_, i) => parseInt(nodeId.slice(8 * i, 8 * i + 8), 16));
}

/**
 * H(key, accepted ballot) into `into`. The key is its bucket and the 18 bytes at `at`; the clock part of the ballot comes in
 * two halves, as the index has it.
 */
export function entryDigest(
  into: Uint32Array, bucket: number, bytes: Buffer, at: number, epoch: number, hlcHigh: number, hlcLow: number, node: Uint32Array,
): void {
  let a = 0x9747b28c;
  let b = 0x2f0b4c47;
  const mix = (word: number): void => {
    a = step(a, word, 0xcc9e2d51, 0x1b873593);
    b = step(b, word, 0xab0e9789, 0x38b34ae5);
  };
  mix(bucket);
  for (let i = 0; i < 16; i += 4) mix(bytes.readUInt32BE(at + i));
  mix(bytes.readUInt16BE(at + 16));
  mix(epoch);
  mix(hlcHigh);
  mix(hlcLow);
  for (let i = 0; i < 4; i++) mix(node[i] ?? 0);
  into[0] = avalanche(a);
  into[1] = avalanche(b);
}

const KEY_SPACE = Buffer.alloc(20);

/** The same of plain values: for the few registers of a bucket that an arc cuts in two. */
export function digestOf(key: ObjectKey, { epoch, hlc, nodeId }: Ballot): Uint32Array {
  const digest = new Uint32Array(DIGEST_WORDS);
  KEY_SPACE.write(key, 'hex');
  entryDigest(digest, KEY_SPACE.readUInt16BE(0), KEY_SPACE, 2, epoch, Math.floor(hlc / 2 ** 32), hlc >>> 0, nodeWords(nodeId));
  return digest;
}

function step(hash: number, word: number, first: number, second: number): number {
  let mixed = Math.imul(word, first);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), second);
  const turned = hash ^ mixed;
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

function avalanche(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
