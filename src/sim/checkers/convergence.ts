/**
 * After all faults are over every replica of a name holds the same, and nobody knows of anything that still lacks a copy
 * (invariant I20). Reads would mend what they touch, so this is asked before anything is read.
 *
 * A tombstone goes from one replica after the other, the last of them when it is of age by its own clock: where a clock was
 * hours ahead when the name was deleted, that is in hours. Those that have erased it know so by their floor.
 */
import { ballotText, compareBallots, type Ballot } from '../../domain/ballot.ts';
import { hasher, objectKey } from '../../ring/hasher.ts';
import { replicaSets } from '../../ring/placement.ts';
import type { NodeProgram } from '../sim-node.ts';

interface Copy {
  readonly at: string;
  /** Null: it holds nothing. */
  readonly accepted: Ballot | null;
  readonly isTombstone: boolean;
  readonly floor: Ballot;
}

/** What differs, in words, or null. `programs`: all nodes of a ring at rest. `wasClockWrong`: some node's wall clock was, or is. */
export function checkConvergence(names: readonly string[], programs: readonly NodeProgram[], wasClockWrong: boolean): string | null {
  const layout = programs[0]?.layout() ?? null;
  if (layout === null) return 'there is no layout';
  for (const name of names) {
    const key = objectKey(name, layout.keyBits);
    const replicas = replicaSets(layout, hasher(name, layout.keyBits)).new.map(String);
    const copies = programs.filter(({ service }) => replicas.includes(service.view().nodeId)).map(({ service, store }): Copy => {
      const head = store.head(key);
      const { host, port } = service.view();
      return { at: `${host}:${port}`, accepted: head === null || head.kind === 'none' ? null : head.accepted, isTombstone: head?.kind === 'tombstone', floor: store.floor(key) };
    });
    if (new Set(copies.map(holds)).size > 1 && !(wasClockWrong && isBeingErased(copies))) {
      return `the replicas of "${name}" differ: ${copies.map((copy) => `${copy.at} has ${holds(copy)}`).join(', ')}`;
    }
  }
  for (const { service } of programs) {
    const { repair } = service.ring();
    const { host, port } = service.view();
    if (repair.underReplicatedObjects > 0 || repair.comparisonsLeft > 0 || repair.hintsQueued > 0) return `${host}:${port} says: ${repair.summary}`;
  }
  return null;
}

const holds = ({ accepted }: Copy): string => (accepted === null ? 'nothing' : ballotText(accepted));

/** Some hold one and the same tombstone, and all others have erased it. */
function isBeingErased(copies: readonly Copy[]): boolean {
  const tombstone = copies.find(({ accepted }) => accepted !== null)?.accepted ?? null;
  return tombstone !== null && copies.every(({ accepted, isTombstone, floor }) =>
    accepted === null ? compareBallots(floor, tombstone) >= 0 : isTombstone && compareBallots(accepted, tombstone) === 0);
}
