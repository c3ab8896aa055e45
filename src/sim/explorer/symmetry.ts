/**
 * Symmetries of a register scope: the renamings of its replicas that leave the layouts and what is held at the beginning
 * as they are. States that differ by one of these are searched once.
 */
import { replicaId, type RegisterScope } from './register-scope.ts';

/** Each maps the index of a replica to its new index; the first changes nothing. */
export function symmetries(scope: RegisterScope): readonly (readonly number[])[] {
  const role = (replica: number): string => {
    const id = replicaId(replica);
    const sets = scope.layouts.map((layout) => `${String(layout.old.includes(id))} ${String(layout.new.includes(id))}`);
    return `${sets.join(',')} ${String(scope.leftovers.includes(id))}`;
  };
  const indexes = Array.from({ length: scope.replicas }, (_, i) => i);
  return permutations(indexes).filter((to) => indexes.every((replica) => role(replica) === role(to[replica] ?? replica)));
}

/** In lexical order, so the first is the given one. */
function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}
