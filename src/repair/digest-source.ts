/**
 * The giving side of anti-entropy: digests of what is accepted here, in the arcs that the asking node and this one share in the
 * layout of the epoch. From memory; they show many registers, so they follow the fsync of everything applied before (rule R1):
 * otherwise a peer could take its copy for the second one while this one is lost by a crash.
 *
 * Cost: 256 additions for each page asked for, and a look at the few registers of buckets that an arc cuts in two.
 * Source: protocol section D.3, rules R1, R3, R12.
 */
import type { NodeId } from '../domain/ids.ts';
import { DIGEST_PAGES_MAX } from '../protocol/repair-codec.ts';
import type { DigestsReply, DigestsRequest, StaleEpochReply } from '../protocol/message.ts';
import type { ViewSource } from '../ring/cluster-view.ts';
import { arcsSharedBy } from '../ring/held-arcs.ts';
import { DIGEST_WORDS } from '../storage/hash-tree.ts';
import type { RegisterStore } from '../storage/register-store.ts';
import { epochMismatch } from './epoch-mismatch.ts';

export interface DigestSourceDeps {
  readonly store: RegisterStore;
  readonly views: ViewSource;
}

export class DigestSource {
  readonly #deps: DigestSourceDeps;

  constructor(deps: DigestSourceDeps) {
    this.#deps = deps;
  }

  async digests(from: NodeId, { epoch, root, pages }: DigestsRequest): Promise<DigestsReply | StaleEpochReply> {
    const { store, views } = this.#deps;
    for (let gate = views.gate(); gate !== null; gate = views.gate()) await gate;
    const view = views.current();
    const stale = epochMismatch(views, epoch);
    if (stale !== null || view === null) return stale ?? { kind: 'stale-epoch', epoch: 0, layout: null };
    const arcs = arcsSharedBy(view.layout, view.self, from);
    const digests = pages === null
      ? [store.digests(arcs, null)]
      : pages.slice(0, DIGEST_PAGES_MAX).map((page) => store.digests(arcs, page));
    const isEqual = pages === null && digests.every((part) => rootOf(part) === root);
    await store.flushed();
    return { kind: 'digests-reply', epoch, isEqual, body: isEqual ? null : digestBytes(digests) };
  }
}

/** The XOR of the digests, as hex: that of all they stand for. */
export function rootOf(digests: Uint32Array): string {
  let [high, low] = [0, 0];
  for (let at = 0; at < digests.length; at += DIGEST_WORDS) {
    high ^= digests[at] ?? 0;
    low ^= digests[at + 1] ?? 0;
  }
  return [high, low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

function digestBytes(parts: readonly Uint32Array[]): Buffer {
  const bytes = Buffer.alloc(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) for (const word of part) at = bytes.writeUInt32BE(word, at);
  return bytes;
}

/** Children from `first` on whose digests in the reply aren't ours; null: the reply has another length. */
export function differing(own: readonly Uint32Array[], body: Buffer): readonly number[] | null {
  if (body.length !== own.reduce((sum, part) => sum + part.byteLength, 0)) return null;
  const found: number[] = [];
  let child = 0;
  for (const part of own) {
    for (let at = 0; at < part.length; at += DIGEST_WORDS, child++) {
      const from = child * DIGEST_WORDS * 4;
      if (body.readUInt32BE(from) !== part[at] || body.readUInt32BE(from + 4) !== part[at + 1]) found.push(child);
    }
  }
  return found;
}
