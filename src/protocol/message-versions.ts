/**
 * Versions of the peer protocol. Two nodes speak the highest version that both know, so the nodes of a ring can be upgraded one by
 * one, and set back while not all are. What a version adds are kinds of messages; a kind is only sent where the agreed version has
 * it. To the sender a peer that is too old is one that wasn't asked: no rule may take its silence for consent, and none does, as an
 * erasure waits for all replicas and a comparison ends without result.
 *
 *   1  registers, layouts, copies, large bodies, listings
 *   2  comparisons by digests, hints, erasure of tombstones, recovery
 *
 * No version is raised for the whole ring at once: nothing that a newer version writes, on disk or in a layout, is beyond an older
 * one so far. The first that is will need such a step (docs/decisions.md).
 * Source: protocol section G "HELLO".
 */
import type { PeerMessage } from './message.ts';

const SINCE_VERSION_2: ReadonlySet<PeerMessage['kind']> = new Set<PeerMessage['kind']>([
  'digests', 'digests-reply', 'missed', 'missed-reply',
  'tombstones', 'tombstones-reply', 'erase', 'erase-reply',
  'recover-prepare', 'recover-prepare-reply', 'recover-adopt', 'recover-adopt-reply',
]);

/** The version that brought this kind of message. */
export function sinceVersion(kind: PeerMessage['kind']): number {
  return SINCE_VERSION_2.has(kind) ? 2 : 1;
}
