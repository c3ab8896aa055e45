/** Removes a canary's set: all names below its prefix, the memory first, so that a canary that still runs ends. */
import type { CanaryRequests } from './canary-requests.ts';
import { stateName } from './canary-state.ts';

export type CleanUp = { readonly kind: 'clean'; readonly removed: number } | { readonly kind: 'incomplete'; readonly removed: number; readonly reason: string };

export async function cleanUp(requests: CanaryRequests, prefix: string): Promise<CleanUp> {
  let removed = 0;
  const remove = async (name: string): Promise<string | null> => {
    const answer = await requests.remove(name, { kind: 'none' });
    if (answer.kind === 'ok') removed += 1;
    return answer.kind === 'ok' ? null : answer.kind === 'conflict' ? 'conflict' : answer.reason;
  };
  const failure = await remove(stateName(prefix));
  if (failure !== null) return { kind: 'incomplete', removed, reason: failure };
  for (;;) {
    const names = await requests.names(prefix);
    if (names === null) return { kind: 'incomplete', removed, reason: 'the names can not be listed' };
    if (names.length === 0) return { kind: 'clean', removed };
    for (const name of names) {
      const reason = await remove(name);
      if (reason !== null) return { kind: 'incomplete', removed, reason };
    }
  }
}
