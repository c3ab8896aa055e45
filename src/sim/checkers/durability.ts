/**
 * Acknowledged writes survive: what a name holds once all is quiet was written by an operation that no acknowledged
 * operation came strictly after. Weaker than linearizability, but independent of its search, and its message says
 * which write is missing. Source: invariants I14, I17.
 */
import type { ObjectEntry } from '../history.ts';

/** Whether the operation changed the register, as far as its client knows. */
function isWrite({ op, result }: ObjectEntry): boolean {
  if (op.kind === 'get' || result?.kind === 'precondition-failed') return false;
  return !(result?.kind === 'deleted' && !result.wasPresent);
}

/** What is wrong, in words, or null. `entries`: all operations on the name; `finalTag`: of what it holds at the end. */
export function checkDurability(name: string, entries: readonly ObjectEntry[], finalTag: string | null): string | null {
  const writes = entries.filter((entry) => entry.key === name && isWrite(entry));
  const acknowledged = writes.filter(({ returnAt }) => returnAt !== null);
  const last = writes.filter(({ returnAt }) => !acknowledged.some(({ invokeAt }) => invokeAt > (returnAt ?? Infinity)));
  const isPossible =
    finalTag === null
      ? acknowledged.length === 0 || last.some(({ op }) => op.kind === 'delete')
      : last.some(({ op }) => op.kind === 'put' && op.tag === finalTag);
  if (isPossible) return null;
  const expected = last.map(({ op, returnAt }) => `${op.kind}${op.kind === 'put' ? ` ${op.tag.slice(0, 8)}` : ''} (${returnAt === null ? 'unknown' : 'acknowledged'})`);
  return `"${name}" holds ${finalTag === null ? 'nothing' : finalTag.slice(0, 8)} at the end, expected one of: ${expected.join(', ') || 'nothing'}`;
}
