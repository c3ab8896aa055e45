/**
 * I20, disk: once staged bodies have expired a node's directory holds the bodies that its records name, and nothing else.
 * `staging/` is empty, and `bodies/` has no file without a record.
 */
import type { BodyId } from '../../domain/ids.ts';
import type { Position, RingArc } from '../../domain/ring-position.ts';
import type { RegisterStore } from '../../storage/register-store.ts';

const WHOLE_RING: RingArc = { from: 0 as Position, to: 0 as Position };
const KEYS_MAX = 1000;

/** One sentence a file. `paths`: all files of the node. */
export function checkLeftovers(nodeName: string, paths: readonly string[], store: Pick<RegisterStore, 'scan'>): readonly string[] {
  const named = new Set(store.scan(WHOLE_RING, null, KEYS_MAX).entries.flatMap(({ bodyId }) => bodyId ?? []));
  return paths.flatMap((path) => {
    if (path.includes('/staging/')) return [`${nodeName} still has the staged ${path}`];
    const isNamed = named.has((path.split('/').at(-1) ?? '') as BodyId);
    return path.includes('/bodies/') && !isNamed ? [`${nodeName} has ${path}, which no record names`] : [];
  });
}
