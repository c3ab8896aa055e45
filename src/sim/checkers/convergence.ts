/**
 * After all faults are over every replica of a name holds the same, and nobody knows of anything that still lacks a copy
 * (invariant I20). Reads would mend what they touch, so this is asked before anything is read.
 */
import { ballotText } from '../../domain/ballot.ts';
import { hasher, objectKey } from '../../ring/hasher.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { NodeProgram } from '../sim-node.ts';

/** What differs, in words, or null. `programs`: all nodes of a ring at rest. */
export function checkConvergence(names: readonly string[], programs: readonly NodeProgram[]): string | null {
  const layout = programs[0]?.layout() ?? null;
  if (layout === null) return 'there is no layout';
  for (const name of names) {
    const key = objectKey(name, layout.keyBits);
    const replicas = replicaSets(layout, hasher(name, layout.keyBits)).new.map(String);
    const held = programs.filter(({ service }) => replicas.includes(service.view().nodeId)).map(({ service, store }) => {
      const head = store.head(key);
      const { host, port } = service.view();
      return { at: `${host}:${port}`, accepted: head === null || head.kind === 'none' ? 'nothing' : ballotText(head.accepted) };
    });
    if (new Set(held.map(({ accepted }) => accepted)).size > 1) {
      return `the replicas of "${name}" differ: ${held.map(({ at, accepted }) => `${at} has ${accepted}`).join(', ')}`;
    }
  }
  for (const { service } of programs) {
    const { repair } = service.ring();
    const { host, port } = service.view();
    if (repair.underReplicatedObjects > 0 || repair.comparisonsLeft > 0 || repair.hintsQueued > 0) return `${host}:${port} says: ${repair.summary}`;
  }
  return null;
}
