/**
 * Right after a read at rest a majority of the name's replicas holds one and the same version (invariant I14). The
 * accepted ballots may differ, as an internal re-accept changes them and not the version, and another replica may hold
 * a newer one that was never chosen. A tombstone goes from one replica after the other: one whose floor is above it knows.
 */
import { ballotText, compareBallots, type Ballot } from '../../domain/ballot.ts';
import { hasher, objectKey } from '../../ring/hasher.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { NodeProgram } from '../sim-node.ts';

/** What is wrong, in words, or null. `programs`: all nodes of a ring at rest. */
export async function checkCopies(name: string, programs: readonly NodeProgram[]): Promise<string | null> {
  const layout = programs[0]?.layout() ?? null;
  if (layout === null) return 'there is no layout';
  const key = objectKey(name, layout.keyBits);
  const replicas = replicaSets(layout, hasher(name, layout.keyBits)).new.map(String);
  const copies: { readonly version: string; readonly tombstone: Ballot | null; readonly floor: Ballot }[] = [];
  for (const { service, store } of programs) {
    if (!replicas.includes(service.view().nodeId)) continue;
    const head = store.head(key);
    const loaded = head === null ? null : await store.load(key, head);
    const tombstone = head?.kind === 'tombstone' ? head.accepted : null;
    copies.push({ version: loaded === null ? 'nothing' : ballotText(loaded.record.version), tombstone, floor: store.floor(key) });
  }
  const isHeldByMost = ({ version, tombstone }: (typeof copies)[number]): boolean => {
    const holders = copies.filter((other) => other.version === version || (tombstone !== null && other.version === 'nothing' && compareBallots(other.floor, tombstone) >= 0));
    return 2 * holders.length > replicas.length;
  };
  if (copies.some(isHeldByMost)) return null;
  return `no version of "${name}" is on a majority of its ${replicas.length} replicas: ${copies.map(({ version }) => version).join(', ')}`;
}
